//! The agent: a process of this binary that walls itself in and then serves one session from inside.
//!
//! It starts with a single thread, so it may do what a process with threads cannot: make user and PID namespaces,
//! fork, mount, and give up rights for all that follows.

mod harden;
mod mounts;
mod namespaces;
mod seccomp;
mod serve;

use std::{
    env,
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    os::{fd::FromRawFd, unix::net::UnixStream},
    process::ExitCode,
};

pub(super) use mounts::copy_attributes;

use super::plan::{AGENT_ARGUMENT, Plan, Report, Walls};
use crate::reason::reason;

/// Becomes an agent if that is what the command line asks for.
#[must_use]
pub fn entry() -> Option<ExitCode> {
    (env::args_os().nth(1).as_deref() == Some(OsStr::new(AGENT_ARGUMENT))).then(run)
}

/// Why a session cannot be put up.
#[derive(Debug)]
pub(super) struct Failure {
    /// The request is to blame, not the machine.
    invalid: bool,
    message: String,
}

impl Failure {
    pub(super) fn refused(what: impl Into<String>, error: impl Into<std::io::Error>) -> Self {
        Self { invalid: false, message: format!("{}: {}", what.into(), reason(&error.into())) }
    }

    pub(super) fn invalid(what: impl Into<String>) -> Self {
        Self { invalid: true, message: what.into() }
    }
}

impl From<Failure> for Report {
    fn from(failure: Failure) -> Self {
        if failure.invalid { Self::Invalid(failure.message) } else { Self::Refused(failure.message) }
    }
}

fn run() -> ExitCode {
    // SAFETY: execd passes the channel as descriptor 0, and nothing else here uses it.
    let channel = unsafe { UnixStream::from_raw_fd(0) };
    let Some(plan) = read_plan(&channel) else { return ExitCode::FAILURE };
    match put_up(&plan) {
        Ok(walls) => serve::serve(&plan, channel, walls),
        Err(failure) => {
            let _ = report(&channel, &failure.into());
            ExitCode::FAILURE
        }
    }
}

fn read_plan(channel: &UnixStream) -> Option<Plan> {
    let mut line = Vec::new();
    BufReader::new(channel).read_until(b'\n', &mut line).ok()?;
    serde_json::from_slice(&line).ok()
}

/// Tells execd how it went.
pub(super) fn report(mut channel: &UnixStream, report: &Report) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    channel.write_all(&line)
}

/// Makes the session's walls around this process, or rather its child.
fn put_up(plan: &Plan) -> Result<Walls, Failure> {
    let network = namespaces::enter(plan)?;
    namespaces::become_first_process()?;
    if network {
        namespaces::raise_loopback()?;
    }
    let writable = mounts::build(plan)?;
    // Without a network of its own a session that is to have none gets no sockets instead.
    let landlock = harden::apply(&writable, !plan.share_net && !network)?;
    Ok(Walls { landlock, network })
}
