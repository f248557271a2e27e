//! Connections.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};
use tower::ServiceExt;

use crate::proxy::Peer;

/// A connection without a whole request head for this long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Connections open at the same time, as far as the limit on open files allows.
const MAX_CONNECTIONS: u32 = 32 * 1024;

/// Descriptors kept free for commands and files.
const RESERVED_DESCRIPTORS: u32 = 512;

/// Connections served however low the limit on open files is.
const MIN_CONNECTIONS: u32 = 64;

/// Pause after the system refused a connection for want of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop` is done, then gives the open ones the time it returns to finish. While `stands_by`,
/// connections may stay silent: whoever hands the sandbox over has one ready.
pub(super) async fn serve(
    listener: TcpListener,
    service: Router,
    stands_by: impl Fn() -> bool + Clone + Send + Sync + 'static,
    stop: impl Future<Output = Duration>,
) {
    let limit = connection_limit();
    let slots = Arc::new(Semaphore::new(limit as usize));
    let (stopping, stopped) = watch::channel(false);
    let mut stop = pin!(stop);
    let grace = loop {
        tokio::select! {
            grace = &mut stop => break grace,
            accepted = accept(&listener, &slots) => match accepted {
                Ok((stream, slot)) => {
                    tokio::spawn(connection(stream, service.clone(), stands_by.clone(), stopped.clone(), slot));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    };
    drop(listener);
    stopping.send_replace(true);
    // All slots are free when all connections have ended.
    let _ = timeout(grace, slots.acquire_many(limit)).await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

/// A connection from its first byte to its end. The future is small, as there may be many that never say anything.
async fn connection(
    stream: TcpStream,
    service: Router,
    stands_by: impl Fn() -> bool,
    mut stopped: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
) {
    // Without this small events would wait for earlier ones to be acknowledged.
    let _ = stream.set_nodelay(true);
    tokio::select! {
        speaks = speaks(&stream, stands_by) => if !speaks {
            return;
        },
        _ = stopped.changed() => return,
    }
    serve_http(stream, service, stopped).await;
}

/// Whether the client says anything in time.
async fn speaks(stream: &TcpStream, stands_by: impl Fn() -> bool) -> bool {
    let mut first = [0];
    loop {
        match timeout(IDLE_TIMEOUT, stream.peek(&mut first)).await {
            Ok(peeked) => return matches!(peeked, Ok(1)),
            Err(_) if stands_by() => {}
            Err(_) => return false,
        }
    }
}

/// Serves requests until the client leaves or the daemon stops.
fn serve_http(
    stream: TcpStream,
    service: Router,
    mut stopped: watch::Receiver<bool>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let peer = stream.peer_addr().ok().map(Peer);
    let service = service.map_request(move |mut request: Request<Incoming>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    Box::pin(async move {
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            _ = stopped.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended early");
        }
    })
}

fn connection_limit() -> u32 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let descriptors = limit.map_or(u32::MAX, |limit| u32::try_from(limit).unwrap_or(u32::MAX));
    descriptors.saturating_sub(RESERVED_DESCRIPTORS).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
}
