//! Running sandboxes: noticing their end, and bringing it about.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Signal, pidfd_send_signal},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::oneshot,
    task::JoinHandle,
};

use super::{
    freezer,
    host::{Context, Host},
    runtime::{Inner, blocking},
    sidecar::Guard,
    state::{Record, exit_code},
    sys,
};
use crate::{
    fault,
    runtime::{Exit, Run, RuntimeError, Slot},
};

/// How long killed processes may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to look for the status of a process that ended: whoever reaps it may be slow.
const STATUS_ATTEMPTS: u32 = 60;
const STATUS_PAUSE: Duration = Duration::from_millis(50);

/// How long the last output of an ended sandbox may take to be read.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// A handle on a sandbox's first process.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub pid: i32,
    pub pidfd: Arc<OwnedFd>,
}

/// A sandbox that runs, or whose end has not been cleaned up.
pub(crate) struct Live {
    pub slot: Slot,
    pub process: Process,
    pub drain: JoinHandle<()>,
    pub watch: Watch,
    /// Keeps the sandbox's disk mounted past its last process, whose end would wait for the unmounting otherwise.
    pub store: Option<OwnedFd>,
    pub guard: Option<Guard>,
}

impl Live {
    /// Ends the sandbox's sidecar, once nothing of the sandbox is left that it could let through.
    pub(super) fn end_sidecar(&mut self, host: &Host) {
        if self.guard.take().is_some() {
            host.cgroups.sidecars().kill_listed(self.slot.number);
        }
    }
}

/// Somebody who waits for the end of a first process.
pub(crate) struct Watch {
    run: Run,
    task: JoinHandle<()>,
}

impl Watch {
    /// The end is known, and nobody needs to be told of it. May wait for a file to be written.
    pub(crate) fn finish(&self) {
        self.task.abort();
        self.run.finish();
    }
}

/// Bytes that fit onto the sandbox's disk.
pub(crate) fn disk_free(live: &Live) -> Option<u64> {
    let stat = rustix::fs::fstatvfs(live.store.as_ref()?).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Whether a process has ended, reaped or not.
pub(crate) fn has_ended(pidfd: impl AsFd) -> bool {
    let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Waits until the process is gone.
pub(super) async fn gone(process: &Process) -> io::Result<()> {
    // A copy, because one descriptor can be registered only once and watching and killing may overlap.
    let pidfd = process.pidfd.try_clone()?;
    // SAFETY: the descriptor is owned by the registration, so it stays open and the same.
    let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }?;
    pidfd.readable().await?.retain_ready();
    Ok(())
}

/// Watches for the end of a first process and reports it once. `status` comes from the launcher, if it is the parent.
pub(crate) fn spawn(
    inner: Arc<Inner>,
    id: &str,
    process: &Process,
    status: Option<oneshot::Receiver<i32>>,
    record: Record,
) -> Watch {
    let (id, process, run) = (id.to_owned(), process.clone(), Run::default());
    let watched = run.clone();
    let task = tokio::spawn(async move {
        if let Err(error) = gone(&process).await {
            tracing::error!(%error, id, "cannot watch a sandbox");
            return;
        }
        let code = find_status(&process, status).await;
        let ended = id.clone();
        let exit = blocking("note an end", move || {
            let record = Record { exit_code: code, ..record };
            let directory = inner.host.paths.sandbox(&ended);
            // Never over the record of a later run.
            if let Some(Err(error)) = watched.if_current(|| record.save(&directory)) {
                tracing::debug!(%error, id = ended, "cannot note the end of a sandbox");
            }
            let oom_kills = inner.host.cgroups.oom_kills(record.slot);
            Ok((inner, Exit { id: ended, run: watched, code, oom_kills }))
        });
        match exit.await {
            Ok((inner, exit)) => drop(inner.exits.send(exit)),
            Err(error) => tracing::error!(%error, id, "lost the end of a sandbox"),
        }
    });
    Watch { run, task }
}

async fn find_status(process: &Process, launcher: Option<oneshot::Receiver<i32>>) -> Option<i32> {
    let mut launcher = launcher;
    for _ in 0..STATUS_ATTEMPTS {
        if let Some(status) = &mut launcher {
            match tokio::time::timeout(STATUS_PAUSE, status).await {
                Ok(Ok(status)) => return Some(exit_code(status)),
                // The launcher is gone; the kernel keeps the status for us.
                Ok(Err(_)) => launcher = None,
                Err(_) => {}
            }
        }
        match sys::pidfd_exit_status(process.pidfd.as_fd()) {
            Ok(Some(status)) => return Some(exit_code(status)),
            Ok(None) => {}
            // A kernel that cannot tell (before 6.15) refuses the request in one of these ways.
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::ENOTTY | libc::EINVAL))
                    && launcher.is_none() =>
            {
                return None;
            }
            Err(_) => {}
        }
        if launcher.is_none() {
            tokio::time::sleep(STATUS_PAUSE).await;
        }
    }
    None
}

/// Ends everything in a sandbox; returns once its first process, and thereby all of them, is gone.
pub(crate) async fn kill(host: &Host, slot: u16, process: &Process) -> Result<(), RuntimeError> {
    // The kernel ends a pid namespace with its first process and holds that one until the last other is gone.
    match pidfd_send_signal(&process.pidfd, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(io::Error::from(error)).context("kill the sandbox"),
    }
    freezer::let_end(&host.cgroups, slot);
    match tokio::time::timeout(KILL_TIMEOUT, gone(process)).await {
        Ok(result) => result.context("wait for the sandbox's end"),
        Err(_) => {
            host.cgroups.kill(slot);
            let text = format!("processes still there after {} s", KILL_TIMEOUT.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, text)).context("wait for the sandbox's end")
        }
    }
}

/// Ends the run of a sandbox for somebody who needs no news of that. A sandbox that resists is as before.
pub(crate) async fn end(inner: &Arc<Inner>, id: &str, mut live: Live) -> Result<Live, RuntimeError> {
    live.watch.finish();
    let Err(error) = kill(&inner.host, live.slot.number, &live.process).await else { return Ok(live) };
    if let Some(record) = Record::load(&inner.host.paths.sandbox(id)) {
        live.watch = spawn(inner.clone(), id, &live.process, None, record);
    }
    inner.live().insert(id.to_owned(), live);
    Err(error)
}

/// Removes a sandbox, running or not.
pub(crate) async fn destroy(inner: &Arc<Inner>, id: &str, live: Option<Live>) -> Result<(), RuntimeError> {
    let mut store = None;
    if let Some(live) = live {
        let mut live = end(inner, id, live).await?;
        fault::point("delete.killed");
        live.end_sidecar(&inner.host);
        // Its pipe has ended with it; what is left in there is read before.
        let mut drain = live.drain;
        if tokio::time::timeout(LAST_OUTPUT, &mut drain).await.is_err() {
            drain.abort();
        }
        store = live.store;
    }
    if let Some(oci) = &inner.oci {
        oci.delete(id).await;
    }
    let host = inner.clone();
    let id = id.to_owned();
    blocking("clean up", move || {
        let slot = host.host.slots.slot_of(&id);
        let prepared = slot.and_then(|slot| host.host.slots.take_prepared(slot.number));
        if let Some(prepared) = prepared {
            host.host.discard(prepared);
        }
        let directory = host.host.paths.sandbox(&id);
        host.host.reaper.dispose_with(slot.map(|slot| slot.number), Some(&directory), store);
        // Only now: until the number is marked as draining, the id keeps it from being given out.
        host.host.slots.forget(&id);
        Ok(())
    })
    .await
}
