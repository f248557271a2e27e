//! What sandboxes reach, in an Internet of our own: no packet of these tests leaves the machine.

#![allow(clippy::unwrap_used, reason = "in a test a failure may well be a panic")]

mod native_support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use lifecycle_server::runtime::{
    Runtime,
    native::{Severity, preflight},
};
use native_support::{Bed, PATIENCE, enter_new_network, in_own_network, sh};

/// The host's address towards the Internet.
const HOST: &str = "198.51.100.2";
const WEB: &str = "203.0.113.10:80";
const METADATA: &str = "169.254.169.254:80";
const NAME_SERVER: &str = "203.0.113.53:53";

/// Connects this network to another one that plays the Internet: a web server, a metadata service, a name server.
fn connect_to_an_internet() {
    let (tell, told) = std::sync::mpsc::channel();
    let (attach, attached) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        enter_new_network();
        // SAFETY: no arguments, cannot fail.
        tell.send(unsafe { libc::gettid() }).unwrap();
        attached.recv().unwrap();
        sh("ip link set lo up; ip link set net0 up; ip addr add 198.51.100.1/24 dev net0; \
            ip addr add 203.0.113.10/32 dev lo; ip addr add 203.0.113.53/32 dev lo; ip addr add 169.254.169.254/32 dev lo");
        serve_web(TcpListener::bind(WEB).unwrap());
        serve_web(TcpListener::bind(METADATA).unwrap());
        serve_names(&UdpSocket::bind(NAME_SERVER).unwrap(), &tell);
    });
    let thread = told.recv_timeout(PATIENCE).unwrap();
    sh(&format!(
        "ip link set lo up; ip link add up0 type veth peer name net0; ip link set net0 netns {thread}; \
         ip addr add {HOST}/24 dev up0; ip link set up0 up; ip route add default via 198.51.100.1"
    ));
    attach.send(()).unwrap();
    told.recv_timeout(PATIENCE).expect("the Internet did not come up");
}

/// Answers every request with the address it came from.
fn serve_web(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let peer = stream.peer_addr().unwrap().ip();
                let _ = stream.read(&mut [0; 1024]);
                let _ = write!(stream, "HTTP/1.0 200 OK\r\n\r\nfrom {peer}\n");
            });
        }
    });
}

/// Answers every question with 203.0.113.10.
fn serve_names(socket: &UdpSocket, ready: &std::sync::mpsc::Sender<i32>) {
    ready.send(0).unwrap();
    let mut question = [0; 512];
    while let Ok((length, peer)) = socket.recv_from(&mut question) {
        let mut answer = question[..length].to_vec();
        answer[2..4].copy_from_slice(&[0x81, 0x80]);
        answer[6..8].copy_from_slice(&[0, 1]);
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 10]);
        let _ = socket.send_to(&answer, peer);
    }
}

#[test]
fn the_outside_is_reachable_and_the_host_is_not() {
    in_own_network(|| async {
        connect_to_an_internet();
        let bed = Bed::with(|config| config.dns_servers = vec!["203.0.113.53".parse().unwrap()]).await;
        serve_web(TcpListener::bind("0.0.0.0:8080").unwrap());
        for reachable in [METADATA.to_owned(), format!("{HOST}:8080")] {
            TcpStream::connect_timeout(&reachable.parse().unwrap(), PATIENCE)
                .expect("not even the host reaches it");
        }
        let text = bed
            .output(&format!(
                "get() {{ echo GET / | nc -w 2 $1 $2 2>/dev/null | tail -n 1; }}; \
                 get 203.0.113.10 80; nslookup -type=a example.test 203.0.113.53 | grep -c 203.0.113.10; \
                 for host in {HOST} 10.231.0.1 127.0.0.1; do get $host 8080; done; get 169.254.169.254 80; \
                 ls /proc/self/fd >/dev/null && echo over"
            ))
            .await;
        assert_eq!(text, format!("from {HOST}\n1\nover\n"));
        bed.expect_clean_end().await;
    });
}

