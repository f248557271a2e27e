//! The duties of a sandbox's first process: run the entrypoint, pass signals on, reap, and end everything.

use std::{io, os::fd::AsFd, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep, timeout},
};

use super::{forward::Output, standby::Owners};
use crate::process::{self, Child, ExitStatus, Program, StartError};

/// Time for the entrypoint's last output to be passed on.
const OUTPUT_GRACE: Duration = Duration::from_millis(100);

/// How often the end of the remaining processes is looked for.
const POLL: Duration = Duration::from_millis(5);

/// Exit status when the entrypoint could not be found, and when it could not be run, as shells have it.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// Signals that are passed on to the entrypoint.
const PASSED_ON: [i32; 6] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2];

/// Signals that end a daemon that has no entrypoint, or not yet.
const ENDING: [i32; 2] = [libc::SIGTERM, libc::SIGINT];

/// Signals as they arrive.
pub(super) struct Signals(Vec<(i32, Signal)>);

impl Signals {
    /// Begins to catch these signals.
    fn catch(numbers: &[i32]) -> io::Result<Self> {
        let catch = |&number: &i32| Ok((number, signal(SignalKind::from_raw(number))?));
        numbers.iter().map(catch).collect::<io::Result<_>>().map(Self)
    }

    /// The signals that concern a daemon, or a first process that has an entrypoint.
    pub(super) fn for_daemon(has_entrypoint: bool) -> io::Result<Self> {
        Self::catch(if has_entrypoint { &PASSED_ON } else { &ENDING })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> i32 {
        let mut waiting: FuturesUnordered<_> = self
            .0
            .iter_mut()
            .map(|(number, signal)| async move { signal.recv().await.map(|()| *number) })
            .collect();
        loop {
            if let Some(Some(number)) = waiting.next().await {
                return number;
            }
            std::future::pending::<()>().await;
        }
    }

    /// The next one that asks us to end.
    pub(super) async fn next_ending(&mut self) -> i32 {
        loop {
            let number = self.next().await;
            if ENDING.contains(&number) {
                return number;
            }
        }
    }
}

/// Reaps whatever becomes our child, from now on.
pub(super) fn reap_forever() -> io::Result<()> {
    if !is_first_process() {
        // Orphans come to us all the same.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    }
    let mut ended = signal(SignalKind::child())?;
    tokio::spawn(async move {
        while ended.recv().await.is_some() {
            process::reap_orphans();
        }
    });
    Ok(())
}

/// The user's program.
pub(crate) struct Entrypoint {
    child: Child,
    outputs: [Output; 2],
}

impl Entrypoint {
    /// Starts it; an error carries the exit status that stands for it.
    pub(super) fn start(program: &Program) -> Result<Self, (i32, String)> {
        let system =
            |error: io::Error| (NOT_EXECUTABLE, format!("cannot connect the entrypoint's output: {error}"));
        let outputs = [
            Output::to(io::stdout().as_fd()).map_err(system)?,
            Output::to(io::stderr().as_fd()).map_err(system)?,
        ];
        let input = process::null_input().map_err(system)?;
        let child = program.start([input, outputs[0].end(), outputs[1].end()], None).map_err(
            |error: StartError| {
                let found = error.cause.kind() != io::ErrorKind::NotFound;
                (if found { NOT_EXECUTABLE } else { NOT_FOUND }, format!("entrypoint: {error}"))
            },
        )?;
        Ok(Self { child, outputs })
    }

    /// Runs it to its end, passing signals on; the result is its exit status, or that of the owner's program that
    /// takes its place. What it started then goes on beside that one.
    pub(super) async fn run(mut self, signals: &mut Signals, owners: &mut Owners) -> i32 {
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status,
                number = signals.next() => self.child.signal(number),
                owned = owners.next() => self = owned,
            }
        };
        for task in self.outputs.into_iter().filter_map(Output::into_task) {
            let _ = timeout(OUTPUT_GRACE, task).await;
        }
        status.map_or(NOT_EXECUTABLE, ExitStatus::code)
    }
}

/// Whether we are the init of a PID namespace, so that all other processes in it end with us.
pub(super) fn is_first_process() -> bool {
    rustix::process::getpid().is_init()
}

/// Ends all other processes of the PID namespace: TERM, and KILL after `grace`. Only for its first process.
pub(super) async fn end_all(grace: Duration) {
    debug_assert!(is_first_process());
    signal_all(libc::SIGTERM);
    let deadline = Instant::now() + grace;
    while process::reap_orphans() && Instant::now() < deadline {
        sleep(POLL).await;
    }
    signal_all(libc::SIGKILL);
    process::reap_orphans();
}

fn signal_all(number: i32) {
    if is_first_process() {
        // SAFETY: plain system call; as checked, -1 means no more than the processes of our own namespace.
        unsafe { libc::kill(-1, number) };
    }
}
