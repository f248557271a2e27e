//! Standing still: the freezers of both cgroup versions.
//!
//! Version 2 freezes without any controller, so it is taken wherever the sandbox is in its hierarchy, also on hosts whose
//! controllers are of version 1. An OCI runtime may have left it out of that one; then version 1's freezer has it.

use std::{
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use super::cgroup::Cgroups;

/// Processes stop within microseconds, unless one is deep in the kernel (a slow disk, a fault).
const FREEZE_TIMEOUT: Duration = Duration::from_secs(5);
/// Being told of the change costs milliseconds, looking costs microseconds: so long, look without rest.
const SPIN: Duration = Duration::from_millis(2);
const PAUSE: Duration = Duration::from_millis(1);

/// Freezes a slot; returns once everything in it stands still. Leaves it thawed on failure.
pub(super) fn freeze(cgroups: &Cgroups, slot: u16) -> io::Result<()> {
    let freezer = Freezer::of(cgroups, slot)?;
    freezer.set(true)?;
    let frozen = freezer.wait(true);
    if frozen.is_err() {
        freezer.set(false)?;
    }
    frozen
}

pub(super) fn thaw(cgroups: &Cgroups, slot: u16) -> io::Result<()> {
    let freezer = Freezer::of(cgroups, slot)?;
    freezer.set(false)?;
    freezer.wait(false)
}

/// Whether a slot stands still.
pub(super) fn is_frozen(cgroups: &Cgroups, slot: u16) -> bool {
    Freezer::of(cgroups, slot).and_then(|freezer| freezer.is(true)).unwrap_or(false)
}

/// Lets killed processes end: version 1 holds even those.
pub(super) fn let_end(cgroups: &Cgroups, slot: u16) {
    if let Some(directory) = cgroups.legacy_freezer(slot).filter(|directory| directory.exists()) {
        let _ = fs::write(directory.join("freezer.state"), "THAWED");
    }
}

/// One slot's freezer.
enum Freezer {
    Unified(std::path::PathBuf),
    Legacy(std::path::PathBuf),
}

impl Freezer {
    /// The hierarchy that has the slot's processes.
    fn of(cgroups: &Cgroups, slot: u16) -> io::Result<Self> {
        if let Some(directory) = cgroups.unified_dir(slot)
            && events(&directory)?.contains("populated 1")
        {
            return Ok(Self::Unified(directory));
        }
        match cgroups.legacy_freezer(slot).filter(|directory| directory.exists()) {
            Some(directory) => Ok(Self::Legacy(directory)),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no freezer has processes of the sandbox")),
        }
    }

    fn set(&self, frozen: bool) -> io::Result<()> {
        match self {
            Self::Unified(directory) => {
                fs::write(directory.join("cgroup.freeze"), if frozen { "1" } else { "0" })
            }
            Self::Legacy(directory) => {
                fs::write(directory.join("freezer.state"), if frozen { "FROZEN" } else { "THAWED" })
            }
        }
    }

    fn is(&self, frozen: bool) -> io::Result<bool> {
        match self {
            Self::Unified(directory) => {
                Ok(events(directory)?.contains(if frozen { "frozen 1" } else { "frozen 0" }))
            }
            Self::Legacy(directory) => {
                let state = fs::read_to_string(directory.join("freezer.state"))?;
                Ok(state.trim() == if frozen { "FROZEN" } else { "THAWED" })
            }
        }
    }

    fn wait(&self, frozen: bool) -> io::Result<()> {
        let since = Instant::now();
        while !self.is(frozen)? {
            match since.elapsed() {
                waited if waited < SPIN => std::thread::yield_now(),
                waited if waited < FREEZE_TIMEOUT => std::thread::sleep(PAUSE),
                _ => {
                    let wanted = if frozen { "freeze" } else { "thaw" };
                    let text = format!("processes did not {wanted} within {} s", FREEZE_TIMEOUT.as_secs());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, text));
                }
            }
        }
        Ok(())
    }
}

fn events(directory: &Path) -> io::Result<String> {
    fs::read_to_string(directory.join("cgroup.events"))
}
