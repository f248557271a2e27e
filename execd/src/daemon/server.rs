//! Connections.

use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

/// A connection without a whole request head for this long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Connections open at the same time, as far as the limit on open files allows.
const MAX_CONNECTIONS: usize = 32 * 1024;

/// Descriptors kept free for commands and files.
const RESERVED_DESCRIPTORS: usize = 512;

/// Pause after the system refused a connection for want of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop` is done, then gives the open ones `grace` to finish.
pub(super) async fn serve(listener: TcpListener, service: Router, stop: impl Future<Output = Duration>) {
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(connection_limit()));
    let mut stop = pin!(stop);
    let grace = loop {
        tokio::select! {
            grace = &mut stop => break grace,
            accepted = accept(&listener, &slots) => match accepted {
                Ok((stream, slot)) => drop(tokio::spawn(connection(stream, service.clone(), graceful.watcher(), slot))),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    };
    drop(listener);
    let _ = timeout(grace, graceful.shutdown()).await;
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

async fn connection(stream: TcpStream, service: Router, watcher: Watcher, _slot: OwnedSemaphorePermit) {
    // Without this small events would wait for earlier ones to be acknowledged.
    let _ = stream.set_nodelay(true);
    // Buffers are made only for connections that say something.
    if !matches!(timeout(IDLE_TIMEOUT, stream.readable()).await, Ok(Ok(()))) {
        return;
    }
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection ended early");
    }
}

fn connection_limit() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let descriptors = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    descriptors.saturating_sub(RESERVED_DESCRIPTORS).clamp(descriptors.min(64), MAX_CONNECTIONS)
}
