//! Starting interpreters.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, memfd_create};
use sandkeep_specs::execd::event::{EventKind, ExecutionError};
use tokio::net::UnixStream;

use super::error::CodeError;
use super::interpreter::Interpreter;
use super::output::Output;
use super::{go, java, node, python};
use crate::command::env::Environment;
use crate::process::{Identity, Program, null_input};

/// What runs the script that starts the driver of Go.
const SHELL: &str = "sh";

/// What talks to execd inside an interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Driver {
    Python,
    JavaScript,
    TypeScript,
    Java,
    Go,
}

impl Driver {
    /// A run's code as the driver takes it.
    ///
    /// # Errors
    /// When it cannot be what it is to be.
    pub(crate) fn prepare(self, code: String, number: i64) -> Result<String, ExecutionError> {
        match self {
            Self::JavaScript => Ok(node::javascript(&code)),
            Self::TypeScript => node::typescript(&code, number),
            Self::Python | Self::Java | Self::Go => Ok(code),
        }
    }

    /// What the driver reads first from the channel.
    fn preamble(self) -> &'static str {
        if self == Self::Python { python::DRIVER } else { "" }
    }

    /// The driver's own text as standard input.
    fn script(self) -> Option<Cow<'static, str>> {
        match self {
            Self::JavaScript | Self::TypeScript => Some(node::DRIVER.into()),
            Self::Java => Some(java::DRIVER.into()),
            Self::Go => Some(go::script().into()),
            Self::Python => None,
        }
    }
}

/// How to start an interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) driver: Driver,
    pub(crate) program: PathBuf,
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
        ours.write_all(self.driver.preamble().as_bytes()).map_err(failed)?;
        let socket = UnixStream::from_std(ours).map_err(failed)?;
        let (stdout, stdout_end) = Output::new(EventKind::Stdout).map_err(failed)?;
        let (stderr, stderr_end) = Output::new(EventKind::Stderr).map_err(failed)?;
        let program = Program {
            argv: self.argv(),
            env: self.env(),
            cwd: self.cwd.clone(),
            identity: self.identity.clone(),
        };
        let script = self.driver.script().map(|text| self.input(&text)).transpose().map_err(failed)?;
        let input = match &script {
            Some(script) => script.as_fd(),
            None => null_input().map_err(failed)?,
        };
        let child = program.start([input, stdout_end.as_fd(), stderr_end.as_fd()], Some(theirs.as_fd()));
        let child = child.map_err(|error| {
            CodeError::System(format!("cannot start {}: {error}", self.program.display()))
        })?;
        Ok(Interpreter::new(child, socket, stdout, stderr))
    }

    /// A file in memory with the driver's text. Java opens it anew; what it runs must not find the text there.
    fn input(&self, text: &str) -> io::Result<File> {
        let mut file = File::from(memfd_create("driver", MemfdFlags::CLOEXEC)?);
        file.write_all(text.as_bytes())?;
        if self.driver != Driver::Java {
            file.seek(SeekFrom::Start(0))?;
        }
        Ok(file)
    }

    fn argv(&self) -> Vec<OsString> {
        let program = OsString::from(&self.program);
        let arguments: &[&str] = match self.driver {
            Driver::Python => return python::argv(&self.program),
            Driver::JavaScript | Driver::TypeScript => &node::ARGUMENTS,
            Driver::Java => &java::ARGUMENTS,
            Driver::Go => {
                let script = go::arguments(&self.program);
                return std::iter::once(SHELL.into()).chain(script).collect();
            }
        };
        std::iter::once(program).chain(arguments.iter().map(OsString::from)).collect()
    }

    pub(super) fn env(&self) -> Environment {
        match self.driver {
            Driver::Python => python::env(self.env.clone()),
            _ => self.env.clone(),
        }
    }
}
