//! Asking name servers: one after the other, the ones that answered last first.

use std::{
    cell::{Cell, RefCell},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdUdpSocket},
    path::Path,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query},
    rr::{Name, RecordType},
};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, UdpSocket},
    time::{sleep, timeout},
};

use super::{answer, random::Random, wire};
use crate::firewall::mark;

/// How long a server has before the next one is asked as well.
const HEAD_START: Duration = Duration::from_secs(1);
/// Most bytes of an answer over UDP.
const UDP_BUFFER: usize = 4096;
/// Servers taken from resolv.conf.
const MAX_SERVERS: usize = 10;
/// Asked where nobody says who is to be asked.
const LAST_RESORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)), 53);
/// Ports questions are sent from, below those that sockets get without asking: the kernel remembers for a while who sent
/// from where to whom, and nobody else may send on from there.
const OWN_PORTS: std::ops::Range<u16> = 1024..32768;
/// Ports tried before the kernel chooses one.
const PORT_TRIES: usize = 8;
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The servers.
#[derive(Debug)]
pub(super) struct Upstreams {
    servers: Vec<Server>,
    timeout: Duration,
    /// How long a silent one is asked last.
    rest: Duration,
    random: RefCell<Random>,
}

#[derive(Debug)]
struct Server {
    address: SocketAddr,
    silent_until: Cell<Option<Instant>>,
}

/// The servers of a resolv.conf: those elsewhere before those on this machine.
fn servers_of(text: &str) -> Vec<SocketAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
        Some(SocketAddr::new(address.split('%').next()?.parse().ok()?, 53))
    });
    let mut servers: Vec<SocketAddr> = servers.collect();
    servers.sort_by_key(|server| server.ip().is_loopback());
    servers.truncate(MAX_SERVERS);
    servers
}

impl Upstreams {
    /// The given servers, or those of this machine.
    pub(super) fn new(given: &[SocketAddr], timeout: Duration, rest: Duration) -> Self {
        let mut servers = given.to_vec();
        if servers.is_empty() {
            servers = servers_of(&std::fs::read_to_string(Path::new(RESOLV_CONF)).unwrap_or_default());
        }
        if servers.is_empty() {
            servers.push(LAST_RESORT);
        }
        let server = |address| Server { address, silent_until: Cell::new(None) };
        Self { servers: servers.into_iter().map(server).collect(), timeout, rest, random: RefCell::default() }
    }

    /// A number for a question.
    pub(super) fn id(&self) -> io::Result<u16> {
        self.random.borrow_mut().next().ok_or_else(|| io::Error::other("no random numbers"))
    }

    /// Asks until one gives a reply `read` can use; the last reason when none does.
    pub(super) async fn ask<T>(
        &self,
        query: &[u8],
        question_end: usize,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, String> {
        let mut order: Vec<&Server> = self.servers.iter().collect();
        let now = Instant::now();
        order.sort_by_key(|server| server.silent_until.get().is_some_and(|until| until > now));
        let mut waiting = order.into_iter();
        let mut asked = FuturesUnordered::new();
        let mut reason = "there is no name server".to_owned();
        let mut slow = None;
        loop {
            if asked.is_empty() {
                match waiting.next() {
                    Some(server) => {
                        slow = Some(server);
                        asked.push(self.exchange(server, query, question_end));
                    }
                    None => return Err(reason),
                }
            }
            let reply = tokio::select! {
                Some(reply) = asked.next() => reply,
                () = sleep(HEAD_START), if waiting.len() > 0 => {
                    // Later questions go to the others first, unless it still answers this one.
                    slow.inspect(|server| server.silent_until.set(Some(Instant::now() + self.rest)));
                    slow = waiting.next();
                    asked.extend(slow.map(|server| self.exchange(server, query, question_end)));
                    continue;
                }
            };
            match reply.map_err(|error| error.to_string()).and_then(|reply| read(&reply)) {
                Ok(told) => return Ok(told),
                Err(why) => reason = why,
            }
        }
    }

    /// Addresses of a name, for the sidecar itself: no rule is asked.
    pub(super) async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut addresses = Vec::new();
        for kind in [RecordType::A, RecordType::AAAA] {
            let mut message = Message::new(self.id()?, MessageType::Query, OpCode::Query);
            message.metadata.recursion_desired = true;
            message.queries.push(Query::query(Name::from_utf8(name).map_err(io::Error::other)?, kind));
            let query = message.to_vec().map_err(io::Error::other)?;
            let read = |reply: &[u8]| Message::from_vec(reply).map_err(|error| error.to_string());
            let reply = self.ask(&query, query.len(), read).await.map_err(io::Error::other)?;
            addresses.extend(reply.answers.iter().filter_map(|record| answer::address(&record.data)));
        }
        Ok(addresses)
    }

