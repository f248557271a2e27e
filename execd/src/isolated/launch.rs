//! The start of an agent.

use std::{
    fs,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

use super::{
    IsolatedError,
    plan::{AGENT_ARGUMENT, Plan, Report, Walls},
};
use crate::{
    command::env::Environment,
    process::{Child, Program},
};

/// A session is put up within this time or not at all.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// Name of the socket in a session's directory.
const SOCKET: &str = "s";

/// A running agent. It ends, and all processes of its session with it, when the channel is dropped.
#[derive(Debug)]
pub(super) struct Agent {
    pub child: Child,
    /// Held open for that reason.
    _channel: tokio::net::UnixStream,
    pub socket: PathBuf,
    /// The agent's bash session; `None` for a probe.
    pub session: Option<String>,
    pub walls: Walls,
}

/// Starts an agent in a session's directory and waits until it serves.
pub(super) async fn start(directory: &Path, plan: &Plan, env: Environment) -> Result<Agent, IsolatedError> {
    let failed = |error: io::Error| IsolatedError::system("cannot start an isolated session", &error);
    let socket = directory.join(SOCKET);
    let listener = UnixListener::bind(&socket).map_err(failed)?;
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let child = spawn(theirs.into(), listener.into(), env)?;
    let mut line = serde_json::to_vec(plan).map_err(|error| failed(error.into()))?;
    line.push(b'\n');
    // A plan is shorter than what a socket takes at once, or nearly so: the agent is reading.
    (&ours).write_all(&line).map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    let mut channel = BufReader::new(tokio::net::UnixStream::from_std(ours).map_err(failed)?);
    let mut answer = String::new();
    let read = timeout(START_TIMEOUT, channel.read_line(&mut answer)).await;
    let report = match read {
        Ok(Ok(_)) => serde_json::from_str(&answer)
            .unwrap_or_else(|_| Report::Refused("the session's first process ended at once".to_owned())),
        Ok(Err(error)) => return Err(failed(error)),
        Err(_) => {
            child.signal(libc::SIGKILL);
            Report::Refused(format!("the session did not start within {} s", START_TIMEOUT.as_secs()))
        }
    };
    match report {
        Report::Ready { session, walls } => {
            Ok(Agent { child, _channel: channel.into_inner(), socket, session, walls })
        }
        Report::Invalid(message) => Err(IsolatedError::Invalid(message)),
        Report::Refused(message) => Err(IsolatedError::Unavailable(message)),
    }
}

fn spawn(channel: OwnedFd, listener: OwnedFd, env: Environment) -> Result<Child, IsolatedError> {
    let failed = |error: io::Error| IsolatedError::system("cannot start an isolated session", &error);
    let sink: OwnedFd = match fs::File::options().write(true).open("/dev/null") {
        Ok(file) => file.into(),
        Err(_) => io::stderr().as_fd().try_clone_to_owned().map_err(failed)?,
    };
    let program = Program {
        argv: vec!["/proc/self/exe".into(), AGENT_ARGUMENT.into()],
        env,
        cwd: "/".into(),
        identity: None,
    };
    let stdio = [channel.as_fd(), sink.as_fd(), sink.as_fd()];
    program.start(stdio, Some(listener.as_fd())).map_err(|error| IsolatedError::System(error.to_string()))
}
