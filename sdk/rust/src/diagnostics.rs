//! What a sandbox printed, what happened to it, and what it uses.

use sandkeep_specs::lifecycle::{DiagnosticContentResponse, SandboxMetrics};

use crate::execd::ByteStream;
use crate::{Client, Result};

/// Which part of a log to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Lines from the end, 1 to 10000; the server's default is 100.
    pub tail: Option<u32>,
    /// Only what came within this time: a number followed by `s`, `m`, `h` or `d`.
    pub since: Option<String>,
    /// Begin each line with the instant it came.
    pub timestamps: bool,
}

impl LogQuery {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("timestamps", self.timestamps.to_string())];
        pairs.extend(self.tail.map(|lines| ("tail", lines.to_string())));
        pairs.extend(self.since.clone().map(|since| ("since", since)));
        pairs
    }
}

impl Client {
    /// What a sandbox's program has printed.
    ///
    /// # Errors
    ///
    /// 400 if `since` is no span of time, 404 if there is no such sandbox.
    pub async fn logs(&self, id: &str, query: &LogQuery) -> Result<DiagnosticContentResponse> {
        let request = self.http.get(&["v1", "sandboxes", id, "diagnostics", "logs"]);
        let request = request.query(&query.pairs()).query(&[("scope", "container")]);
        self.http.json("the logs", request).await
    }

    /// The same, and then what it prints from now on, until it ends.
    ///
    /// # Errors
    ///
    /// As of [`Client::logs`].
    pub async fn follow_logs(&self, id: &str, query: &LogQuery) -> Result<ByteStream> {
        let request = self.http.get(&["v1", "sandboxes", id, "diagnostics", "logs"]);
        let response = self.http.send(request.query(&query.pairs()).query(&[("follow", true)])).await?;
        Ok(ByteStream::of_output(&self.http, response))
    }

    /// What happened to a sandbox: its newest events, one a line, oldest first; the server's default is 50.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox.
    pub async fn sandbox_events(&self, id: &str, limit: Option<u32>) -> Result<DiagnosticContentResponse> {
        let request = self.http.get(&["v1", "sandboxes", id, "diagnostics", "events"]);
        let mut query = vec![("scope", "runtime".to_owned())];
        query.extend(limit.map(|limit| ("limit", limit.to_string())));
        self.http.json("the events", request.query(&query)).await
    }

    /// Everything the server knows of a sandbox, as text; secrets are masked.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox.
    pub async fn inspect(&self, id: &str) -> Result<String> {
        let request = self.http.get(&["v1", "sandboxes", id, "diagnostics", "inspect"]);
        self.http.text("the inspection", request).await
    }

    /// Inspection, events and logs in one text.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox.
    pub async fn summary(&self, id: &str) -> Result<String> {
        let request = self.http.get(&["v1", "sandboxes", id, "diagnostics", "summary"]);
        self.http.text("the summary", request).await
    }

    /// What a sandbox uses now.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox, 409 if it has no processes in its present state.
    pub async fn sandbox_metrics(&self, id: &str) -> Result<SandboxMetrics> {
        self.http.json("the metrics", self.http.get(&["v1", "sandboxes", id, "metrics"])).await
    }
}
