//! One request, there and back.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::{
        HeaderValue, StatusCode, Version,
        header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
    },
    response::{IntoResponse, Response},
};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{error::Elapsed, timeout},
};

use super::{
    Peer,
    body::{Movement, Watched},
    headers,
    target::Target,
    tunnel,
};

/// How long a program may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a program may be silent before it answers, while nothing of the request moves either.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(600);

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no connection in time")]
    ConnectTimeout,
    #[error("no connection: {0}")]
    Connect(#[from] std::io::Error),
    #[error("no answer: {0}")]
    Answer(#[from] hyper::Error),
    #[error("an upgrade nobody asked for")]
    Upgraded,
    #[error("no answer in time")]
    Silence,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        tracing::debug!(reason = %self, "a request could not be forwarded");
        match self {
            Self::Silence => (StatusCode::GATEWAY_TIMEOUT, "Gateway Timeout").into_response(),
            _ => (StatusCode::BAD_GATEWAY, "Bad Gateway").into_response(),
        }
    }
}

/// Sends the request to the program and answers with what comes back, as it comes.
///
/// Each request has a connection of its own: on loopback that costs little, nothing is kept while nobody asks, and no
/// request meets a connection that the program has just closed.
pub(super) async fn forward(target: Target, mut request: Request) -> Result<Response, Failure> {
    let upgrade = tunnel::requested(&mut request);
    let (request, movement) = outgoing(&target, request, upgrade.as_ref());
    let connect = TcpStream::connect((Ipv4Addr::LOCALHOST, target.port));
    let stream = timeout(CONNECT_TIMEOUT, connect).await.map_err(|_: Elapsed| Failure::ConnectTimeout)??;
    // Without this small messages would wait for earlier ones to be acknowledged.
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the answer, or when nobody wants that any more.
    tokio::spawn(connection.with_upgrades());
    let response = answer(sender.send_request(request), &movement).await?;
    match upgrade {
        Some(upgrade) if response.status() == StatusCode::SWITCHING_PROTOCOLS => Ok(upgrade.join(response)),
        None if response.status() == StatusCode::SWITCHING_PROTOCOLS => Err(Failure::Upgraded),
        _ => {
            let (mut parts, body) = response.into_parts();
            headers::incoming(&mut parts.headers);
            parts.version = Version::HTTP_11;
            Ok(Response::from_parts(parts, Body::new(body)))
        }
    }
}

/// The request as the program gets it.
fn outgoing(
    target: &Target,
    request: Request,
    upgrade: Option<&tunnel::Upgrade>,
) -> (hyper::Request<Watched>, Movement) {
    let (mut parts, body) = request.into_parts();
    let peer = parts.extensions.remove::<Peer>().map_or_else(unknown_peer, |Peer(address)| address);
    headers::outgoing(&mut parts.headers, peer);
    if let Some(upgrade) = upgrade {
        upgrade.announce(&mut parts.headers);
    }
    if !body.is_end_stream() && !parts.headers.contains_key(CONTENT_LENGTH) {
        // Said explicitly, as some methods usually have no body and it would be left out.
        parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if !parts.headers.contains_key(HOST)
        && let Ok(host) = HeaderValue::try_from(format!("127.0.0.1:{}", target.port))
    {
        parts.headers.insert(HOST, host);
    }
    let (body, movement) = Watched::new(body);
    let mut forwarded = hyper::Request::new(body);
    *forwarded.method_mut() = parts.method;
    *forwarded.uri_mut() = target.uri.clone();
    *forwarded.headers_mut() = parts.headers;
    (forwarded, movement)
}

/// Waits for the answer's head. A client may take long to send; silence on both sides ends the wait.
async fn answer(
    response: impl Future<Output = hyper::Result<hyper::Response<Incoming>>>,
    movement: &Movement,
) -> Result<hyper::Response<Incoming>, Failure> {
    tokio::pin!(response);
    loop {
        match timeout(SILENCE_TIMEOUT, &mut response).await {
            Ok(response) => return Ok(response?),
            Err(_) if movement.take() => {}
            Err(_) => return Err(Failure::Silence),
        }
    }
}

/// For requests that did not come over a connection of the daemon's.
fn unknown_peer() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}
