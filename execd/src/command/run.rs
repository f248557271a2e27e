//! Starting a command and watching over it.

use std::{fs::File, io, os::fd::AsFd, sync::Arc, time::Duration};

use sandkeep_specs::execd::{
    command::RunCommandRequest,
    event::{EventKind, ExecutionError, ServerStreamEvent},
};
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

use super::{
    body::{CommandBody, Pipe},
    record::{End, Outcome, Record},
    registry::Commands,
    request::{self, Checked, CommandError},
};
use crate::{
    id,
    process::{Child, null_input},
    reason::reason,
    stream::{now_millis, push_event},
};

/// Name of the error event of a command that failed.
const ERROR_NAME: &str = "CommandExecError";

/// The stream of a command that was begun.
#[derive(Debug)]
pub enum Started {
    /// All events are known: a background command, or one that could not be started.
    Whole(Vec<u8>),
    /// Output follows until the command ends.
    Live(Box<CommandBody>),
}

impl Commands {
    /// Checks and starts a command.
    pub fn run(&self, request: RunCommandRequest) -> Result<Started, CommandError> {
        let checked = request::check(request, self.settings())?;
        self.refuse_when_full()?;
        let id = id::random();
        if checked.background {
            self.run_in_background(id, checked)
        } else {
            self.run_in_foreground(id, checked)
        }
    }

    fn run_in_foreground(&self, id: Uuid, checked: Checked) -> Result<Started, CommandError> {
        let input = null_input().map_err(system)?;
        let ((stdout, stdout_end), (stderr, stderr_end)) = (pipe()?, pipe()?);
        let child = checked.program.start([input, stdout_end.as_fd(), stderr_end.as_fd()], None);
        drop((stdout_end, stderr_end));
        let mut head = head(&id.simple().to_string());
        let record = Record::new(id, checked.content, child.as_ref().ok().map(Child::group), None);
        self.add(&record);
        match child {
            Ok(child) => {
                let (report, outcome) = oneshot::channel();
                tokio::spawn(watch(self.clone(), record, child, checked.timeout, Some(report)));
                Ok(Started::Live(Box::new(CommandBody::new(head, stdout, stderr, outcome))))
            }
            Err(error) => {
                let outcome = self.finish(&record, End::NotStarted(error.to_string()));
                push_event(&mut head, &terminal_event(&outcome));
                Ok(Started::Whole(head))
            }
        }
    }

    fn run_in_background(&self, id: Uuid, checked: Checked) -> Result<Started, CommandError> {
        let input = null_input().map_err(system)?;
        let (output, path): (File, _) = self.create_output(&id.simple().to_string()).map_err(system)?;
        let child = checked.program.start([input, output.as_fd(), output.as_fd()], None);
        drop(output);
        let mut events = head(&id.simple().to_string());
        let record = Record::new(id, checked.content, child.as_ref().ok().map(Child::group), Some(path));
        self.add(&record);
        match child {
            Ok(child) => drop(tokio::spawn(watch(self.clone(), record, child, checked.timeout, None))),
            Err(error) => drop(self.finish(&record, End::NotStarted(error.to_string()))),
        }
        let mut complete = ServerStreamEvent::new(EventKind::ExecutionComplete, now_millis());
        complete.execution_time = Some(0);
        push_event(&mut events, &complete);
        Ok(Started::Whole(events))
    }
}

fn system(error: io::Error) -> CommandError {
    CommandError::System(format!("cannot prepare the command's input and output: {}", reason(&error)))
}

fn pipe() -> Result<(Pipe, std::os::fd::OwnedFd), CommandError> {
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(io::Error::from).map_err(system)?;
    let read = Pipe::new(read).map_err(system)?;
    Ok((read, write))
}

/// Waits for a command's end, enforces its time limit, records the end and reports it.
async fn watch(
    commands: Commands,
    record: Arc<Record>,
    mut child: Child,
    limit: Option<Duration>,
    report: Option<oneshot::Sender<Outcome>>,
) {
    let mut timed_out = false;
    let status = match limit {
        None => child.wait().await,
        Some(limit) => match timeout(limit, child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                timed_out = true;
                // The leader is not reaped yet, so this is still the command's group.
                child.group().signal(libc::SIGKILL);
                child.wait().await
            }
        },
    };
    let end = match status {
        _ if timed_out => End::TimedOut,
        Ok(status) => End::Status(status),
        Err(_) => End::Unseen,
    };
    let outcome = commands.finish(&record, end);
    if let Some(report) = report {
        // The client may have gone; then nobody wants to know.
        let _ = report.send(outcome);
    }
}

/// The first events of every command's stream.
pub(crate) fn head(id: &str) -> Vec<u8> {
    let now = now_millis();
    let mut out = Vec::with_capacity(256);
    push_event(&mut out, &ServerStreamEvent::new(EventKind::Init, now).with_text(id));
    push_event(&mut out, &ServerStreamEvent::new(EventKind::Ping, now).with_text("pong"));
    out
}

/// The last event of a command's stream.
pub(crate) fn terminal_event(outcome: &Outcome) -> ServerStreamEvent {
    let now = now_millis();
    let Some(failure) = outcome.failure() else {
        let mut complete = ServerStreamEvent::new(EventKind::ExecutionComplete, now);
        complete.execution_time = Some(outcome.took);
        return complete;
    };
    let evalue = match &outcome.end {
        End::Status(status) => status.code().to_string(),
        End::TimedOut | End::Unseen => "-1".to_owned(),
        End::NotStarted(reason) => reason.clone(),
    };
    let error = ExecutionError { ename: ERROR_NAME.to_owned(), evalue, traceback: vec![failure] };
    let mut event = ServerStreamEvent::new(EventKind::Error, now).with_error(error);
    event.timed_out = (outcome.end == End::TimedOut).then_some(true);
    event
}
