//! What a command or piece of code did, once it is over.

use std::collections::BTreeMap;
use std::time::Duration;

use sandkeep_specs::execd::event::{EventKind, ExecutionError, ServerStreamEvent};
use serde_json::Value;

use crate::{Error, Result};

/// Outcome of a command or of code.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Execution {
    /// Id of the command, or of the context the code ran in.
    pub id: String,
    /// Everything written to standard output.
    pub stdout: String,
    /// Everything written to standard error.
    pub stderr: String,
    /// Values by MIME type, in the order they were shown; plain text is under `text`.
    pub results: Vec<BTreeMap<String, Value>>,
    /// How it failed, if it did.
    pub error: Option<ExecutionError>,
    /// Whether the time limit ended it.
    pub timed_out: bool,
    /// How long it took, as the daemon measured it in whole milliseconds.
    pub duration: Option<Duration>,
    /// Number of this execution in its code context.
    pub execution_count: Option<i64>,
    completed: bool,
}

impl Execution {
    /// Exit status of a command: 128 + N after signal N; nothing when it could not start or ran out of time.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match &self.error {
            None => self.completed.then_some(0),
            Some(error) => error.evalue.parse().ok().filter(|code| *code >= 0),
        }
    }

    /// Whether it ended without an error.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.error.is_none() && self.completed
    }

    /// Plain text of the last value, for code that ends in an expression.
    #[must_use]
    pub fn result_text(&self) -> Option<&str> {
        self.results.last()?.get("text")?.as_str()
    }

    /// Takes one event in. Daemons that cut line ends off get them back between two texts.
    pub(super) fn add(&mut self, event: ServerStreamEvent, keeps_line_ends: bool) {
        let text = event.text.unwrap_or_default();
        match event.kind {
            EventKind::Init => self.id = text,
            EventKind::Stdout => append(&mut self.stdout, &text, keeps_line_ends),
            EventKind::Stderr => append(&mut self.stderr, &text, keeps_line_ends),
            EventKind::Result => self.results.extend(event.results),
            EventKind::ExecutionCount => self.execution_count = event.execution_count,
            EventKind::Error => {
                self.error = Some(event.error.unwrap_or_else(|| ExecutionError {
                    ename: "Error".to_owned(),
                    evalue: text,
                    traceback: Vec::new(),
                }));
            }
            EventKind::ExecutionComplete => self.completed = true,
            EventKind::Status | EventKind::Ping => {}
        }
        self.timed_out |= event.timed_out == Some(true);
        if let Some(millis) = event.execution_time {
            self.duration = u64::try_from(millis).ok().map(Duration::from_millis);
        }
    }

    /// The outcome, provided the stream said how it ended.
    pub(super) fn finish(self) -> Result<Self> {
        if self.completed || self.error.is_some() { Ok(self) } else { Err(Error::Incomplete) }
    }
}

fn append(output: &mut String, text: &str, keeps_line_ends: bool) {
    let line_end = |c: char| c == '\n' || c == '\r';
    if !keeps_line_ends && !output.is_empty() && !output.ends_with(line_end) && !text.starts_with(line_end) {
        output.push('\n');
    }
    output.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, text: &str) -> ServerStreamEvent {
        ServerStreamEvent::new(kind, 0).with_text(text)
    }

    fn failed(evalue: &str) -> ServerStreamEvent {
        let error =
            ExecutionError { ename: "CommandExecError".into(), evalue: evalue.into(), traceback: vec![] };
        ServerStreamEvent::new(EventKind::Error, 0).with_error(error)
    }

    fn outcome(events: Vec<ServerStreamEvent>) -> Result<Execution> {
        let mut execution = Execution::default();
        events.into_iter().for_each(|event| execution.add(event, true));
        execution.finish()
    }

    #[test]
    fn exit_codes_come_from_the_last_event() {
        let done = outcome(vec![ServerStreamEvent::new(EventKind::ExecutionComplete, 0)]).unwrap();
        assert_eq!((done.exit_code(), done.is_success()), (Some(0), true));
        let failed_with = |evalue| outcome(vec![failed(evalue)]).unwrap().exit_code();
        assert_eq!(failed_with("3"), Some(3));
        assert_eq!(failed_with("-1"), None);
        assert_eq!(failed_with("no such file"), None);
    }

    #[test]
    fn an_error_counts_although_a_completion_follows() {
        let events = vec![failed("1"), ServerStreamEvent::new(EventKind::ExecutionComplete, 0)];
        assert!(!outcome(events).unwrap().is_success());
    }

    #[test]
    fn a_stream_that_just_stops_is_no_outcome() {
        assert!(matches!(outcome(vec![event(EventKind::Stdout, "half")]), Err(Error::Incomplete)));
    }

    #[test]
    fn texts_are_joined_as_the_daemon_meant_them() {
        let join = |texts: &[&str], keeps| {
            let mut output = String::new();
            texts.iter().for_each(|text| append(&mut output, text, keeps));
            output
        };
        assert_eq!(join(&["50%", "\r60%", "\n"], true), "50%\r60%\n");
        assert_eq!(join(&["no", "line"], true), "noline");
        assert_eq!(join(&["one", "two", "\n", "three"], false), "one\ntwo\nthree");
    }
}
