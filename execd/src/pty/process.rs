//! A program on a terminal or on pipes.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::Arc,
};

use rustix::{
    fs::OFlags,
    process::{Pid, Signal, kill_process_group},
    pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{self, InputModes, OptionalActions, Winsize, tcgetpgrp, tcsetwinsize},
};
use sandkeep_specs::execd::pty::Mode;
use tokio::io::unix::AsyncFd;

use crate::{
    command::env,
    process::{Child, Group, Identity, Program, find_in_path},
    reason::reason,
    session::MARKER,
    settings::Settings,
};

/// Size of a terminal until a client says otherwise.
const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// What clients' terminals are taken for when nothing else is said.
const DEFAULT_TERM: &str = "xterm-256color";

/// Group that owns terminals on most systems.
const TTY_GROUP: u32 = 5;

/// What clients use of a running program.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) mode: Mode,
    /// The terminal, or the pipe to standard input.
    input: Arc<AsyncFd<OwnedFd>>,
    group: Group,
}

/// A program just started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) child: Child,
    /// Standard output and standard error, or the terminal alone.
    pub(super) outputs: [Option<Arc<AsyncFd<OwnedFd>>>; 2],
}

/// Starts an interactive shell, or a shell that runs `command`.
pub(super) fn start(
    id: &str,
    command: Option<&str>,
    cwd: &Path,
    mode: Mode,
    settings: &Settings,
) -> Result<Started, String> {
    let mut env = env::for_command(settings, None);
    env.insert(MARKER.into(), id.into());
    if mode == Mode::Pty
        && env.get(std::ffi::OsStr::new("TERM")).is_none_or(|term| term == "dumb" || term.is_empty())
    {
        env.insert("TERM".into(), DEFAULT_TERM.into());
    }
    let mut argv = match find_in_path("bash", &env) {
        Some(bash) => vec![bash.into_os_string(), "--norc".into(), "--noprofile".into()],
        None => vec!["sh".into()],
    };
    argv.extend(command.iter().flat_map(|text| ["-c".into(), text.into()]));
    let program = Program { argv, env, cwd: cwd.to_owned(), identity: settings.identity.clone() };
    match mode {
        Mode::Pty => on_terminal(&program),
        Mode::Pipe => on_pipes(&program),
    }
}

fn on_terminal(program: &Program) -> Result<Started, String> {
    let (ours, theirs) = open_terminal(program.identity.as_ref())
        .map_err(|error| format!("cannot open a terminal: {}", reason(&error)))?;
    let theirs_fd = theirs.as_fd();
    let child = program.start([theirs_fd, theirs_fd, theirs_fd], None).map_err(|error| error.to_string())?;
    let ours = watched(ours)?;
    let process = Process { mode: Mode::Pty, input: Arc::clone(&ours), group: child.group() };
    Ok(Started { process, child, outputs: [Some(ours), None] })
}

fn on_pipes(program: &Program) -> Result<Started, String> {
    let pipe = || {
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|error| format!("cannot make a pipe: {}", reason(&error.into())))
    };
    let ((stdin_end, stdin), (stdout, stdout_end), (stderr, stderr_end)) = (pipe()?, pipe()?, pipe()?);
    let ends = [stdin_end.as_fd(), stdout_end.as_fd(), stderr_end.as_fd()];
    let child = program.start(ends, None).map_err(|error| error.to_string())?;
    let process = Process { mode: Mode::Pipe, input: watched(stdin)?, group: child.group() };
    Ok(Started { process, child, outputs: [Some(watched(stdout)?), Some(watched(stderr)?)] })
}

/// Our end and the program's end of a new terminal.
fn open_terminal(identity: Option<&Identity>) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags)?;
    unlockpt(&ours)?;
    // Not by its name, which may mean something else in this mount namespace.
    let theirs = ioctl_tiocgptpeer(&ours, flags)?;
    if let Some(identity) = identity {
        let own = |gid| std::os::unix::fs::fchown(&theirs, Some(identity.uid), Some(gid));
        // A user namespace need not know the group.
        own(TTY_GROUP).or_else(|_| own(identity.gid))?;
    }
    let mut attributes = termios::tcgetattr(&theirs)?;
    attributes.input_modes |= InputModes::IUTF8;
    termios::tcsetattr(&theirs, OptionalActions::Now, &attributes)?;
    let (columns, rows) = DEFAULT_SIZE;
    tcsetwinsize(&ours, Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 })?;
    Ok((ours, theirs))
}

fn watched(descriptor: OwnedFd) -> Result<Arc<AsyncFd<OwnedFd>>, String> {
    let watch = || -> io::Result<_> {
        rustix::fs::fcntl_setfl(&descriptor, rustix::fs::fcntl_getfl(&descriptor)? | OFlags::NONBLOCK)?;
        // A pipe has one of the two directions; asking for both is no error.
        // SAFETY: the descriptor is owned by the `AsyncFd` from here on and never replaced.
        Ok(unsafe { AsyncFd::register(descriptor) }?)
    };
    watch()
        .map(Arc::new)
        .map_err(|error| format!("cannot watch the program's input and output: {}", reason(&error)))
}

impl Process {
    /// Writes what the program takes of these bytes, waiting until it takes some; how many that were.
    pub(super) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.input.writable().await?;
            if let Ok(written) = ready.try_io(|input| Ok(rustix::io::write(input.get_ref(), bytes)?)) {
                return written;
            }
        }
    }

    /// Gives the terminal another size; the programs on it are told. Nothing happens in pipe mode.
    pub(super) fn resize(&self, columns: u16, rows: u16) {
        if self.mode == Mode::Pty {
            let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
            let _ = tcsetwinsize(self.input.get_ref(), size);
        }
    }

    /// Sends a signal: INT and QUIT, as from the keyboard, to the programs in the foreground, others to the shell
    /// as well.
    pub(super) fn signal(&self, signal: i32) {
        let foreground = match self.mode {
            Mode::Pty => tcgetpgrp(self.input.get_ref()).ok(),
            Mode::Pipe => None,
        };
        let sent = foreground.is_some_and(|group| send(group, signal));
        if !sent || !matches!(signal, libc::SIGINT | libc::SIGQUIT) {
            self.group.signal(signal);
        }
    }
}

fn send(group: Pid, signal: i32) -> bool {
    Signal::from_named_raw(signal).is_some_and(|signal| kill_process_group(group, signal).is_ok())
}
