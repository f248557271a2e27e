//! Starts the real binary and talks to it.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part of this"
)]

use std::{
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use sandkeep_specs::execd::event::{EventKind, ServerStreamEvent};
use serde_json::Value;
use tokio::net::TcpStream;

pub const TOKEN: &str = "a-test-token";

/// Longest wait for anything in these tests.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon of its own, ended with this value.
pub struct Execd {
    pub process: Child,
    pub address: SocketAddr,
    pub home: tempfile::TempDir,
}

/// A port nobody uses, outside the range from which outgoing connections get theirs.
pub fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + number % COUNT).unwrap();
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

/// The binary, with surroundings that do not depend on who runs the tests, nor on where the sources are: other users
/// may have no way into that directory.
pub fn command() -> Command {
    surround(Command::new(env!("CARGO_BIN_EXE_execd")))
}

/// The same binary, copied to where every user may execute it.
pub fn command_in(directory: &std::path::Path) -> Command {
    let copy = directory.join("execd");
    std::fs::copy(env!("CARGO_BIN_EXE_execd"), &copy).unwrap();
    surround(Command::new(copy))
}

fn surround(mut command: Command) -> Command {
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/").stdin(Stdio::null());
    command
}

impl Execd {
    pub async fn start() -> Self {
        Self::start_with(|_, _| ()).await
    }

    /// Starts it after `adjust` changed the command line; it also gets the private directory.
    pub async fn start_with(adjust: impl FnOnce(&mut Command, &std::path::Path)) -> Self {
        let home = tempfile::tempdir().unwrap();
        Self::start_as(command(), home, adjust).await
    }

    /// Starts this command with the private directory `home`.
    pub async fn start_as(
        mut command: Command,
        home: tempfile::TempDir,
        adjust: impl FnOnce(&mut Command, &std::path::Path),
    ) -> Self {
        let port = free_port();
        command
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .env("EXECD_ACCESS_TOKEN", TOKEN)
            .env("EXECD_ENVS", home.path().join("envs"))
            .args(["--log-level", "4", "--port", &port.to_string()]);
        adjust(&mut command, home.path());
        let process = command.spawn().unwrap();
        let execd = Self { process, address: ([127, 0, 0, 1], port).into(), home };
        execd.wait_until_up().await;
        execd
    }