    /// One question to one server, again over TCP when the answer does not fit.
    async fn exchange(&self, server: &Server, query: &[u8], question_end: usize) -> io::Result<Vec<u8>> {
        let done = timeout(self.timeout, async {
            let socket = self.socket(server.address)?;
            let reply = over_udp(socket, query, question_end).await?;
            match wire::is_truncated(&reply) {
                true => over_tcp(server.address, query, question_end).await,
                false => Ok(reply),
            }
        });
        let reply = done.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        server.silent_until.set(reply.is_err().then(|| Instant::now() + self.rest));
        reply.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", server.address)))
    }

    /// A socket per question: its port is as hard to guess as its number.
    fn socket(&self, server: SocketAddr) -> io::Result<UdpSocket> {
        let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
        mark(&socket)?;
        let any = match server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        for _ in 0..PORT_TRIES {
            let port = OWN_PORTS.start + self.id()? % (OWN_PORTS.end - OWN_PORTS.start);
            match bind(&socket, &SocketAddr::new(any, port)) {
                Err(Errno::ADDRINUSE | Errno::ACCESS) => {}
                other => {
                    other?;
                    break;
                }
            }
        }
        connect(&socket, &server)?;
        UdpSocket::from_std(StdUdpSocket::from(socket))
    }

    /// Asks silent servers now and then, so that they are used again once they are back.
    pub(super) async fn probe(self: Rc<Self>) {
        loop {
            sleep(self.rest).await;
            for server in self.servers.iter().filter(|server| server.silent_until.get().is_some()) {
                let Ok(id) = self.id() else { continue };
                let [high, low] = id.to_be_bytes();
                // Who serves the root: every server knows.
                let query = [high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
                if let Ok(reply) = self.exchange(server, &query, query.len()).await {
                    tracing::info!(server = %server.address, bytes = reply.len(), "a name server is back");
                }
            }
        }
    }
}

async fn over_udp(socket: UdpSocket, query: &[u8], question_end: usize) -> io::Result<Vec<u8>> {
    socket.send(query).await?;
    let mut buffer = vec![0; UDP_BUFFER];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if wire::answers(&buffer[..length], query, question_end) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &[u8], question_end: usize) -> io::Result<Vec<u8>> {
    let socket = if server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    mark(&socket)?;
    let mut stream = socket.connect(server).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let length = usize::from(stream.read_u16().await?);
    let mut reply = vec![0; length];
    stream.read_exact(&mut reply).await?;
    match wire::answers(&reply, query, question_end) {
        true => Ok(reply),
        false => Err(io::Error::other("an answer to another question")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_elsewhere_come_first() {
        let text = "# x\nnameserver 127.0.0.53\noptions edns0\n nameserver 9.9.9.9\nnameserver fe80::1%eth0\nnameserver x\n";
        let expected = ["9.9.9.9:53", "[fe80::1]:53", "127.0.0.53:53"];
        assert_eq!(servers_of(text), expected.map(|text| text.parse().unwrap()));
        assert!(servers_of("").is_empty());
        assert_eq!(servers_of(&"nameserver 9.9.9.9\n".repeat(20)).len(), MAX_SERVERS);
    }

    #[tokio::test]
    async fn who_gives_no_use_is_followed_by_the_next() {
        assert!(rustix::process::geteuid().is_root(), "marking sockets needs root");
        let bad = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let good = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let given = [bad.local_addr().unwrap(), good.local_addr().unwrap()];
        let serve = |socket: UdpSocket, code: u8| async move {
            let mut buffer = [0; 512];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut buffer).await else { return };
                buffer[2] |= 0x80;
                buffer[3] = code;
                if socket.send_to(&buffer[..length], from).await.is_err() {
                    return;
                }
            }
        };
        let servers = [tokio::spawn(serve(bad, 2)), tokio::spawn(serve(good, 3))];
        let upstreams = Upstreams::new(&given, Duration::from_secs(20), Duration::from_secs(30));
        let query = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'x', 0, 0, 1, 0, 1];
        let read = |reply: &[u8]| if reply[3] == 3 { Ok(reply[3]) } else { Err("no".to_owned()) };
        assert_eq!(upstreams.ask(&query, query.len(), read).await, Ok(3));
        let never = |_: &[u8]| Err::<(), _>("never".to_owned());
        assert_eq!(upstreams.ask(&query, query.len(), never).await, Err("never".to_owned()));
        servers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
