//! Requests passed on to a session's agent.

use std::{io, path::Path};

use axum::{
    body::Body,
    http::{HeaderValue, Method, Request, header},
};
use hyper::{Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::UnixStream,
    time::{Duration, timeout},
};

/// The agent takes a connection within this time or is gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends a request; the body of its answer comes as it is made.
pub(super) async fn send(socket: &Path, mut request: Request<Body>) -> io::Result<Response<Incoming>> {
    let connected = timeout(CONNECT_TIMEOUT, UnixStream::connect(socket)).await;
    let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("agent"));
    request.headers_mut().remove(header::CONNECTION);
    sender.send_request(request).await.map_err(io::Error::other)
}

/// A request with a JSON body.
pub(super) fn post(path: &str, body: &impl serde::Serialize) -> Request<Body> {
    let mut request = Request::new(Body::from(serde_json::to_vec(body).unwrap_or_default()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = path.parse().unwrap_or_default();
    request
}
