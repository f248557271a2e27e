//! One connection to an upstream, and the task that drives it.

use std::{
    net::SocketAddr,
    os::fd::OwnedFd,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, watch},
};

use super::body::{Protocol, RequestBody};
use crate::vault::store::Changes;

/// HTTP/2: how much may be under way in one stream and in all of them.
pub(super) const STREAM_WINDOW: u32 = 1 << 20;
pub(super) const CONNECTION_WINDOW: u32 = 4 << 20;
/// HTTP/2: largest frame, and what is kept of one that cannot be sent yet.
pub(super) const FRAME: u32 = 64 << 10;
pub(super) const SEND_BUFFER: usize = 512 << 10;
/// HTTP/1.1: largest head of a message, what is read at once, and what is kept of a body that cannot be sent yet. Each of
/// many connections may hold so much several times; four times as much makes none faster.
pub(super) const BUFFER: usize = 64 << 10;
/// Largest head of a message, HTTP/2.
pub(super) const HEAD: u32 = 256 << 10;
/// Most headers of a message, HTTP/1.1.
pub(super) const HEADERS: usize = 256;
/// HTTP/2: how often a silent connection is tried, and how long the answer may take.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_LIMIT: Duration = Duration::from_secs(20);

/// What makes two connections exchangeable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) host: String,
    pub(super) address: SocketAddr,
    pub(super) secure: bool,
    pub(super) protocol: Protocol,
}

enum Sender {
    H1(http1::SendRequest<Box<RequestBody>>),
    H2(http2::SendRequest<Box<RequestBody>>),
}

/// What the driving task must know of those who use the connection.
#[derive(Default)]
struct Link {
    /// Answers not yet read to their end.
    in_flight: AtomicUsize,
    /// A secret went out here, so a buffer may still hold it.
    had_secret: AtomicBool,
    /// The vault has changed since: to be closed as soon as nobody uses it.
    stale: AtomicBool,
    idle: Notify,
}

/// Counts an answer as under way as long as it lives.
pub(super) struct Busy(Arc<Link>);

impl Busy {
    fn new(link: &Arc<Link>) -> Self {
        link.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(link.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 && self.0.stale.load(Ordering::Acquire) {
            self.0.idle.notify_one();
        }
    }
}

/// A connection to an upstream.
pub(super) struct Upstream {
    pub(super) key: Key,
    sender: Sender,
    link: Arc<Link>,
}

impl Upstream {
    /// Begins to speak HTTP on a connection; `socket` is what is under it.
    pub(super) async fn start<S>(
        stream: S,
        socket: OwnedFd,
        key: Key,
        changes: watch::Receiver<Changes>,
    ) -> hyper::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let link = Arc::new(Link::default());
        let sender = match key.protocol {
            Protocol::H1 => {
                let (sender, connection) = http1::Builder::new()
                    .max_headers(HEADERS)
                    .max_buf_size(BUFFER)
                    .handshake(TokioIo::new(stream))
                    .await?;
                tokio::spawn(drive(Box::pin(connection.with_upgrades()), socket, link.clone(), changes));
                Sender::H1(sender)
            }
            Protocol::H2 => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .keep_alive_interval(PING_INTERVAL)
                    .keep_alive_timeout(PING_LIMIT)
                    .initial_stream_window_size(STREAM_WINDOW)
                    .initial_connection_window_size(CONNECTION_WINDOW)
                    .max_frame_size(FRAME)
                    .max_send_buf_size(SEND_BUFFER)
                    .max_header_list_size(HEAD)
                    .handshake(TokioIo::new(stream))
                    .await?;
                tokio::spawn(drive(Box::pin(connection), socket, link.clone(), changes));
                Sender::H2(sender)
            }
        };
        Ok(Self { key, sender, link })
    }

    /// Another handle of the same connection, where several requests can share one.
    pub(super) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::H1(_) => None,
            Sender::H2(sender) => Some(Self {
                key: self.key.clone(),
                sender: Sender::H2(sender.clone()),
                link: self.link.clone(),
            }),
        }
    }

    /// Whether it is of use for another request.
    pub(super) fn is_usable(&self) -> bool {
        let is_open = match &self.sender {
            Sender::H1(sender) => !sender.is_closed(),
            Sender::H2(sender) => !sender.is_closed(),
        };
        is_open && !self.link.stale.load(Ordering::Acquire)
    }

    /// Waits until it can take a request; whether it can.
    pub(super) async fn ready(&mut self) -> bool {
        self.is_usable()
            && match &mut self.sender {
                Sender::H1(sender) => sender.ready().await.is_ok(),
                Sender::H2(sender) => sender.ready().await.is_ok(),
            }
    }

    /// Whether it can take a request at once.
    pub(super) fn is_idle(&self) -> bool {
        self.is_usable()
            && match &self.sender {
                Sender::H1(sender) => sender.is_ready(),
                Sender::H2(_) => self.link.in_flight.load(Ordering::Acquire) == 0,
            }
    }

    /// Sends a request; gives it back if nothing of it was sent.
    pub(super) async fn send(
        &mut self,
        request: Request<Box<RequestBody>>,
        with_secret: bool,
    ) -> Result<(Response<Incoming>, Busy), TrySendError<Request<Box<RequestBody>>>> {
        if with_secret {
            self.link.had_secret.store(true, Ordering::Release);
        }
        let busy = Busy::new(&self.link);
        let response = match &mut self.sender {
            Sender::H1(sender) => sender.try_send_request(request).await?,
            Sender::H2(sender) => sender.try_send_request(request).await?,
        };
        Ok((response, busy))
    }
}

/// Drives a connection until it ends. When the vault changes, one that has carried a secret ends as soon as nobody uses
/// it, and at once when the vault was deleted: what its buffers hold goes with it.
async fn drive(
    connection: Pin<Box<impl Future<Output = hyper::Result<()>>>>,
    socket: OwnedFd,
    link: Arc<Link>,
    changes: watch::Receiver<Changes>,
) {
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                tracing::debug!(%error, "upstream connection ended early");
            }
        }
        () = outdated(&link, changes) => {
            // HTTP/2 goes on in tasks that are not ours; they end with their socket. One that is closed is what we want.
            let _ = rustix::net::shutdown(&socket, rustix::net::Shutdown::Both);
        }
    }
}

/// Done when a connection must not be used any longer.
async fn outdated(link: &Link, mut changes: watch::Receiver<Changes>) {
    let mut deletions = changes.borrow_and_update().deletions;
    loop {
        tokio::select! {
            () = link.idle.notified() => {}
            changed = changes.changed() => {
                if changed.is_err() {
                    return std::future::pending().await;
                }
                let now = changes.borrow_and_update().deletions;
                if link.had_secret.load(Ordering::Acquire) {
                    link.stale.store(true, Ordering::Release);
                    if now != deletions {
                        return;
                    }
                }
                deletions = now;
            }
        }
        if link.stale.load(Ordering::Acquire) && link.in_flight.load(Ordering::Acquire) == 0 {
            return;
        }
    }
}
