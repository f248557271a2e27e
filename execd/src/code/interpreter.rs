//! A running interpreter and its channels.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::frame::{self, Decoder, Report};
use super::output::Output;
use crate::process::{Child, ExitStatus, Group};

/// Most reads from a pipe for one report: what was written before the report fits, and a background writer cannot hold
/// the report up.
const DRAINED: usize = 8;

/// How long an interpreter that has closed the channel may take to end.
const END_TIME: Duration = Duration::from_secs(1);

/// What an interpreter did.
#[derive(Debug)]
pub(crate) enum Event {
    /// Its driver reports.
    Report(Report),
    /// Output has arrived, or an unfinished line has waited long enough.
    Output,
    /// It is gone.
    Ended(String),
}

/// An interpreter that waits for code, or runs it.
#[derive(Debug)]
pub(crate) struct Interpreter {
    child: Child,
    socket: UnixStream,
    decoder: Decoder,
    stdout: Output,
    stderr: Output,
    /// Its process number may belong to somebody else by now.
    over: bool,
}

impl Interpreter {
    /// An interpreter whose driver is at the other end of `socket`.
    pub(crate) fn new(child: Child, socket: UnixStream, stdout: Output, stderr: Output) -> Self {
        Self { child, socket, decoder: Decoder::default(), stdout, stderr, over: false }
    }

    /// Its process group.
    pub(crate) fn group(&self) -> Group {
        self.child.group()
    }

    /// Whether its process runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Another descriptor of the channel to the driver; `None` when there are no more descriptors.
    pub(crate) fn channel(&self) -> Option<StdUnixStream> {
        self.socket.as_fd().try_clone_to_owned().ok().map(StdUnixStream::from)
    }

    /// Hands code to the driver.
    ///
    /// # Errors
    /// When the interpreter is gone.
    pub(crate) async fn run(&mut self, code: &str) -> io::Result<()> {
        self.socket.write_all(&frame::run(code)).await
    }

    /// Has the driver change the environment.
    ///
    /// # Errors
    /// When the interpreter is gone.
    pub(crate) async fn change(&mut self, changes: &[u8]) -> io::Result<()> {
        match changes {
            [] => Ok(()),
            changes => self.socket.write_all(&frame::change(changes)).await,
        }
    }

    /// Waits for the next thing to happen. May be cancelled.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            match self.decoder.next() {
                Ok(Some(report)) => {
                    self.drain();
                    return Event::Report(report);
                }
                Ok(None) => {}
                Err(garbled) => return Event::Ended(garbled.to_string()),
            }
            let due = [self.stdout.due(), self.stderr.due()].into_iter().flatten().min();
            tokio::select! {
                biased;
                read = self.socket.read_buf(self.decoder.buffer()) => {
                    if !matches!(read, Ok(1..)) {
                        return self.ended().await;
                    }
                }
                () = self.stdout.fill() => return Event::Output,
                () = self.stderr.fill() => return Event::Output,
                () = until(due) => return Event::Output,
                // Processes it started may hold the socket open, so that its end does not show there.
                _ = self.child.wait() => return self.ended().await,
            }
        }
    }

    /// The pipes, standard output first.
    pub(crate) fn outputs(&mut self) -> [&mut Output; 2] {
        [&mut self.stdout, &mut self.stderr]
    }

    /// Reads what was written before a report: the driver has flushed it, so it is in the pipes.
    fn drain(&mut self) {
        for output in [&mut self.stdout, &mut self.stderr] {
            for _ in 0..DRAINED {
                if !output.fill_now() {
                    break;
                }
            }
        }
    }

    async fn ended(&mut self) -> Event {
        // It may close the channel some time before it ends, and should say by itself how it does.
        let _ = tokio::time::timeout(END_TIME, self.child.wait()).await;
        // Whatever is left of it may not live on unobserved.
        self.group().signal(libc::SIGKILL);
        let how = match self.child.wait().await {
            Ok(ExitStatus::Exited(code)) => format!("exited with status {code}"),
            Ok(ExitStatus::Signaled(signal)) => format!("was ended by signal {signal}"),
            Err(error) => format!("was lost: {error}"),
        };
        self.over = true;
        self.drain();
        Event::Ended(how)
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        if !self.over {
            self.group().signal(libc::SIGKILL);
        }
    }
}
