//! One HTTP connection with as little between the clock and the wire as possible.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderMap;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A request that takes longer than this counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A connection kept open.
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    host: String,
    headers: HeaderMap,
}

impl Connection {
    /// Connects to `address`; `headers` go with every request.
    pub(crate) async fn open(address: SocketAddr, headers: &HeaderMap) -> Result<Self> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            http1::Builder::new().max_buf_size(1024 * 1024).handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; what goes wrong on it shows in the request's own error.
        tokio::spawn(connection);
        Ok(Self { sender, host: address.to_string(), headers: headers.clone() })
    }

    /// Sends a request and returns the answer once its headers are there; anything but 2xx is an error.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        kind: &str,
        body: Body,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let mut request = request.body(body)?;
        request.headers_mut().extend(self.headers.clone());
        self.sender.ready().await?;
        let response = tokio::time::timeout(PATIENCE, self.sender.send_request(request)).await??;
        if !response.status().is_success() {
            let (status, body) = (response.status(), read(response).await?);
            bail!("{path} answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(response)
    }

    /// A request without body, and its whole answer.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Bytes> {
        read(self.send(Method::GET, path, "", empty()).await?).await
    }

    /// A request without body whose answer has no content.
    pub(crate) async fn delete(&mut self, path: &str) -> Result<StatusCode> {
        let response = self.send(Method::DELETE, path, "", empty()).await?;
        let status = response.status();
        read(response).await?;
        Ok(status)
    }

    /// A JSON request, and its whole answer.
    pub(crate) async fn post(&mut self, path: &str, json: &'static str) -> Result<Bytes> {
        read(self.post_open(path, json).await?).await
    }

    /// A JSON request whose answer is still coming.
    pub(crate) async fn post_open(&mut self, path: &str, json: &'static str) -> Result<Response<Incoming>> {
        self.send(Method::POST, path, "application/json", full(json)).await
    }
}

pub(crate) fn empty() -> Body {
    full("")
}

pub(crate) fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed_unsync()
}

pub(crate) fn streamed(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))).boxed_unsync()
}

/// The rest of an answer, in memory.
pub(crate) async fn read(response: Response<Incoming>) -> Result<Bytes> {
    Ok(tokio::time::timeout(PATIENCE, response.into_body().collect()).await??.to_bytes())
}

/// Counts the rest of an answer without keeping it.
pub(crate) async fn count(response: Response<Incoming>) -> Result<u64> {
    let mut body = response.into_body();
    let mut bytes = 0;
    while let Some(frame) = tokio::time::timeout(PATIENCE, body.frame()).await? {
        bytes += frame?.data_ref().map_or(0, Bytes::len) as u64;
    }
    Ok(bytes)
}
