//! WebSockets this server ends itself.
//!
//! A browser learns nothing of a handshake that was refused; a code it is told after an accepted one it can read.

use std::time::Duration;

use axum::{
    body::Body,
    extract::Request,
    http::{
        HeaderValue, StatusCode,
        header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
    },
    response::Response,
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::frames::close_frame;

/// How long a caller may take to hear that he was refused.
const FAREWELL: Duration = Duration::from_secs(5);
/// More than this of what a refused caller sends is not listened to.
const MOST_HEARD: u64 = 64 * 1024;

/// A handshake that can be accepted, whether or not anybody stands behind it.
pub struct Handshake {
    accept: HeaderValue,
    connection: OnUpgrade,
}

impl Handshake {
    /// The handshake a request makes, if it is a complete one.
    pub fn of(request: &Request) -> Option<Self> {
        let headers = request.headers();
        let is_websocket = headers.get(UPGRADE)?.as_bytes().eq_ignore_ascii_case(b"websocket");
        let is_known = headers.get(SEC_WEBSOCKET_VERSION)?.as_bytes() == b"13";
        let accept = derive_accept_key(headers.get(SEC_WEBSOCKET_KEY)?.as_bytes());
        let connection = request.extensions().get::<OnUpgrade>()?.clone();
        let accept = HeaderValue::try_from(accept).ok()?;
        (is_websocket && is_known).then_some(Self { accept, connection })
    }

    /// Accepts, and closes with `code` at once.
    pub fn refuse(self, code: u16, reason: &str) -> Response {
        let frame = close_frame(code, reason);
        tokio::spawn(timeout(FAREWELL, async move {
            let Ok(connection) = self.connection.await else { return };
            let mut connection = TokioIo::new(connection);
            if connection.write_all(&frame).await.is_ok() && connection.shutdown().await.is_ok() {
                // Closing while the caller still sends would take the frame away from him.
                let mut heard = connection.take(MOST_HEARD);
                let _ = tokio::io::copy(&mut heard, &mut tokio::io::sink()).await;
            }
        }));
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        response
    }
}
