//! Upgraded connections: once both sides agreed, bytes pass untouched.
//!
//! Sub-protocols, extensions, message sizes and close codes are therefore whatever the two ends make of them.

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

use super::{error::ProxyError, headers};
use crate::sandbox::Visit;

/// Enough for a full TCP segment burst either way, small enough for thousands of tunnels.
const BUFFER: usize = 16 * 1024;

/// The caller's side of an upgrade under way.
pub(super) struct Upgrade {
    protocol: HeaderValue,
    connection: OnUpgrade,
}

/// The upgrade a request asks for, if any.
pub(super) fn requested(request: &mut Request) -> Result<Option<Upgrade>, ProxyError> {
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
    connection.map(|connection| Some(Upgrade { protocol, connection })).ok_or(ProxyError::NotUpgradable)
}

impl Upgrade {
    /// Asks the sandbox for the same upgrade.
    pub(super) fn restore(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }

    /// The sandbox agreed: passes its agreement on, and then everything else.
    pub(super) fn join(self, mut response: hyper::Response<Incoming>, visit: Visit) -> Response {
        let backend = hyper::upgrade::on(&mut response);
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = response.status();
        headers::incoming(response.headers_mut(), "");
        self.restore(response.headers_mut());
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        tokio::spawn(async move {
            let _visit = visit;
            let Ok((caller, backend)) = tokio::try_join!(self.connection, backend) else { return };
            let (mut caller, mut backend) = (TokioIo::new(caller), TokioIo::new(backend));
            // How it ended is of no interest: both ends are closed now.
            let _ = tokio::io::copy_bidirectional_with_sizes(&mut caller, &mut backend, BUFFER, BUFFER).await;
        });
        answer
    }
}
