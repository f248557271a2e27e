//! What tests of sessions and terminals share.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::{Method, StatusCode, body::Incoming};
use sandkeep_specs::execd::event::{EventKind, ServerStreamEvent};
use serde_json::{Value, json};

use crate::support::{Execd, PATIENCE};

/// A bash session.
pub struct Session<'a> {
    pub execd: &'a Execd,
    pub id: String,
}

impl<'a> Session<'a> {
    pub async fn new(execd: &'a Execd) -> Self {
        Self::with(execd, "").await
    }

    pub async fn with(execd: &'a Execd, body: &str) -> Self {
        let (status, body) = execd.call(Method::POST, "/session", body.to_owned()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let id = serde_json::from_str::<Value>(&body).unwrap()["session_id"].as_str().unwrap().to_owned();
        Self { execd, id }
    }

    /// Starts a run and reads no further than the response's head.
    pub async fn begin(&self, body: Value) -> Stream {
        let path = format!("/session/{}/run", self.id);
        let response = self.execd.send(self.execd.request(Method::POST, &path, body.to_string())).await;
        assert_eq!(response.status(), StatusCode::OK, "{body}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream { body: response.into_body(), text: String::new() }
    }

    pub async fn run(&self, body: Value) -> Ended {
        Ended(self.begin(body).await.rest().await)
    }

    /// Runs a text.
    pub async fn sh(&self, command: &str) -> Ended {
        self.run(json!({ "command": command })).await
    }

    /// What a run that must be refused is answered.
    pub async fn refused(&self, body: Value) -> (StatusCode, String) {
        self.execd.call(Method::POST, &format!("/session/{}/run", self.id), body.to_string()).await
    }

    pub async fn delete(&self) -> StatusCode {
        self.execd.call(Method::DELETE, &format!("/session/{}", self.id), "").await.0
    }
}

/// A run's events as they come.
pub struct Stream {
    body: Incoming,
    text: String,
}

impl Stream {
    pub async fn next(&mut self) -> Option<ServerStreamEvent> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                return Some(serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap());
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("an event in time")?;
            self.text.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
        }
    }

    /// Reads until this text was written to standard output.
    pub async fn until(&mut self, text: &str) {
        let mut seen = String::new();
        while !seen.contains(text) {
            let event = self.next().await.expect("the stream ended early");
            if event.kind == EventKind::Stdout {
                seen.push_str(&event.text.unwrap());
            }
        }
    }

    pub async fn rest(mut self) -> Vec<ServerStreamEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// All events of a run.
#[derive(Debug)]
pub struct Ended(pub(crate) Vec<ServerStreamEvent>);

impl Ended {
    fn text(&self, kind: EventKind) -> String {
        self.0.iter().filter(|event| event.kind == kind).map(|event| event.text.clone().unwrap()).collect()
    }

    pub fn stdout(&self) -> String {
        self.text(EventKind::Stdout)
    }

    pub fn stderr(&self) -> String {
        self.text(EventKind::Stderr)
    }

    /// What the client was told about the shell.
    pub fn notice(&self) -> String {
        self.text(EventKind::Status)
    }

    /// The exit code; the stream must have the one right shape.
    pub fn code(&self) -> i32 {
        let kinds: Vec<_> = self.0.iter().map(|event| event.kind).collect();
        assert_eq!(kinds[..2], [EventKind::Init, EventKind::Ping]);
        let terminal = |kind: &EventKind| matches!(kind, EventKind::ExecutionComplete | EventKind::Error);
        assert_eq!(kinds.iter().filter(|kind| terminal(kind)).count(), 1, "{kinds:?}");
        let last = self.0.last().unwrap();
        match last.kind {
            EventKind::ExecutionComplete => 0,
            EventKind::Error => last.error.as_ref().unwrap().evalue.parse().unwrap(),
            other => panic!("{other:?} is last"),
        }
    }

    pub fn timed_out(&self) -> bool {
        self.0.last().unwrap().timed_out == Some(true)
    }
}

/// Whether a process exists and is not just waiting to be reaped.
pub fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat[stat.rfind(')').unwrap()..].starts_with(") Z"))
}

/// Waits for something to become true.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
