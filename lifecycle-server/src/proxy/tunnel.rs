//! Upgraded connections: once both sides agreed, messages pass untouched.
//!
//! Sub-protocols, extensions and message sizes are therefore whatever the two ends make of them.

use std::time::Duration;

use axum::{
    body::Body,
    extract::Request,
    http::{
        HeaderMap, HeaderValue,
        header::{CONNECTION, UPGRADE},
    },
    response::Response,
};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::OwnedSemaphorePermit,
    time::timeout,
};

use super::{
    error::ProxyError,
    frames::{Frames, To},
    headers,
};

/// Enough for a full TCP segment burst either way, small enough for thousands of tunnels.
const BUFFER: usize = 16 * 1024;

/// How long one direction may outlive the other.
const FAREWELL: Duration = Duration::from_secs(30);

/// The caller's side of an upgrade under way.
pub(super) struct Upgrade {
    protocol: HeaderValue,
    connection: OnUpgrade,
    permit: OwnedSemaphorePermit,
}

/// The upgrade a request asks for, if any; `permit` is taken for one.
pub(super) fn requested(
    request: &mut Request,
    permit: impl FnOnce() -> Result<OwnedSemaphorePermit, ProxyError>,
) -> Result<Option<Upgrade>, ProxyError> {
    let asks = request
        .headers()
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    let Some(protocol) = request.headers().get(UPGRADE).cloned() else { return Ok(None) };
    if !protocol.as_bytes().eq_ignore_ascii_case(b"websocket") {
        // An offer of another protocol (h2c, TLS) may be declined by not mentioning it.
        return Ok(None);
    }
    let connection = request.extensions_mut().remove::<OnUpgrade>().filter(|_| asks);
    let connection = connection.ok_or(ProxyError::NotUpgradable)?;
    Ok(Some(Upgrade { protocol, connection, permit: permit()? }))
}

impl Upgrade {
    /// Asks the sandbox for the same upgrade.
    pub(super) fn restore(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }

    /// The sandbox agreed: passes its agreement on, and then everything else.
    pub(super) fn join(self, mut response: hyper::Response<Incoming>, held: impl Send + 'static) -> Response {
        let backend = hyper::upgrade::on(&mut response);
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = response.status();
        headers::incoming(response.headers_mut(), "");
        self.restore(response.headers_mut());
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        tokio::spawn(async move {
            let _held = held;
            let Ok((caller, backend)) = tokio::try_join!(self.connection, backend) else { return };
            let (from_caller, to_caller) = tokio::io::split(TokioIo::new(caller));
            let (from_backend, to_backend) = tokio::io::split(TokioIo::new(backend));
            let inward = pump(from_caller, to_backend, Frames::new(To::Sandbox));
            let outward = pump(from_backend, to_caller, Frames::new(To::Caller));
            tokio::pin!(inward, outward);
            // Who has lost one direction has nothing to wait for in the other but the farewell.
            let _ = tokio::select! {
                () = &mut inward => timeout(FAREWELL, outward).await,
                () = &mut outward => timeout(FAREWELL, inward).await,
            };
            drop(self.permit);
        });
        answer
    }
}

/// Passes one direction on until it ends, and the end with it.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut frames: Frames) {
    let (mut buffer, mut out) = (vec![0; BUFFER], Vec::with_capacity(BUFFER));
    loop {
        let count = from.read(&mut buffer).await.unwrap_or(0);
        out.clear();
        match count {
            0 => frames.end(&mut out),
            count => frames.pass(&buffer[..count], &mut out),
        }
        if to.write_all(&out).await.is_err() || to.flush().await.is_err() {
            return;
        }
        if count == 0 {
            break;
        }
    }
    // The other end may be gone already.
    let _ = to.shutdown().await;
}