    async fn wait_until_up(&self) {
        let start = Instant::now();
        while TcpStream::connect(self.address).await.is_err() {
            assert!(start.elapsed() < PATIENCE, "execd does not listen");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Memory of its own in KiB, without the pages of its executable.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub async fn connect(&self) -> http1::SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    pub fn request(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", "execd")
            .header("x-execd-access-token", TOKEN)
            .body(Full::new(body.into()))
            .unwrap()
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let mut sender = self.connect().await;
        tokio::time::timeout(PATIENCE, sender.send_request(request))
            .await
            .expect("an answer in time")
            .unwrap()
    }

    pub async fn call(&self, method: Method, path: &str, body: impl Into<Bytes>) -> (StatusCode, String) {
        let response = self.send(self.request(method, path, body)).await;
        let status = response.status();
        let body = tokio::time::timeout(PATIENCE, response.collect()).await.expect("a body in time").unwrap();
        (status, String::from_utf8_lossy(&body.to_bytes()).into_owned())
    }

    pub async fn get(&self, path: &str) -> (StatusCode, String) {
        self.call(Method::GET, path, "").await
    }

    pub async fn run(&self, body: Value) -> Run {
        let mut run = self.begin(body).await;
        while run.next().await.is_some() {}
        run
    }

    /// Runs a command over a connection that is used again.
    pub async fn run_on(&self, connection: &mut http1::SendRequest<Full<Bytes>>, body: Value) -> Run {
        connection.ready().await.unwrap();
        let request = connection.send_request(self.request(Method::POST, "/command", body.to_string()));
        let mut run =
            Run::new(tokio::time::timeout(PATIENCE, request).await.expect("an answer in time").unwrap());
        while run.next().await.is_some() {}
        run
    }

    /// Starts a command and reads no further than the response's head.
    pub async fn begin(&self, body: Value) -> Run {
        self.begin_at("/command", body).await
    }

    /// Starts any stream and reads no further than the response's head.
    pub async fn begin_at(&self, path: &str, body: Value) -> Run {
        self.open(Method::POST, path, body).await
    }

    /// Opens a stream and reads no further than the response's head.
    pub async fn open(&self, method: Method, path: &str, body: Value) -> Run {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Run::new(self.send(self.request(method, path, body)).await)
    }

    pub async fn status(&self, id: &str) -> Value {
        let (status, body) = self.get(&format!("/command/status/{id}")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until a command has ended and returns its status.
    pub async fn ended(&self, id: &str) -> Value {
        let start = Instant::now();
        loop {
            let status = self.status(id).await;
            if status["running"] == false {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "{status} did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Execd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command's stream.
pub struct Run {
    body: Incoming,
    unread: Vec<u8>,
    pub events: Vec<ServerStreamEvent>,
    taken: usize,
}

impl Run {
    fn new(response: Response<Incoming>) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), unread: Vec::new(), events: Vec::new(), taken: 0 }
    }

    /// The next event, as soon as it is there.
    pub async fn next(&mut self) -> Option<ServerStreamEvent> {
        self.next_within(PATIENCE).await
    }

    /// The next event, which may take this long.
    pub async fn next_within(&mut self, patience: Duration) -> Option<ServerStreamEvent> {
        loop {
            if let Some(event) = self.events.get(self.taken) {
                self.taken += 1;
                return Some(event.clone());
            }
            let frame = tokio::time::timeout(patience, self.body.frame()).await.expect("an event in time")?;
            let data = frame.unwrap().into_data().unwrap();
            // A frame may end anywhere, even inside a character.
            self.unread.extend_from_slice(&data);
            while let Some(end) = memchr::memmem::find(&self.unread, b"\n\n") {
                let event = self.unread[..end].strip_prefix(b"data: ").expect("a data line");
                self.events.push(serde_json::from_slice(event).unwrap());
                self.unread.drain(..end + 2);
            }
        }
    }

    /// The next event of this kind.
    pub async fn next_of(&mut self, kind: EventKind) -> ServerStreamEvent {
        loop {
            let event = self.next().await.expect("the stream ended early");
            if event.kind == kind {
                return event;
            }
        }
    }

    pub fn id(&self) -> String {
        assert_eq!(self.events[0].kind, EventKind::Init);
        self.events[0].text.clone().unwrap()
    }

    pub fn text_of(&self, kind: EventKind) -> String {
        self.events
            .iter()
            .filter(|event| event.kind == kind)
            .filter_map(|event| event.text.as_deref())
            .collect()
    }

    pub fn stdout(&self) -> String {
        self.text_of(EventKind::Stdout)
    }

    pub fn stderr(&self) -> String {
        self.text_of(EventKind::Stderr)
    }

    /// The exit code, after checking that the stream has the right shape.
    pub fn exit_code(&self) -> i32 {
        assert!(self.unread.is_empty(), "the stream ends inside an event");
        let kinds: Vec<_> = self.events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds[..2], [EventKind::Init, EventKind::Ping]);
        let terminal = |kind: &EventKind| matches!(kind, EventKind::Error | EventKind::ExecutionComplete);
        assert_eq!(kinds.iter().filter(|kind| terminal(kind)).count(), 1, "{kinds:?}");
        let last = self.events.last().unwrap();
        assert!(terminal(&last.kind), "{kinds:?}");
        last.error.as_ref().map_or(0, |error| error.evalue.parse().unwrap())
    }
}

/// Fails where users cannot be changed: a test that tried nothing must not pass.
pub fn need_root() {
    assert!(rustix::process::geteuid().is_root(), "this test needs root: run it with sudo");
}

/// Whether a process is there, zombies not counted.
pub fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

/// Waits until something holds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
