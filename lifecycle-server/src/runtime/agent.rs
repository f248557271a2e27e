//! The daemon inside a sandbox, as the server itself speaks to it.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use sandkeep_specs::execd::{
    ACCESS_TOKEN_HEADER, command::RunCommandRequest, event::EventKind, event::ServerStreamEvent,
    handover::HandOverRequest,
};
use serde::Serialize;
use tokio::{net::TcpStream, time::timeout};

use super::{HandOver, RuntimeError, Slot, native::EXECD_PORT};

/// How long a daemon on the same machine may take to say that it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it may take to start an owner's program.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(10);
/// Answers beyond this size are not for us.
const MAX_ANSWER: usize = 1 << 20;

/// A connection that nothing has been said on yet.
#[derive(Debug)]
pub struct Line(TcpStream);

impl Line {
    /// The connection, unless the other end has closed it meanwhile.
    fn if_open(self) -> Option<TcpStream> {
        let silent = self.0.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        silent.then_some(self.0)
    }
}

/// The execd of one sandbox.
pub(super) struct Agent<'a> {
    address: SocketAddr,
    token: &'a str,
    line: Option<Line>,
}

impl<'a> Agent<'a> {
    pub(super) fn of(slot: Slot, token: &'a str) -> Self {
        Self { address: SocketAddr::from((slot.address, EXECD_PORT)), token, line: None }
    }

    /// The same, with a connection for its next request.
    pub(super) fn on(self, line: Option<Line>) -> Self {
        Self { line, ..self }
    }

    /// A connection for later.
    pub(super) async fn line(&self) -> Option<Line> {
        let connected = timeout(PING_TIMEOUT, connect(self.address)).await;
        connected.ok()?.ok().map(Line)
    }

    /// Whether it answers, and to this token.
    pub(super) async fn answers(mut self) -> bool {
        let request = self.request("GET", "/ping").body(Full::default());
        let Ok(request) = request else { return false };
        matches!(self.send(request, PING_TIMEOUT).await, Ok((StatusCode::OK, _)))
    }

    /// Gives a daemon that stands by to its owner.
    pub(super) async fn hand_over(mut self, order: HandOver) -> Result<(), RuntimeError> {
        let HandOver { execd_token, env, entrypoint } = order;
        let order = HandOverRequest { access_token: execd_token, env, entrypoint };
        match self.post("/handover", &order, HAND_OVER_TIMEOUT).await? {
            (StatusCode::NO_CONTENT, _) => Ok(()),
            (StatusCode::BAD_REQUEST, answer) => Err(RuntimeError::StartFailed(message(&answer))),
            (status, answer) => Err(unusable(format!("it answers {status}: {}", message(&answer)))),
        }
    }

    /// Runs a shell command; whether it ended with status 0 within the limit.
    pub(super) async fn succeeds(&mut self, command: &str, limit: Duration) -> Result<bool, RuntimeError> {
        let request = RunCommandRequest {
            command: Some(command.to_owned()),
            timeout: Some(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
            ..RunCommandRequest::default()
        };
        let (status, answer) = self.post("/command", &request, limit + PING_TIMEOUT).await?;
        Ok(status == StatusCode::OK && has_completed(&answer))
    }

    /// Whether something listens on `port`: seen from outside, or else from inside, as far as there is a bash to look.
    pub(super) async fn listens(mut self, port: u16) -> bool {
        let outside = TcpStream::connect(SocketAddr::new(self.address.ip(), port));
        if matches!(timeout(PING_TIMEOUT, outside).await, Ok(Ok(_))) {
            return true;
        }
        let inside = format!("(: </dev/tcp/127.0.0.1/{port}) 2>/dev/null");
        self.succeeds(&inside, PING_TIMEOUT).await.unwrap_or(false)
    }

    async fn post(
        &mut self,
        path: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<(StatusCode, Bytes), RuntimeError> {
        let body = serde_json::to_vec(body).map_err(|error| unusable(error.to_string()))?;
        let request = self.request("POST", path).header("content-type", "application/json");
        let request = request.body(Full::from(body)).map_err(|error| unusable(error.to_string()))?;
        self.send(request, limit).await
    }

    fn request(&self, method: &str, path: &str) -> hyper::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header(ACCESS_TOKEN_HEADER, self.token)
    }

    /// One request on a connection of its own; a sandbox that stands by gets hardly more than one.
    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<(StatusCode, Bytes), RuntimeError> {
        let exchange = async {
            let stream = match self.line.take().and_then(Line::if_open) {
                Some(stream) => stream,
                None => connect(self.address).await.map_err(|error| unusable(error.to_string()))?,
            };
            let (mut sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(|error| unusable(error.to_string()))?;
            let talk = async {
                let response =
                    sender.send_request(request).await.map_err(|error| unusable(error.to_string()))?;
                let status = response.status();
                let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
                Ok((status, body.map_err(|error| unusable(error.to_string()))?.to_bytes()))
            };
            tokio::pin!(talk);
            tokio::select! {
                // The request first, so that it leaves at once.
                biased;
                answer = &mut talk => answer,
                // The connection is driven here; its end comes after the answer, or instead of it.
                _ = connection => talk.await,
            }
        };
        match timeout(limit, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(unusable(format!("no answer within {} s", limit.as_secs()))),
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Only costs a delay where it fails.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn unusable(problem: String) -> RuntimeError {
    RuntimeError::Os {
        context: "speak to the sandbox's daemon".to_owned(),
        source: io::Error::other(problem),
    }
}

/// What an error answer says.
fn message(answer: &[u8]) -> String {
    let body: Option<serde_json::Value> = serde_json::from_slice(answer).ok();
    let text = body.and_then(|body| Some(body.get("message")?.as_str()?.to_owned()));
    text.unwrap_or_else(|| String::from_utf8_lossy(answer).into_owned())
}

/// Whether a stream of command events ends well.
fn has_completed(stream: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stream);
    let events = text.lines().filter_map(|line| line.strip_prefix("data:"));
    events
        .filter_map(|data| serde_json::from_str::<ServerStreamEvent>(data.trim()).ok())
        .any(|event| event.kind == EventKind::ExecutionComplete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_with_an_error_has_not_completed() {
        let completed = br#"data: {"type":"init","timestamp":1,"text":"x"}

data: {"type":"execution_complete","timestamp":2,"execution_time":3}

"#;
        let failed =
            br#"data: {"type":"error","timestamp":1,"error":{"ename":"E","evalue":"1","traceback":[]}}"#;
        assert!(has_completed(completed));
        assert!(!has_completed(failed));
        assert!(!has_completed(b"garbage"));
    }

    #[test]
    fn an_answer_says_why() {
        assert_eq!(message(br#"{"code":"X","message":"no such program"}"#), "no such program");
        assert_eq!(message(b"plain"), "plain");
    }
}
