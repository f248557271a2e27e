//! Starting a command and watching over it.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use sandkeep_specs::execd::{
    command::RunCommandRequest,
    event::{EventKind, ExecutionError, ServerStreamEvent},
};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    background::BackgroundOutput,
    body::CommandBody,
    input::Input,
    output::Pipe,
    record::{End, Kept, Outcome, Record},
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
        let (input, input_end) = input(checked.stdin)?;
        let ((stdout, stdout_end), (stderr, stderr_end)) = (pipe()?, pipe()?);
        let child = checked.program.start([input_end.as_fd(), stdout_end.as_fd(), stderr_end.as_fd()], None);
        drop((stdout_end, stderr_end, input_end));
        let name = id.simple().to_string();
        let mut head = head(&name);
        match child {
            Ok(child) => {
                let feed = self.feed(id, stdout, stderr);
                let output = Kept::Feed(Arc::clone(&feed));
                let record = Record::new(id, checked.content, Some(child.group()), output, input);
                self.add(&record);
                tokio::spawn(watch(self.clone(), record, child, checked.timeout));
                Ok(Started::Live(Box::new(CommandBody::new(head, feed.reader(0)))))
            }
            Err(error) => {
                let record = Record::new(id, checked.content, None, Kept::Nothing, None);
                self.add(&record);
                let outcome = self.finish(&record, End::NotStarted(error.to_string()));
                push_event(&mut head, &terminal_event(&outcome));
                Ok(Started::Whole(head))
            }
        }
    }

    fn run_in_background(&self, id: Uuid, checked: Checked) -> Result<Started, CommandError> {
        let (input, input_end) = input(checked.stdin)?;
        let name = id.simple().to_string();
        let (output, path): (File, _) = self.create_output(&name).map_err(system)?;
        let child = checked.program.start([input_end.as_fd(), output.as_fd(), output.as_fd()], None);
        drop((output, input_end));
        let mut events = head(&name);
        let output = Kept::File(BackgroundOutput::new(path));
        let group = child.as_ref().ok().map(Child::group);
        let record = Record::new(id, checked.content, group, output, input);
        self.add(&record);
        match child {
            Ok(child) => drop(tokio::spawn(watch(self.clone(), record, child, checked.timeout))),
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

fn pipe() -> Result<(Pipe, OwnedFd), CommandError> {
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(io::Error::from).map_err(system)?;
    let read = Pipe::new(read).map_err(system)?;
    Ok((read, write))
}

/// Our end of a command's input, if it is to have one, and the command's.
fn input(wanted: bool) -> Result<(Option<Input>, InputEnd), CommandError> {
    if !wanted {
        return Ok((None, InputEnd::Null(null_input().map_err(system)?)));
    }
    let (input, end) = Input::new().map_err(system)?;
    Ok((Some(input), InputEnd::Pipe(end)))
}

/// What a command reads from.
enum InputEnd {
    Null(BorrowedFd<'static>),
    Pipe(OwnedFd),
}

impl AsFd for InputEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Null(descriptor) => *descriptor,
            Self::Pipe(descriptor) => descriptor.as_fd(),
        }
    }
}

/// Waits for a command's end, enforces its time limit, records the end and reports it.
async fn watch(commands: Commands, record: Arc<Record>, mut child: Child, limit: Option<Duration>) {
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
    if let Kept::Feed(feed) = &record.output {
        feed.ended(outcome);
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
