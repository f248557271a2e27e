//! Accepts connections and serves HTTP/1.1 and HTTP/2 on them, within bounds.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use sandkeep_idle::Activity;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tower::ServiceExt;

/// File descriptors that are not for callers' connections: the database, the runtime, connections into sandboxes.
const RESERVED_DESCRIPTORS: u64 = 512;
/// After a failure to accept, for instance without free descriptors, trying again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// What HTTP/2 connections begin with; a client that begins so and stalls is no better than one that sends nothing.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0";
/// Idle HTTP/2 connections are probed this often.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection without traffic is probed after this long, so often, and given up after so many probes in vain.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_INTERVAL: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;
/// Largest head of an HTTP/1.1 request, and most bytes of a body read at once.
const HTTP1_BUFFER: usize = 256 * 1024;
/// Largest head of an HTTP/2 request.
const HTTP2_HEAD: u32 = 64 * 1024;

/// How a listener treats its connections.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Connections the kernel holds until they are accepted.
    pub backlog: u32,
    /// Longest wait for a request's head, on a new connection and between two requests.
    pub keep_alive: Duration,
    /// How long requests under way may take once the server stops.
    pub grace: Duration,
}

/// A bound address. Connections queue in the kernel until [`Listener::run`].
pub struct Listener {
    inner: TcpListener,
    options: Options,
}

impl Listener {
    /// Binds `host:port`; port 0 is any free one.
    pub async fn bind(host: &str, port: u16, options: Options) -> io::Result<Self> {
        let mut addresses = tokio::net::lookup_host((host, port)).await?;
        let address = addresses.next().ok_or_else(|| io::Error::other(format!("{host} has no address")))?;
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self { inner: socket.listen(options.backlog)?, options })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Serves until `stop` is done, then lets requests under way finish within the grace.
    /// Every request is noticed as activity.
    pub async fn run(self, router: Router, activity: Arc<Activity>, stop: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let connections = Arc::new(Semaphore::new(most_connections()));
        let server = self.server();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = self.inner.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // Over the limit a connection is closed at once: an answer would cost more than the connection.
            let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else { continue };
            prepare(&stream);
            let (server, watcher, router) = (server.clone(), graceful.watcher(), router.clone());
            let activity = Arc::clone(&activity);
            let patience = self.options.keep_alive;
            tokio::spawn(async move {
                let Ok(Ok(())) = timeout(patience, first_bytes(&stream)).await else { return };
                let service = TowerToHyperService::new(router.map_request(
                    move |mut request: hyper::Request<Incoming>| {
                        activity.notice();
                        request.extensions_mut().insert(ConnectInfo(peer));
                        request.map(axum::body::Body::new)
                    },
                ));
                let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
                // A connection ends with an error whenever its client does something unusual; nothing to report.
                let _ = watcher.watch(connection.into_owned()).await;
                drop(permit);
            });
        }
        drop(self.inner);
        if timeout(self.options.grace, graceful.shutdown()).await.is_err() {
            tracing::info!("requests still under way were cut off");
        }
    }

    fn server(&self) -> auto::Builder<TokioExecutor> {
        let mut server = auto::Builder::new(TokioExecutor::new());
        server
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.options.keep_alive)
            .max_buf_size(HTTP1_BUFFER);
        server
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(HTTP2_PING_INTERVAL)
            .keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .max_header_list_size(HTTP2_HEAD)
            .adaptive_window(true);
        server
    }
}

/// Small answers leave at once, and a client that vanished is noticed even while nothing is sent to it.
fn prepare(stream: &TcpStream) {
    use rustix::net::sockopt::{
        set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_nodelay,
    };
    let set = set_tcp_nodelay(stream, true)
        .and_then(|()| set_socket_keepalive(stream, true))
        .and_then(|()| set_tcp_keepidle(stream, PROBE_AFTER))
        .and_then(|()| set_tcp_keepintvl(stream, PROBE_INTERVAL))
        .and_then(|()| set_tcp_keepcnt(stream, PROBES));
    if let Err(error) = set {
        tracing::debug!(%error, "a connection keeps the system's own settings");
    }
}

/// Waits until it is clear which version of HTTP the client speaks.
async fn first_bytes(stream: &TcpStream) -> io::Result<()> {
    let mut start = [0; HTTP2_PREFACE.len()];
    let mut seen = 0;
    loop {
        let read = stream.peek(&mut start).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if read == start.len() || start[..read] != HTTP2_PREFACE[..read] {
            return Ok(());
        }
        // Peeking again returns at once while there is anything to see.
        if read == seen {
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
        seen = read;
    }
}

/// As many connections as there are descriptors for; every third of them may have another one into a sandbox.
fn most_connections() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = limit.saturating_sub(RESERVED_DESCRIPTORS) / 4 * 3;
    usize::try_from(most.max(64)).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}
