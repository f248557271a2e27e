//! The task that owns a session's shell and takes its runs one after the other.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::FutureExt;
use sandkeep_specs::execd::event::{EventKind, ServerStreamEvent};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    family::{Before, Family},
    output::Output,
    request::Run,
    script::INTERRUPT_SIGNAL,
    shell::{Home, Shell},
};
use crate::{
    command::{End, FLUSH_AFTER, Outcome, terminal_event},
    process::ExitStatus,
    reason::reason,
    settings::Settings,
    stream::{EventSender, now_millis, push_event},
};

/// A shell that is interrupted has this long to save its state and end; then it is killed and the state is lost.
const INTERRUPT_GRACE: Duration = Duration::from_secs(1);

/// How often an interrupted run's processes are killed anew: the shell may start more before it notices.
const INTERRUPT_PAUSE: Duration = Duration::from_millis(10);

/// Told to the client when a shell could not pass its state on.
const STATE_LOST: &str = "the session's shell was replaced or killed: its variables and functions are lost, the next run gets a fresh shell";

/// Why the work on a run stopped.
#[derive(Debug)]
enum Stop {
    /// The text is evaluated.
    Status(i32),
    /// The shell itself ended, by `exit` or otherwise.
    ShellEnded(ExitStatus),
    TimedOut,
    ClientLeft,
    /// The session is being deleted.
    Deleted,
    Failed(String),
}

/// The directory a session's shell was last known to be in; nothing while one shell takes over from another.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<watch::Sender<Option<PathBuf>>>);

impl Place {
    pub(super) fn unknown() -> Self {
        Self(Arc::new(watch::channel(None).0))
    }

    /// Waits until it is known.
    pub(super) async fn get(&self) -> PathBuf {
        let known = self.0.subscribe().wait_for(Option::is_some).await.map(|place| place.clone());
        // The sender is part of this place, so waiting cannot fail.
        known.ok().flatten().unwrap_or_default()
    }

    fn set(&self, directory: Option<PathBuf>) {
        self.0.send_replace(directory);
    }
}

/// What the task needs.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) id: String,
    /// Where a shell without inherited state begins.
    pub(super) cwd: PathBuf,
    pub(super) settings: Arc<Settings>,
    pub(super) home: Home,
    pub(super) outputs: [Output; 2],
    pub(super) family: Family,
    /// Where the shell is, for others to see.
    pub(super) place: Place,
    pub(super) deleted: watch::Receiver<bool>,
    /// A shell's state was lost and no client has been told.
    pub(super) lost: bool,
}

impl Worker {
    /// Serves runs until the session is deleted; then everything it started is killed.
    pub(super) async fn work(mut self, mut runs: mpsc::Receiver<Run>) {
        let mut shell = self.start().await.ok();
        loop {
            let [stdout, stderr] = &mut self.outputs;
            let run = tokio::select! {
                biased;
                _ = self.deleted.wait_for(|deleted| *deleted) => break,
                run = runs.recv() => run,
                () = stdout.keep() => None,
                () = stderr.keep() => None,
                () = ended_while_idle(shell.as_mut()) => {
                    shell = None;
                    self.lost |= !self.home.has_state();
                    continue;
                }
            };
            let Some(run) = run else { break };
            shell = self.serve(shell, run).await;
        }
        runs.close();
        self.family.kill_all().await;
        while let Ok(run) = runs.try_recv() {
            let gone = End::NotStarted("the session was deleted".to_owned());
            conclude(Vec::new(), run.events, gone, Instant::now(), false);
        }
    }

    async fn start(&mut self) -> Result<Shell, String> {
        match Shell::start(&self.id, &self.cwd, &self.home, &self.outputs, &self.settings).await {
            Ok((shell, directory)) => {
                self.family.set_leader(shell.child.pid());
                self.place.set(Some(directory));
                Ok(shell)
            }
            Err(reason) => {
                self.place.set(Some(self.cwd.clone()));
                Err(reason)
            }
        }
    }

    /// Runs one text. Returns the shell for the next one.
    async fn serve(&mut self, shell: Option<Shell>, run: Run) -> Option<Shell> {
        if run.events.closed().now_or_never().is_some() {
            return shell;
        }
        let began = Instant::now();
        let started = match shell {
            Some(shell) => Ok(shell),
            None => self.start().await,
        };
        let mut shell = match started {
            Ok(shell) => shell,
            Err(reason) => {
                conclude(Vec::new(), run.events, End::NotStarted(reason), began, false);
                return None;
            }
        };
        let before = self.family.before();
        let mut out = Vec::new();
        let stop = self.follow(&mut shell, &run, began + run.limit, &mut out).await;
        for output in &mut self.outputs {
            output.finish();
            while output.lines.sendable() {
                output.write_events(&mut out);
            }
        }
        match stop {
            Stop::TimedOut | Stop::ClientLeft | Stop::Failed(_) => self.interrupt(&mut shell, &before).await,
            Stop::Deleted => self.family.kill_all().await,
            Stop::Status(_) | Stop::ShellEnded(_) => {}
        }
        let ended = !matches!(stop, Stop::Status(_));
        let deleted = matches!(stop, Stop::Deleted);
        if ended && !deleted {
            self.place.set(None);
            self.lost |= !self.home.has_state();
        }
        conclude(out, run.events, end_of(stop), began, std::mem::take(&mut self.lost));
        if !ended {
            return Some(shell);
        }
        drop(shell);
        // Now rather than when the next run comes; it takes over what the last shell left behind.
        if deleted { None } else { self.start().await.ok() }
    }