/// A connection to a program that may not listen yet.
fn connect(address: SocketAddr) -> TcpStream {
    let since = Instant::now();
    loop {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return stream;
            }
            Err(error) => assert!(since.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn sandboxes_do_not_reach_each_other_and_the_host_reaches_them() {
    in_own_network(|| async {
        connect_to_an_internet();
        let bed = Bed::new().await;
        let server = bed.launch("echo ready; echo END; exec nc -ll -p 9000 -e echo hello").await;
        bed.printed(&server.id, "END").await;
        let address = SocketAddr::new(server.slot.address.into(), 9000);
        let mut said = String::new();
        let mut stream = connect(address);
        stream.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello\n");
        let text = bed.output(&format!("nc -w 1 {} 9000 </dev/null 2>/dev/null", server.slot.address)).await;
        assert_eq!(text, "");
        bed.runtime.destroy(&server.id).await.unwrap();
        bed.expect_clean_end().await;
    });
}

#[test]
fn the_first_packet_does_not_wait() {
    in_own_network(|| async {
        let bed = Bed::new().await;
        for _ in 0..10 {
            let spec = bed.spec("exec nc -ll -p 9000 -e true");
            bed.start_spec(&spec).await.unwrap();
            let address = SocketAddr::new(spec.slot.address.into(), 9000);
            // A lost first packet would be repeated after a second only.
            let since = Instant::now();
            while TcpStream::connect_timeout(&address, Duration::from_millis(900)).is_err() {
                assert!(since.elapsed() < Duration::from_millis(900), "the first packet got lost");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            bed.runtime.destroy(&spec.id).await.unwrap();
        }
        bed.expect_clean_end().await;
    });
}

#[test]
fn one_sandbox_cannot_take_all_connections() {
    in_own_network(|| async {
        connect_to_an_internet();
        let bed = Bed::with(|config| config.max_flows = 8).await;
        let ask = "echo GET / | nc -w 2 203.0.113.10 80 2>/dev/null | tail -n 1";
        let greedy = bed
            .launch(&format!(
                "for i in $(seq 8); do sleep 1000 | nc 203.0.113.10 80 & done; \
                 until [ $(netstat -tn | grep -c ESTABLISHED) = 8 ]; do sleep 0.1; done; \
                 {ask}; echo FULL; sleep 1000"
            ))
            .await;
        assert_eq!(bed.printed(&greedy.id, "FULL").await, "", "a ninth connection");
        // The others have their own count.
        assert_eq!(bed.output(ask).await, format!("from {HOST}\n"));
        bed.runtime.destroy(&greedy.id).await.unwrap();
        // Closed connections do not count.
        let text = bed.output(&format!("for i in $(seq 20); do {ask}; done | grep -c from")).await;
        assert_eq!(text, "20\n");
        bed.expect_clean_end().await;
    });
}

#[test]
fn a_firewall_in_the_way_is_reported_with_what_opens_it() {
    in_own_network(|| async {
        connect_to_an_internet();
        sh("nft add table ip filter; \
            nft add chain ip filter FORWARD '{ type filter hook forward priority filter; policy drop; }'");
        let bed = Bed::with(|config| config.dns_servers = vec!["203.0.113.53".parse().unwrap()]).await;
        let hindrances = || -> Vec<_> {
            let all = preflight(&bed.config).into_iter();
            all.filter(|problem| problem.severity == Severity::Hinders).collect()
        };
        let ask = "echo GET / | nc -w 1 203.0.113.10 80 2>/dev/null | tail -n 1";
        assert_eq!(bed.output(ask).await, "", "the firewall was meant to be in the way");
        let found = hindrances();
        assert!(found.len() == 1 && found[0].what.contains("ip filter"), "{found:?}");
        sh(&found[0].mend);
        assert_eq!(bed.output(ask).await, format!("from {HOST}\n"));
        assert_eq!(hindrances(), []);
        sh("nft delete table ip filter");
        bed.expect_clean_end().await;
    });
}
