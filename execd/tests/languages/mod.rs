//! What the tests of code contexts in every language share.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part of this"
)]

use hyper::{Method, StatusCode};
use sandkeep_specs::execd::event::{EventKind, ExecutionError};
use serde_json::{Value, json};

use crate::support::{Execd, Run};

/// A context in some language.
pub struct Context<'e> {
    execd: &'e Execd,
    language: &'static str,
    pub id: String,
}

impl<'e> Context<'e> {
    pub async fn new(execd: &'e Execd, language: &'static str) -> Self {
        let body = json!({"language": language, "cwd": execd.home.path()}).to_string();
        let (status, body) = execd.call(Method::POST, "/code/context", body).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let id = serde_json::from_str::<Value>(&body).unwrap()["id"].as_str().unwrap().to_owned();
        Self { execd, language, id }
    }

    pub async fn begin(&self, code: &str) -> Run {
        let context = json!({"id": self.id, "language": self.language});
        self.execd.begin_at("/code", json!({"context": context, "code": code})).await
    }

    /// Runs code to its end and checks the order of its events.
    pub async fn run(&self, code: &str) -> Run {
        let mut run = self.begin(code).await;
        while run.next().await.is_some() {}
        let kinds: Vec<_> = run.events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds[..3], [EventKind::Init, EventKind::Ping, EventKind::ExecutionCount], "{code}");
        assert_eq!(*kinds.last().unwrap(), EventKind::ExecutionComplete, "{code}");
        run
    }

    /// The text of the one result.
    pub async fn value(&self, code: &str) -> String {
        let run = self.run(code).await;
        let found: Vec<_> = run.events.iter().filter_map(|event| event.results.as_ref()).collect();
        assert_eq!(found.len(), 1, "{code}: {:?}", run.events);
        found[0]["text"].as_str().unwrap().to_owned()
    }

    /// Runs code that has no result and does not fail; what it writes.
    pub async fn output(&self, code: &str) -> String {
        let run = self.run(code).await;
        let silent = run.events.iter().all(|event| event.results.is_none() && event.error.is_none());
        assert!(silent, "{code}: {:?}", run.events);
        run.stdout()
    }

    /// The error of code that fails.
    pub async fn error(&self, code: &str) -> ExecutionError {
        let run = self.run(code).await;
        let kinds: Vec<_> = run.events.iter().map(|event| event.kind).collect();
        let at = kinds.iter().position(|kind| *kind == EventKind::Error);
        let at = at.unwrap_or_else(|| panic!("{code} did not fail: {:?}", run.events));
        assert_eq!(kinds[at - 1], EventKind::Status, "{code}");
        run.events[at].error.clone().unwrap()
    }

    /// Interrupts code once it has written something, and waits until it has ended.
    pub async fn interrupted(&self, code: &str) -> ExecutionError {
        let mut run = self.begin(code).await;
        run.next_of(EventKind::Stdout).await;
        let path = format!("/code?id={}", self.id);
        assert_eq!(self.execd.call(Method::DELETE, &path, "").await.0, StatusCode::OK);
        let error = run.next_of(EventKind::Error).await.error.unwrap();
        run.next_of(EventKind::ExecutionComplete).await;
        error
    }
}

/// A sandbox that lacks a program answers 400 and names it.
pub async fn needs(language: &str, program: &str) {
    let execd = Execd::start_with(|command, home| {
        command.env("PATH", home);
    })
    .await;
    let body = json!({"language": language}).to_string();
    let (status, body) = execd.call(Method::POST, "/code/context", body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    assert!(body.contains(&format!("has no {program} ")) && body.contains("NOT_SUPPORTED"), "{body}");
}
