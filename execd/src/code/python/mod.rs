//! Python interpreters.

mod find;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;

use tokio::net::UnixStream;

use super::error::CodeError;
use super::interpreter::Interpreter;
use super::output::Output;
use crate::command::env::Environment;
use crate::process::{Identity, Program, null_input};
use sandkeep_specs::execd::event::EventKind;

pub(crate) use find::Finder;

/// The program that runs inside the interpreter.
const DRIVER: &str = include_str!("driver.py");

/// Keeps matplotlib from looking for a screen; the driver shows the figures.
const PLOT_BACKEND: (&str, &str) = ("MPLBACKEND", "Agg");

/// How to start an interpreter.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) python: PathBuf,
    pub(crate) env: Environment,
    pub(crate) cwd: PathBuf,
    pub(crate) identity: Option<Identity>,
}

impl Start {
    /// Starts an interpreter that waits for code.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn interpreter(&self) -> Result<Interpreter, CodeError> {
        let failed = |error: io::Error| CodeError::System(format!("cannot prepare an interpreter: {error}"));
        let (mut ours, theirs) = StdUnixStream::pair().map_err(failed)?;
        // The driver is far smaller than the socket's buffer, so that this does not wait for a reader.
        ours.set_nonblocking(true).map_err(failed)?;
        ours.write_all(DRIVER.as_bytes()).map_err(failed)?;
        let socket = UnixStream::from_std(ours).map_err(failed)?;
        let (stdout, stdout_end) = Output::new(EventKind::Stdout).map_err(failed)?;
        let (stderr, stderr_end) = Output::new(EventKind::Stderr).map_err(failed)?;
        let program = Program {
            argv: self.argv(),
            env: self.env(),
            cwd: self.cwd.clone(),
            identity: self.identity.clone(),
        };
        let stdio = [null_input().map_err(failed)?, stdout_end.as_fd(), stderr_end.as_fd()];
        let child = program.start(stdio, Some(theirs.as_fd()));
        let child = child.map_err(|error| CodeError::System(format!("cannot start python3: {error}")))?;
        Ok(Interpreter::new(child, socket, stdout, stderr))
    }

    /// The driver is the first thing on the channel. `-S` leaves out what the driver does later, when it is needed.
    fn argv(&self) -> Vec<OsString> {
        let boot = format!(
            "import posix;exec(compile(posix.read(3,{}),'<sandkeep>','exec'),{{'__name__':'_sandkeep'}})",
            DRIVER.len()
        );
        vec![self.python.clone().into(), "-S".into(), "-c".into(), boot.into()]
    }

    fn env(&self) -> Environment {
        let mut env = self.env.clone();
        let (name, value) = PLOT_BACKEND;
        env.entry(name.into()).or_insert_with(|| value.into());
        env
    }
}
