//! A running child.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use tokio::io::{Interest, unix::AsyncFd};

use super::{Group, table};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
}

impl ExitStatus {
    /// The status as shells give it: 128 + N after signal N.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128 + signal,
        }
    }
}

/// A child process, leader of its own session and process group.
///
/// Dropping it does not end the process; it is then reaped in the background.
#[derive(Debug)]
pub struct Child {
    pid: i32,
    /// `None` only while dropping.
    pidfd: Option<AsyncFd<OwnedFd>>,
    status: Option<ExitStatus>,
    /// Nobody waits for it any more but the task that reaps it.
    orphaned: bool,
}

impl Child {
    pub(super) fn new(pid: i32, pidfd: OwnedFd) -> io::Result<Self> {
        // SAFETY: the descriptor is owned by the `AsyncFd` from here on and never replaced.
        let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }?;
        Ok(Self { pid, pidfd: Some(pidfd), status: None, orphaned: false })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its process group. To be signalled only while something is known to be in it.
    #[must_use]
    pub fn group(&self) -> Group {
        Group::new(self.pid)
    }

    /// Sends a signal to the process alone; does nothing once it has ended.
    pub fn signal(&self, signal: i32) {
        if let Some(pidfd) = &self.pidfd {
            // SAFETY: plain system call on a descriptor we own.
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, 0, 0) };
        }
    }

    /// Waits for the end of the process. May be cancelled and called again.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            let Some(pidfd) = &self.pidfd else { continue };
            // A pidfd becomes readable once and stays so: clearing the readiness would lose the only wake-up.
            pidfd.readable().await?.retain_ready();
            if self.try_wait()?.is_none() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// The status if the process has ended.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none()
            && let Some(pidfd) = &self.pidfd
        {
            self.status = table::collect(self.pid, pidfd.get_ref())?;
        }
        Ok(self.status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The task of an orphan that is dropped means that the runtime ends: it would drop another one at once.
        let runs = !self.orphaned && matches!(self.try_wait(), Ok(None));
        if let (true, Some(pidfd), Ok(runtime)) =
            (runs, self.pidfd.take(), tokio::runtime::Handle::try_current())
        {
            let mut orphan = Self { pid: self.pid, pidfd: Some(pidfd), status: None, orphaned: true };
            runtime.spawn(async move { orphan.wait().await });
        }
    }
}
