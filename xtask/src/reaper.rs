//! Reaping what tests orphan.
//!
//! Tests kill daemons and then wait until nothing is left of their processes. Where the machine's first process reaps
//! nobody, as in a container without an init, the dead would stay for ever and be taken for a leak.

use std::env;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result, bail};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, set_child_subreaper, wait};

/// Set in the process that does the work.
const MARK: &str = "SANDKEEP_REAPED";

/// Does `work` in a child of a process that adopts and reaps every orphan below it.
pub(crate) fn under(work: impl FnOnce() -> Result<()>) -> Result<()> {
    if env::var_os(MARK).is_some() {
        return work();
    }
    set_child_subreaper(Some(rustix::process::getpid())).context("cannot become the parent of orphans")?;
    let program = env::current_exe().context("cannot find this program")?;
    let child = Command::new(program).args(env::args_os().skip(1)).env(MARK, "1").spawn();
    let child = child.context("cannot start this program again")?;
    let status = reap_until(Pid::from_child(&child))?;
    if !status.success() {
        // It has said why.
        std::process::exit(status.code().unwrap_or(1));
    }
    Ok(())
}

fn reap_until(child: Pid) -> Result<ExitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == child => return Ok(ExitStatus::from_raw(status.as_raw())),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => bail!("cannot wait for the work to end: {error}"),
        }
    }
}