    /// Passes a run's output on until there is a reason to stop.
    async fn follow(&mut self, shell: &mut Shell, run: &Run, deadline: Instant, out: &mut Vec<u8>) -> Stop {
        let [stdout, stderr] = &mut self.outputs;
        stdout.begin();
        stderr.begin();
        let number = match shell.send(&run.text).await {
            Ok(number) => number,
            Err(error) => {
                return match shell.child.try_wait() {
                    Ok(Some(status)) => Stop::ShellEnded(status),
                    _ => Stop::Failed(format!(
                        "the session's shell does not take the text: {}",
                        reason(&error)
                    )),
                };
            }
        };
        // Closed when the shell is about to end, or has become another program.
        let mut channel_open = true;
        let mut flush = Instant::now() + FLUSH_AFTER;
        loop {
            if out.is_empty() {
                stdout.write_events(out);
                stderr.write_events(out);
            }
            let idle = out.is_empty();
            let holds_back = idle && (stdout.lines.holds_back() || stderr.lines.holds_back());
            tokio::select! {
                biased;
                _ = self.deleted.wait_for(|deleted| *deleted) => return Stop::Deleted,
                () = run.events.closed() => return Stop::ClientLeft,
                report = shell.control.report(number), if channel_open => match report {
                    Some(report) => {
                        self.place.set(Some(report.directory));
                        return Stop::Status(report.status);
                    }
                    None => channel_open = false,
                },
                status = shell.child.wait() => return match status {
                    Ok(status) => Stop::ShellEnded(status),
                    Err(error) => Stop::Failed(format!("cannot wait for the session's shell: {}", reason(&error))),
                },
                () = sleep_until(deadline) => return Stop::TimedOut,
                sent = run.events.send_encoded(out), if !idle => if sent.is_err() {
                    return Stop::ClientLeft;
                },
                () = stdout.fill(), if idle => flush = Instant::now() + FLUSH_AFTER,
                () = stderr.fill(), if idle => flush = Instant::now() + FLUSH_AFTER,
                () = sleep_until(flush), if holds_back => {
                    stdout.lines.release_whole_characters();
                    stderr.lines.release_whole_characters();
                    flush = Instant::now() + FLUSH_AFTER;
                }
            }
        }
    }

    /// Ends what a run started, and with it the shell, which saves its state if it can.
    async fn interrupt(&mut self, shell: &mut Shell, before: &Before) {
        let deadline = Instant::now() + INTERRUPT_GRACE;
        shell.child.signal(INTERRUPT_SIGNAL);
        let mut ended = false;
        while self.family.kill_since(before) > 0 || !ended {
            if Instant::now() >= deadline {
                shell.child.signal(libc::SIGKILL);
                self.ends_within(shell, INTERRUPT_GRACE).await;
                break;
            }
            ended = self.ends_within(shell, INTERRUPT_PAUSE).await;
        }
        for output in &mut self.outputs {
            output.finish();
            output.clear();
        }
    }

    /// Whether the shell ends in this time. What is written meanwhile is dropped: somebody may be stuck in writing.
    async fn ends_within(&mut self, shell: &mut Shell, time: Duration) -> bool {
        let until = Instant::now() + time;
        let [stdout, stderr] = &mut self.outputs;
        let mut ended = false;
        loop {
            tokio::select! {
                biased;
                // Others that are being killed still need their moment.
                _ = shell.child.wait(), if !ended => ended = true,
                () = sleep_until(until) => return ended,
                () = stdout.fill() => stdout.clear(),
                () = stderr.fill() => stderr.clear(),
            }
        }
    }
}

/// Waits for the end of a shell that has nothing to do; for ever when there is none.
async fn ended_while_idle(shell: Option<&mut Shell>) {
    match shell {
        Some(shell) => drop(shell.child.wait().await),
        None => std::future::pending().await,
    }
}

fn end_of(stop: Stop) -> End {
    match stop {
        Stop::Status(code) => End::Status(ExitStatus::Exited(code)),
        Stop::ShellEnded(status) => End::Status(status),
        Stop::TimedOut => End::TimedOut,
        Stop::ClientLeft | Stop::Deleted => End::Status(ExitStatus::Signaled(libc::SIGKILL)),
        Stop::Failed(reason) => End::NotStarted(reason),
    }
}

/// Sends the last of a run's events. In a task of its own, so that a slow client does not hold up the session.
fn conclude(mut out: Vec<u8>, events: EventSender, end: End, began: Instant, lost: bool) {
    if lost {
        push_event(&mut out, &ServerStreamEvent::new(EventKind::Status, now_millis()).with_text(STATE_LOST));
    }
    let took = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    push_event(&mut out, &terminal_event(&Outcome { end, at: chrono::Utc::now(), took }));
    tokio::spawn(async move { events.send_encoded(&mut out).await });
}
