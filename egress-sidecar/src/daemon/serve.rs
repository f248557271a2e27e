//! Connections to the API.

use std::{
    future::Future,
    net::{SocketAddr, UdpSocket},
    pin::pin,
    sync::Arc,
    time::Duration,
};

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
/// Largest head. Anybody in the namespace may begin one on every connection there is.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// A connection that lasts longer is closed, whatever it does.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);
/// Connections from elsewhere open at the same time; later ones wait.
const MAX_OUTSIDE: u32 = 192;
/// Those from inside the namespace; later ones are closed at once, so that nobody there keeps others waiting.
const MAX_INSIDE: u32 = 64;
/// Pause after the system refused a connection for want of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long open connections have when the daemon ends.
const GRACE: Duration = Duration::from_secs(2);

/// Serves connections until `stop` is done, then gives the open ones a moment.
pub(super) async fn serve(listener: TcpListener, service: Router, stop: impl Future<Output = ()>) {
    let outside = Arc::new(Semaphore::new(MAX_OUTSIDE as usize));
    let inside = Arc::new(Semaphore::new(MAX_INSIDE as usize));
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = async {
                let (stream, peer) = listener.accept().await?;
                let slot = match is_inside(peer) {
                    true => Arc::clone(&inside).try_acquire_owned().ok(),
                    false => Arc::clone(&outside).acquire_owned().await.ok(),
                };
                Ok::<_, std::io::Error>((stream, peer, slot))
            } => accepted,
        };
        match accepted {
            Ok((_, _, None)) => {}
            Ok((stream, peer, Some(slot))) => {
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
    let ended = async { (outside.acquire_many(MAX_OUTSIDE).await, inside.acquire_many(MAX_INSIDE).await) };
    let _ = timeout(GRACE, ended).await;
}

/// Whether an address is one of this namespace's own, whichever those are at the moment: only these can be bound.
fn is_inside(mut peer: SocketAddr) -> bool {
    peer.set_port(0);
    UdpSocket::bind(peer).is_ok()
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
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_told_from_others() {
        for (peer, inside) in [("127.0.0.1:4000", true), ("127.9.9.9:1", true), ("192.0.2.1:4000", false)] {
            assert_eq!(is_inside(peer.parse().unwrap()), inside, "{peer}");
        }
    }
}
