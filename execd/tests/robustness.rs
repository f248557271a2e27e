//! Clients that misbehave, over TCP against the real binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod support;

use std::time::Duration;

use hyper::StatusCode;
use sandkeep_specs::execd::event::EventKind;
use serde_json::json;
use support::{Execd, PATIENCE, TOKEN};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

/// Memory in KiB that the daemon must not exceed, whatever clients do.
const MEMORY_LIMIT: u64 = 24 * 1024;

async fn open_command(execd: &Execd, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(execd.address).await.unwrap();
    let head = format!(
        "POST /command HTTP/1.1\r\nhost: x\r\nx-execd-access-token: {TOKEN}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

fn written(pid: i32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_command_not_the_daemon() {
    let execd = Execd::start().await;
    let pid_file = execd.home.path().join("pid");
    let mut stream = open_command(&execd, r#"{"command":"echo $$ > ~/pid; exec yes 0123456789"}"#).await;
    let mut begin = [0; 2000];
    stream.read_exact(&mut begin).await.unwrap();
    let pid: i32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    sleep(Duration::from_millis(800)).await;
    let (before, memory) = (written(pid), execd.memory());
    sleep(Duration::from_millis(800)).await;
    assert_eq!(written(pid), before, "the command writes on");
    assert!(memory < MEMORY_LIMIT && execd.memory() < MEMORY_LIMIT, "{memory} KiB");
    assert_eq!(execd.get("/ping").await.0, StatusCode::OK);

    // Once the client has gone nobody holds the command up.
    drop(stream);
    support::eventually("the command goes on", || written(pid) > before + 50_000_000).await;
    assert!(execd.memory() < MEMORY_LIMIT, "{} KiB", execd.memory());
}

#[tokio::test]
async fn megabytes_pass_through_in_little_memory() {
    let execd = Execd::start().await;
    let mut stream = open_command(&execd, r#"{"command":"yes 'a line of output' | head -c 50000000"}"#).await;
    let mut buffer = vec![0; 1 << 20];
    let (mut total, mut most) = (0, 0);
    loop {
        let count = timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        total += count;
        most = most.max(execd.memory());
        let end = &buffer[count.saturating_sub(200)..count];
        if count == 0 || end.windows(18).any(|part| part == b"execution_complete") {
            break;
        }
    }
    assert!(total > 50_000_000, "{total}");
    assert!(most < MEMORY_LIMIT, "{most} KiB");
}

#[tokio::test]
async fn thousands_of_idle_connections_cost_little() {
    const CONNECTIONS: usize = 3000;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = CONNECTIONS.min(usize::try_from(limit / 2).unwrap_or(CONNECTIONS));
    let execd = Execd::start().await;
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(TcpStream::connect(execd.address).await.unwrap());
    }
    assert_eq!(execd.run(json!({"command": "echo hi"})).await.stdout(), "hi\n");
    assert!(execd.memory() < MEMORY_LIMIT, "{} KiB", execd.memory());
    drop(idle);
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let execd = Execd::start().await;
    for (method, path, expected) in
        [("POST", "/command", "413"), ("GET", "/ping", "413"), ("DELETE", "/command?id=x", "413")]
    {
        let mut stream = TcpStream::connect(execd.address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nx-execd-access-token: {TOKEN}\r\ncontent-length: 2147483648\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The client keeps on sending, as a careless one does.
        let (mut read, mut write) = stream.into_split();
        let sending = tokio::spawn(async move {
            let chunk = vec![b'x'; 1 << 20];
            while write.write_all(&chunk).await.is_ok() {}
        });
        let mut answer = [0; 12];
        timeout(PATIENCE, read.read_exact(&mut answer)).await.expect("an answer in time").unwrap();
        assert_eq!(std::str::from_utf8(&answer[9..]).unwrap(), expected, "{method} {path}");
        drop(read);
        timeout(PATIENCE, sending).await.expect("the connection ends").unwrap();
    }
    let endless = TcpStream::connect(execd.address).await.unwrap();
    let (mut read, mut write) = endless.into_split();
    let head = format!(
        "POST /command HTTP/1.1\r\nhost: x\r\nx-execd-access-token: {TOKEN}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    write.write_all(head.as_bytes()).await.unwrap();
    tokio::spawn(async move {
        let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
        while write.write_all(chunk.as_bytes()).await.is_ok() {}
    });
    let mut answer = [0; 12];
    timeout(PATIENCE, read.read_exact(&mut answer)).await.expect("an answer in time").unwrap();
    assert_eq!(&answer[9..], b"413");
    assert!(execd.memory() < 3 * MEMORY_LIMIT, "{} KiB", execd.memory());
    assert_eq!(execd.get("/ping").await.0, StatusCode::OK);
}

#[tokio::test]
async fn rubbish_and_hang_ups() {
    let execd = Execd::start().await;
    let pieces: [&[u8]; 6] = [
        b"\0\0\0\0",
        b"GET",
        b"POST /command HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"",
    ];
    for bytes in pieces {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(execd.address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
        }
    }
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(1 << 20));
    let mut stream = TcpStream::connect(execd.address).await.unwrap();
    let _ = stream.write_all(long.as_bytes()).await;
    for _ in 0..50 {
        let mut run = execd.begin(json!({"command": "echo x; sleep 0.2"})).await;
        run.next_of(EventKind::Stdout).await;
    }
    assert_eq!(execd.run(json!({"command": "echo alive"})).await.stdout(), "alive\n");
}
