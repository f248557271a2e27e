//! WebSockets: once both sides agreed, bytes pass untouched.
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

use super::headers;

/// Bytes on their way, each direction.
const BUFFER: usize = 16 * 1024;

/// The client's side of an upgrade under way.
pub(super) struct Upgrade {
    protocol: HeaderValue,
    connection: OnUpgrade,
}

/// The upgrade to a WebSocket a request asks for, if any. Offers of other protocols are declined by not passing them
/// on.
pub(super) fn requested(request: &mut Request) -> Option<Upgrade> {
    let connection = request.headers().get_all(CONNECTION).iter();
    let mut tokens = connection.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let asks = tokens.any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    let protocol = request.headers().get(UPGRADE).filter(|_| asks)?.clone();
    if !protocol.as_bytes().eq_ignore_ascii_case(b"websocket") {
        return None;
    }
    let connection = request.extensions_mut().remove()?;
    Some(Upgrade { protocol, connection })
}

impl Upgrade {
    /// Says on either side that the connection changes.
    pub(super) fn announce(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }

    /// The program agreed: passes its agreement on, and then everything else.
    pub(super) fn join(self, mut response: hyper::Response<Incoming>) -> Response {
        let program = hyper::upgrade::on(&mut response);
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = response.status();
        headers::incoming(response.headers_mut());
        self.announce(response.headers_mut());
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        tokio::spawn(async move {
            let Ok((client, program)) = tokio::try_join!(self.connection, program) else { return };
            let (mut client, mut program) = (TokioIo::new(client), TokioIo::new(program));
            // How it ended is of no interest: both ends are closed now.
            let _ = tokio::io::copy_bidirectional_with_sizes(&mut client, &mut program, BUFFER, BUFFER).await;
        });
        answer
    }
}
