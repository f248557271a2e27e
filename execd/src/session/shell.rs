//! The shell of a session and the channel to it.

use std::{
    ffi::OsStr,
    fs, io,
    os::{
        fd::AsFd,
        unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, lchown},
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{io::AsyncWriteExt, net::UnixStream, time::timeout};

use super::{
    family::MARKER,
    output::Output,
    script::{self, MAIN, SETUP},
};
use crate::{
    command::env,
    process::{Child, Program, find_in_path, null_input},
    reason::reason,
    settings::Settings,
};

/// A shell must be ready for its first run within this time; it may have much state to take over.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A ready shell must have taken a text within this time.
const SEND_LIMIT: Duration = Duration::from_secs(20);

/// Longest report of a shell; more is none of its doing.
const MAX_REPORT_BYTES: usize = 8 * 1024;

/// The private directory of a session's shells: it has the script they begin with, and in it one leaves its state for
/// the next. Removed when dropped.
#[derive(Debug)]
pub(super) struct Home(PathBuf);

impl Home {
    /// Makes a directory that only the shells' user can enter.
    pub(super) fn create(id: &str, settings: &Settings) -> io::Result<Self> {
        let directory = std::env::temp_dir().join(format!("execd-session-{id}"));
        fs::DirBuilder::new().mode(0o700).create(&directory)?;
        let home = Self(directory);
        fs::write(home.0.join("setup"), SETUP)?;
        if let Some(identity) = &settings.identity {
            lchown(&home.0, Some(identity.uid), Some(identity.gid))?;
        }
        Ok(home)
    }

    /// Whether a shell has left anything since the last one took it over.
    pub(super) fn has_state(&self) -> bool {
        self.0.join("state").symlink_metadata().is_ok_and(|found| found.is_file() && found.len() > 0)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, directory = %self.0.display(), "cannot remove a session's directory");
        }
    }
}

/// A live shell.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) child: Child,
    pub(super) control: Control,
    /// Number of the present run; reports of others are none of its business.
    run: u64,
}

impl Shell {
    /// Starts a shell that takes over the state left in `home`, and waits until it is ready; also says where it is.
    pub(super) async fn start(
        id: &str,
        cwd: &Path,
        home: &Home,
        outputs: &[Output; 2],
        settings: &Settings,
    ) -> Result<(Self, PathBuf), String> {
        let mut env = env::for_command(settings, None);
        env.insert(MARKER.into(), id.into());
        let shell = find_in_path("bash", &env);
        let arguments: &[&str] = if shell.is_some() { &["--noprofile", "--norc", "-c"] } else { &["-c"] };
        let shell = shell.unwrap_or_else(|| "sh".into());
        let name = if arguments.len() > 1 { "bash" } else { "sh" };
        let mut argv = vec![shell.into_os_string()];
        argv.extend(arguments.iter().map(Into::into));
        argv.extend([MAIN, name].map(Into::into));
        argv.push(home.0.clone().into());
        let program = Program { argv, env, cwd: cwd.to_owned(), identity: settings.identity.clone() };
        let mut shell = connect(&program, outputs)?;
        // The first report says that it is ready.
        match timeout(START_LIMIT, shell.control.report(0)).await {
            Ok(Some(report)) => Ok((shell, report.directory)),
            Ok(None) => Err("the session's shell ended at once".to_owned()),
            Err(_) => {
                shell.child.signal(libc::SIGKILL);
                Err(format!("the session's shell was not ready within {} s", START_LIMIT.as_secs()))
            }
        }
    }

    /// Hands the shell a text to evaluate and returns the number of the run.
    pub(super) async fn send(&mut self, text: &str) -> io::Result<u64> {
        self.run += 1;
        let line = script::one_line(self.run, text);
        timeout(SEND_LIMIT, self.control.stream.write_all(line.as_bytes())).await??;
        Ok(self.run)
    }
}

fn connect(program: &Program, [stdout, stderr]: &[Output; 2]) -> Result<Shell, String> {
    let prepare =
        |error: io::Error| format!("cannot prepare the shell's input and output: {}", reason(&error));
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(prepare)?;
    ours.set_nonblocking(true).map_err(prepare)?;
    let stream = UnixStream::from_std(ours).map_err(prepare)?;
    let stdio = [null_input().map_err(prepare)?, stdout.writer(), stderr.writer()];
    let child = program.start(stdio, Some(theirs.as_fd())).map_err(|error| error.to_string())?;
    Ok(Shell { child, control: Control { stream, partial: Vec::new() }, run: 0 })
}

/// What a shell says when a run is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) status: i32,
    /// Where the shell is.
    pub(super) directory: PathBuf,
}

/// The channel on which texts go to the shell and statuses come back.
#[derive(Debug)]
pub(super) struct Control {
    stream: UnixStream,
    /// A report not yet complete.
    partial: Vec<u8>,
}

impl Control {
    /// How run `number` ended; `None` when the shell has closed the channel. Anything else on the
    /// channel is skipped: code that goes looking for it can write to it. May be cancelled without loss.
    pub(super) async fn report(&mut self, number: u64) -> Option<Report> {
        loop {
            while let Some(end) = memchr::memchr(b'\n', &self.partial) {
                let line: Vec<u8> = self.partial.drain(..=end).collect();
                if let Some(report) = parse(&line[..end], number) {
                    return Some(report);
                }
            }
            if self.partial.len() > MAX_REPORT_BYTES {
                self.partial.clear();
            }
            self.stream.readable().await.ok()?;
            match self.stream.try_read_buf(&mut self.partial) {
                Ok(0) => return None,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return None,
                _ => {}
            }
        }
    }
}

fn parse(line: &[u8], number: u64) -> Option<Report> {
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let mut part = || parts.next();
    let (run, status, directory) = (text(part()?)?, text(part()?)?, part()?);
    if run.parse() != Ok(number) {
        return None;
    }
    Some(Report { status: status.parse().ok()?, directory: OsStr::from_bytes(directory).into() })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_reports_of_the_run_count() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut control = Control { stream: ours, partial: Vec::new() };
        let noise = &b"7 1 /\nnoise\n8\n\xff 1 /\n8 x /\n8 1\n"[..];
        let report = |status, directory: &str| Some(Report { status, directory: directory.into() });
        theirs
            .write_all(&[noise, &[b'x'; 3 * MAX_REPORT_BYTES], b"\n8 3 /a b\n9 4 /\n"].concat())
            .await
            .unwrap();
        assert_eq!(control.report(8).await, report(3, "/a b"));
        assert_eq!(control.report(9).await, report(4, "/"));
        drop(theirs);
        assert_eq!(control.report(10).await, None);
    }
}
