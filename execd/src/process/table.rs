//! The children somebody waits for.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsRawFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    child::ExitStatus,
    clone::{self, Plan, Step},
};

/// Own children by process id; a status that `reap_orphans` came upon waits here for its owner.
static CHILDREN: Mutex<Option<HashMap<i32, Option<ExitStatus>>>> = Mutex::new(None);

type Guard = MutexGuard<'static, Option<HashMap<i32, Option<ExitStatus>>>>;

fn lock() -> Guard {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a process and registers it in one step, so that no reaper comes in between.
pub(super) fn start(plan: &Plan<'_>) -> Result<(i32, OwnedFd), (Step, io::Error)> {
    let mut children = lock();
    let (pid, pidfd) = clone::start(plan)?;
    children.get_or_insert_default().insert(pid, None);
    Ok((pid, pidfd))
}

/// The status of an own child if it has ended. The child is then forgotten.
pub(super) fn collect(pid: i32, pidfd: &OwnedFd) -> io::Result<Option<ExitStatus>> {
    let mut children = lock();
    let known = children.get_or_insert_default();
    let status = match known.get(&pid) {
        Some(Some(status)) => Some(*status),
        _ => wait(libc::P_PIDFD, pidfd.as_raw_fd().cast_unsigned())?.map(|(_, status)| status),
    };
    if status.is_some() {
        known.remove(&pid);
    }
    Ok(status)
}

/// Reaps everything that has ended: strangers that became ours because we are their init, and own children, whose
/// statuses are kept for their owners. Only for init mode, where nothing else may be waiting for a child.
///
/// Returns whether any child is left.
pub fn reap_orphans() -> bool {
    let mut children = lock();
    let known = children.get_or_insert_default();
    loop {
        match wait(libc::P_ALL, 0) {
            Ok(Some((pid, status))) => {
                if let Some(slot) = known.get_mut(&pid) {
                    *slot = Some(status);
                }
            }
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

fn wait(kind: libc::idtype_t, id: u32) -> io::Result<Option<(i32, ExitStatus)>> {
    // SAFETY: siginfo_t is plain data that waitid fills in.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live siginfo_t.
    if unsafe { libc::waitid(kind, id, &raw mut info, libc::WEXITED | libc::WNOHANG) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: after a successful waitid these members are set, or zero when nothing has ended.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    let status = if info.si_code == libc::CLD_EXITED {
        ExitStatus::Exited(status)
    } else {
        ExitStatus::Signaled(status)
    };
    Ok((pid != 0).then_some((pid, status)))
}
