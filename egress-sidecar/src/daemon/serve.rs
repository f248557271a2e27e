//! Connections to the API.

use std::{future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tower::ServiceExt;

/// A connection without a whole request head for this long is closed, so that those of a flood make room again.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that lasts longer is closed, whatever it does.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);
/// Connections open at the same time; later ones wait.
const MAX_CONNECTIONS: u32 = 256;
/// Pause after the system refused a connection for want of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long open connections have when the daemon ends.
const GRACE: Duration = Duration::from_secs(2);

/// Serves connections until `stop` is done, then gives the open ones a moment.
pub(super) async fn serve(listener: TcpListener, service: Router, stop: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = async {
                let slot = Arc::clone(&slots).acquire_owned().await.map_err(std::io::Error::other)?;
                Ok::<_, std::io::Error>((listener.accept().await?, slot))
            } => accepted,
        };
        match accepted {
            Ok(((stream, peer), slot)) => {
                let service = service.clone();
                tokio::spawn(async move {
                    // One that takes longer is cut off.
                    let _ = timeout(CONNECTION_TIMEOUT, connection(stream, peer, service)).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // All slots are free when all connections have ended.
    let _ = timeout(GRACE, slots.acquire_many(MAX_CONNECTIONS)).await;
}

async fn connection(stream: TcpStream, peer: SocketAddr, service: Router) {
    // Only costs a delay where it fails.
    let _ = stream.set_nodelay(true);
    let service = service.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended early");
    }
}
