//! What is known of one command.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use chrono::{DateTime, Utc};
use sandkeep_specs::execd::command::{CommandStatus, CommandSummary};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{background::BackgroundOutput, feed::Feed, input::Input};
use crate::process::{ExitStatus, Group};

/// Exit code on record for a command that could not be started.
const NOT_STARTED: i32 = 255;

/// Characters of a command's text that a list shows.
const LISTED_CHARACTERS: usize = 1000;

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub end: End,
    pub at: DateTime<Utc>,
    /// Milliseconds from start to end.
    pub took: i64,
}

/// The ways a command can end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By itself or by somebody's signal.
    Status(ExitStatus),
    /// By its time limit.
    TimedOut,
    /// It never began.
    NotStarted(String),
    /// Nobody saw how.
    Unseen,
}

impl Outcome {
    /// The exit code on record.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match &self.end {
            End::Status(status) => Some(status.code()),
            End::TimedOut => Some(ExitStatus::Signaled(libc::SIGKILL).code()),
            End::NotStarted(_) => Some(NOT_STARTED),
            End::Unseen => None,
        }
    }

    /// In words, unless the command succeeded.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        match &self.end {
            End::Status(ExitStatus::Exited(0)) => None,
            End::Status(ExitStatus::Exited(code)) => Some(format!("exit status {code}")),
            End::Status(ExitStatus::Signaled(signal)) => Some(format!("signal: {}", signal_name(*signal))),
            End::TimedOut => Some("signal: killed".to_owned()),
            End::NotStarted(reason) => Some(reason.clone()),
            End::Unseen => Some("its status was lost".to_owned()),
        }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "hangup",
        libc::SIGINT => "interrupt",
        libc::SIGQUIT => "quit",
        libc::SIGILL => "illegal instruction",
        libc::SIGABRT => "aborted",
        libc::SIGBUS => "bus error",
        libc::SIGFPE => "floating point exception",
        libc::SIGKILL => "killed",
        libc::SIGSEGV => "segmentation fault",
        libc::SIGPIPE => "broken pipe",
        libc::SIGALRM => "alarm clock",
        libc::SIGTERM => "terminated",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// Where a command's output can be read again.
#[derive(Debug)]
pub(super) enum Kept {
    /// It never had any.
    Nothing,
    /// A foreground command's.
    Feed(Arc<Feed>),
    /// A background command's: the file it writes.
    File(BackgroundOutput),
}

/// A command from its start until it is forgotten.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: Uuid,
    content: Box<str>,
    started_at: DateTime<Utc>,
    started: Instant,
    /// Absent when it could not be started.
    pub(super) group: Option<Group>,
    pub(super) output: Kept,
    /// Its standard input, when clients write it.
    pub(super) input: Option<Input>,
    outcome: Mutex<Option<Outcome>>,
    ended: Notify,
}

impl Record {
    pub(super) fn new(
        id: Uuid,
        content: String,
        group: Option<Group>,
        output: Kept,
        input: Option<Input>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            content: content.into(),
            started_at: Utc::now(),
            started: Instant::now(),
            group,
            output,
            input,
            outcome: Mutex::default(),
            ended: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Outcome>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records how it ended.
    pub(super) fn finish(&self, end: End) -> Outcome {
        let took = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let outcome = Outcome { end, at: Utc::now(), took };
        *self.lock() = Some(outcome.clone());
        if let Some(input) = &self.input {
            input.close_soon();
        }
        self.ended.notify_waiters();
        outcome
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.lock().clone()
    }

    pub(super) fn is_running(&self) -> bool {
        self.lock().is_none()
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        // Listening begins before the look, so that an end in between is not missed.
        let ended = self.ended.notified();
        if self.is_running() {
            ended.await;
        }
    }

    /// Bytes it takes to remember it, roughly. What is kept of a foreground command's output is counted apart.
    pub(super) fn weight(&self) -> usize {
        /// Its places in tables, its allocations' edges, its outcome's words.
        const AROUND: usize = 200;
        let output = match &self.output {
            Kept::Nothing => 0,
            Kept::Feed(_) => size_of::<Feed>(),
            Kept::File(output) => output.path.as_os_str().len(),
        };
        AROUND + size_of::<Self>() + self.content.len() + output
    }

    /// When it was started, for sorting.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// What a list says about it.
    pub(super) fn summary(&self) -> CommandSummary {
        let status = self.status();
        CommandSummary {
            content: status.content.chars().take(LISTED_CHARACTERS).collect(),
            id: status.id,
            background: matches!(self.output, Kept::File(_)),
            stdin_open: status.running && self.input.as_ref().is_some_and(Input::is_open),
            running: status.running,
            exit_code: status.exit_code,
            error: status.error,
            started_at: status.started_at,
            finished_at: status.finished_at,
            timed_out: status.timed_out,
        }
    }

    pub(super) fn status(&self) -> CommandStatus {
        let outcome = self.outcome();
        CommandStatus {
            id: self.id.simple().to_string(),
            content: self.content.to_string(),
            running: outcome.is_none(),
            exit_code: outcome.as_ref().and_then(Outcome::exit_code),
            error: outcome.as_ref().and_then(Outcome::failure),
            started_at: self.started_at,
            finished_at: outcome.as_ref().map(|outcome| outcome.at),
            timed_out: outcome.filter(|outcome| outcome.end == End::TimedOut).map(|_| true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn status_follows_the_command() {
        let record = Record::new(Uuid::nil(), "sleep 1".into(), None, Kept::Nothing, None);
        let status = record.status();
        assert!(status.running && status.exit_code.is_none() && status.finished_at.is_none());
        record.finish(End::Status(ExitStatus::Signaled(15)));
        record.ended().await;
        let status = record.status();
        assert_eq!((status.running, status.exit_code), (false, Some(143)));
        assert_eq!(status.error.as_deref(), Some("signal: terminated"));
        assert!(status.finished_at.unwrap() >= status.started_at);
    }

    #[test]
    fn each_end_has_its_code() {
        let code =
            |end| Record::new(Uuid::nil(), String::new(), None, Kept::Nothing, None).finish(end).exit_code();
        assert_eq!(code(End::Status(ExitStatus::Exited(3))), Some(3));
        assert_eq!(code(End::TimedOut), Some(137));
        assert_eq!(code(End::NotStarted("no".into())), Some(255));
        assert_eq!(code(End::Unseen), None);
    }
}
