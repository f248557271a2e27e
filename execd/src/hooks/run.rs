//! One run of a hook.

use std::{collections::BTreeMap, ffi::OsString, io, os::fd::AsFd, path::PathBuf, time::Duration};

use tokio::time::{Instant, timeout};

use super::{output::Output, plan::Hook};
use crate::{
    process::{self, Child, ExitStatus, Identity, Program, StartError},
    settings::Settings,
};

/// Time between asking a hook that takes too long to end and killing it.
const KILL_AFTER: Duration = Duration::from_secs(3);

/// Exit statuses that stand for a run that could not begin and for one that took too long, as shells and `timeout`
/// have them.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;
const TIMED_OUT: i32 = 124;

/// What all hooks run in.
#[derive(Debug, Clone)]
pub struct Surroundings {
    env: BTreeMap<OsString, OsString>,
    cwd: PathBuf,
    identity: Option<Identity>,
}

/// Why a run did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("cannot be watched: {0}")]
    System(#[from] io::Error),
    #[error("ended with status {code}{}", quoted(.output))]
    Failed { code: i32, output: String },
    #[error("did not end within {} s{}", .limit.as_secs(), quoted(.output))]
    TimedOut { limit: Duration, output: String },
}

fn quoted(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(": {output}") }
}

impl Problem {
    /// The exit status that stands for it, never 0.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Start(error) if error.cause.kind() == io::ErrorKind::NotFound => NOT_FOUND,
            Self::Start(_) | Self::System(_) => NOT_EXECUTABLE,
            Self::Failed { code, .. } => *code,
            Self::TimedOut { .. } => TIMED_OUT,
        }
    }
}

impl Surroundings {
    /// Those of the entrypoint.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self { env: settings.env().clone(), cwd: settings.cwd.clone(), identity: settings.identity.clone() }
    }
}

impl Hook {
    /// Runs the command to its end, and to no later than its timeout. Dropping the run kills it; what a command that
    /// ended by itself left in the background goes on.
    ///
    /// # Errors
    /// When it could not start, ended with another status than 0, or took too long.
    pub async fn run(&self, surroundings: &Surroundings) -> Result<(), Problem> {
        let begun = Instant::now();
        let Surroundings { env, cwd, identity } = surroundings.clone();
        let program = Program { argv: self.argv.clone(), env, cwd, identity };
        let (output, write) = Output::new()?;
        let child = program.start([process::null_input()?, write.as_fd(), write.as_fd()], None)?;
        drop(write);
        let mut running = Running(child);
        let ended = timeout(self.timeout, running.0.wait()).await;
        let Ok(status) = ended else {
            running.end().await;
            return Err(Problem::TimedOut { limit: self.timeout, output: output.text().await });
        };
        let (status, output) = (status?, output.text().await);
        if status != ExitStatus::Exited(0) {
            return Err(Problem::Failed { code: status.code(), output });
        }
        tracing::info!(command = ?self.argv[0], took_ms = begun.elapsed().as_millis(), ?output, "hook succeeded");
        Ok(())
    }
}

/// A command that must not outlive whoever waits for it.
struct Running(Child);

impl Running {
    /// Asks its process group to end, and kills what is left of it.
    async fn end(&mut self) {
        self.0.group().signal(libc::SIGTERM);
        let _ = self.0.group().gone_by(Instant::now() + KILL_AFTER).await;
        self.0.group().signal(libc::SIGKILL);
        let _ = self.0.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.0.group().signal(libc::SIGKILL);
        }
    }
}
