//! Events of a command or code stream.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// One event of a stream: `data: {json}` followed by an empty line.
///
/// A command stream is `init`, `ping` (repeated every three seconds), output, then exactly one of
/// `execution_complete` and `error`. Members that do not apply to a kind are absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServerStreamEvent {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Output text with its own line ends; the id of the command or context for `init`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub text: Option<String>,
    /// Number of this execution in its code context, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub execution_count: Option<i64>,
    /// Milliseconds the execution took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub execution_time: Option<i64>,
    /// When the event was made, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub timestamp: Option<i64>,
    /// A value by MIME type; plain text is under `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, additional_properties = true, value_type = Object)]
    pub results: Option<BTreeMap<String, Value>>,
    /// How the execution failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<ExecutionError>,
    /// Present and true when the time limit ended the command (an extension).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub timed_out: Option<bool>,
    /// Where in the command's output, in bytes, this text ends; present on streams attached to later (an extension).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub offset: Option<u64>,
}

impl ServerStreamEvent {
    /// An event of this kind made at `timestamp` (Unix milliseconds), all other members absent.
    #[must_use]
    pub fn new(kind: EventKind, timestamp: i64) -> Self {
        Self {
            kind,
            text: None,
            execution_count: None,
            execution_time: None,
            timestamp: Some(timestamp),
            results: None,
            error: None,
            timed_out: None,
            offset: None,
        }
    }

    /// The same event with this text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The same event with this error.
    #[must_use]
    pub fn with_error(mut self, error: ExecutionError) -> Self {
        self.error = Some(error);
        self
    }
}

/// Kind of a [`ServerStreamEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// First event; `text` is the id.
    Init,
    /// A change of state, described by `text`.
    Status,
    /// The execution failed; `error` says how.
    Error,
    /// Text written to standard output.
    Stdout,
    /// Text written to standard error.
    Stderr,
    /// A value, in `results`.
    Result,
    /// The execution is over.
    ExecutionComplete,
    /// The number of this execution, in `execution_count`.
    ExecutionCount,
    /// The stream is alive.
    Ping,
}

/// Failure of a command or of code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecutionError {
    /// Name of the error: `CommandExecError` for commands, the exception's class for code.
    #[serde(default)]
    pub ename: String,
    /// The exit code of a command (`-1` when its time limit ended it), or the exception's message.
    #[serde(default)]
    pub evalue: String,
    /// Where it happened, one entry a line.
    #[serde(default)]
    pub traceback: Vec<String>,
}
