//! execd over plain HTTP: what a client in any language would see on the wire.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, body::Incoming};
use serde_json::{Value, json};

use crate::api::{Answer, Http, http};

/// Longest wait for one event or answer.
const EVENT_TIMEOUT: Duration = Duration::from_secs(60);

/// A caller of one execd.
#[derive(Clone)]
pub struct Execd {
    pub base: String,
    pub headers: Vec<(String, String)>,
    http: Http,
}

/// What a finished command left behind.
#[derive(Debug, Default)]
pub struct Ran {
    pub stdout: String,
    pub stderr: String,
    pub exit_code: i32,
}

impl Execd {
    /// Port every sandbox's execd listens on.
    pub const PORT: u16 = 44772;

    pub fn new(base: String, headers: Vec<(String, String)>) -> Self {
        Self { base, headers, http: http() }
    }

    fn build(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        Ok(request.body(Full::new(bytes))?)
    }

    /// One request, its answer read to the end.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let what = format!("{method} {path}");
        let request = self.build(method, path, body)?;
        let exchange = async {
            let (parts, body) = self.http.request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        let answer = tokio::time::timeout(EVENT_TIMEOUT, exchange).await;
        answer.with_context(|| format!("{what}: no answer in {EVENT_TIMEOUT:?}"))?.context(what)
    }

    /// Posts a request that is answered by a stream of events.
    pub async fn stream(&self, path: &str, body: &Value) -> Result<Events> {
        let response = tokio::time::timeout(
            EVENT_TIMEOUT,
            self.http.request(self.build(Method::POST, path, Some(body))?),
        )
        .await??;
        let status = response.status();
        let content_type = response.headers().get("content-type").cloned();
        let body = response.into_body();
        if status != 200 {
            let text = body.collect().await?.to_bytes();
            anyhow::bail!("{path}: status {status}: {}", String::from_utf8_lossy(&text));
        }
        ensure!(
            content_type.as_ref().is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream")),
            "{path}: an event stream has content type {content_type:?}"
        );
        Ok(Events { body, buffer: BytesMut::new() })
    }

    /// Runs a shell command to its end.
    pub async fn run(&self, command: &str) -> Result<Ran> {
        self.stream("/command", &json!({ "command": command })).await?.finish().await
    }

    /// Runs a shell command that must succeed and returns what it printed, without the last line end.
    pub async fn output(&self, command: &str) -> Result<String> {
        let ran = self.run(command).await?;
        ensure!(ran.exit_code == 0, "{command:?} ended with {ran:?}");
        Ok(ran.stdout.trim_end_matches('\n').to_owned())
    }
}

/// The events of one stream as they arrive.
pub struct Events {
    body: Incoming,
    buffer: BytesMut,
}

impl Events {
    /// The next event, `None` at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let event = self.buffer.split_to(end + 2);
                let text = std::str::from_utf8(&event)?.trim_end();
                let data =
                    text.strip_prefix("data:").with_context(|| format!("not an SSE event: {text:?}"))?;
                return Ok(Some(serde_json::from_str(data)?));
            }
            let frame = tokio::time::timeout(EVENT_TIMEOUT, self.body.frame()).await;
            match frame.context("the stream went silent")? {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                None => {
                    ensure!(self.buffer.is_empty(), "the stream ended inside an event: {:?}", self.buffer);
                    return Ok(None);
                }
            }
        }
    }

    /// The next event of one of `kinds`, others skipped.
    pub async fn next_of(&mut self, kinds: &[&str]) -> Result<Value> {
        while let Some(event) = self.next().await? {
            if event["type"].as_str().is_some_and(|kind| kinds.contains(&kind)) {
                return Ok(event);
            }
        }
        anyhow::bail!("the stream ended before an event of {kinds:?}")
    }

    /// The id the stream begins with.
    pub async fn id(&mut self) -> Result<String> {
        let init = self.next_of(&["init"]).await?;
        init["text"].as_str().map(str::to_owned).context("an init event has a text")
    }

    /// Reads to the end: both outputs and the exit code as published clients work it out.
    pub async fn finish(mut self) -> Result<Ran> {
        let mut ran = Ran::default();
        let mut ends = 0;
        while let Some(event) = self.next().await? {
            let text = event["text"].as_str().unwrap_or_default();
            match event["type"].as_str().unwrap_or_default() {
                "stdout" => ran.stdout.push_str(text),
                "stderr" => ran.stderr.push_str(text),
                "execution_complete" => ends += 1,
                "error" => {
                    ends += 1;
                    let code = event["error"]["evalue"].as_str().unwrap_or_default();
                    ran.exit_code = code.parse().unwrap_or(-1);
                    if ran.exit_code == 0 {
                        ran.exit_code = -1;
                    }
                }
                _ => {}
            }
        }
        ensure!(ends == 1, "a command's stream has one terminal event, not {ends}: {ran:?}");
        Ok(ran)
    }
}
