//! Background runs of a session.
//!
//! A run is a background job of the session's shell. Its output comes through one named pipe and its exit status
//! through another, so that nothing in the session has to be trusted to have ended, or to end its output.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::Body;
use chrono::{DateTime, Utc};
use http_body_util::BodyExt;
use rustix::fs::{CWD, FileType, Mode};
use sandkeep_specs::execd::{
    isolated::{IsolatedBackgroundRunResponse, IsolatedRunStatus},
    session::RunInSessionRequest,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe::{self, Receiver},
    time::timeout,
};
use uuid::Uuid;

use super::{IsolatedError, busy::Busy, plan::RUNS_INSIDE, session::Session};
use crate::{command::Logs, id};

/// Background runs of one session that are remembered; beyond that the oldest that has ended is forgotten.
const MAX_RUNS: usize = 64;

/// Bytes of output kept of a run that has ended, and sent in one answer.
pub(super) const MAX_LOG_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes of output kept of a run that goes on; more is dropped.
const MAX_LIVE_LOG_BYTES: u64 = 128 * 1024 * 1024;

/// A run counts as ended when its output has, or this long after its shell.
const OUTPUT_GRACE: Duration = Duration::from_millis(100);

/// Bytes read from a run's output at once.
const READ_BYTES: usize = 64 * 1024;

/// Status of a run that never began.
const NOT_STARTED: i32 = 255;

/// Status of a run whose shell was killed before it could tell.
const KILLED: i32 = 128 + libc::SIGKILL;

/// The background runs of one session.
#[derive(Debug)]
pub(super) struct Runs {
    /// Shown to the session as [`RUNS_INSIDE`].
    directory: PathBuf,
    /// Who the pipes belong to, when not to execd.
    owner: Option<(u32, u32)>,
    all: Mutex<BTreeMap<Uuid, Arc<Run>>>,
}

#[derive(Debug)]
struct Run {
    started_at: DateTime<Utc>,
    end: Mutex<Option<End>>,
    log: PathBuf,
}

#[derive(Debug, Clone)]
struct End {
    at: DateTime<Utc>,
    code: i32,
    error: Option<String>,
}

impl Run {
    fn end(&self) -> MutexGuard<'_, Option<End>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, code: i32, error: Option<String>) {
        self.end().get_or_insert_with(|| End { at: Utc::now(), code, error });
    }
}

impl Runs {
    pub(super) fn new(directory: PathBuf, owner: Option<(u32, u32)>) -> Self {
        Self { directory, owner, all: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Uuid, Arc<Run>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: &str) -> Result<(Uuid, Arc<Run>), IsolatedError> {
        let parsed = Uuid::parse_str(id).ok();
        let found = parsed.and_then(|id| Some((id, Arc::clone(self.all().get(&id)?))));
        found.ok_or_else(|| IsolatedError::UnknownRun(id.to_owned()))
    }

    fn register(&self, id: Uuid, run: &Arc<Run>) -> Result<(), IsolatedError> {
        let mut all = self.all();
        if all.len() >= MAX_RUNS {
            let ended = all.iter().filter(|(_, run)| run.end().is_some());
            let oldest = ended.min_by_key(|(_, run)| run.started_at).map(|(id, _)| *id);
            let oldest = oldest.ok_or_else(|| {
                IsolatedError::TooMany(format!("{MAX_RUNS} background runs are going on in this session"))
            })?;
            if let Some(run) = all.remove(&oldest) {
                let _ = fs::remove_file(&run.log);
            }
        }
        all.insert(id, Arc::clone(run));
        Ok(())
    }

    /// The session's processes are gone.
    pub(super) fn all_ended(&self) {
        for run in self.all().values() {
            run.finish(KILLED, Some("the session has ended".to_owned()));
        }
    }

    fn pipe(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.directory.join(name);
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        if let Some((uid, gid)) = self.owner {
            chown(&path, Some(uid), Some(gid))?;
        }
        Ok(path)
    }
}

/// Names of a run's pipes.
fn names(id: Uuid) -> [String; 2] {
    ["out", "end"].map(|kind| format!("{}.{kind}", id.simple()))
}

/// What the session's shell evaluates. The pipes are opened before the job is started, so once this text is done
/// their ends tell about the job.
fn script(id: Uuid, code: &str) -> String {
    let [output, end] = names(id).map(|name| format!("{RUNS_INSIDE}/{name}"));
    let code = format!("'{}'", code.replace('\'', r"'\''"));
    format!(
        "{{ (
__sandkeep_flags=$-; set +e
( case $__sandkeep_flags in *e*) set -e;; esac; eval {code} ) </dev/null >&8 2>&8 8>&- 9>&-
printf '%d\\n' \"$?\" >&9
) 3>&- & }} 8>'{output}' 9>'{end}'"
    )
}

/// Starts a background run. It begins when the session's shell is done with what came before.
pub(super) fn start(
    session: &Arc<Session>,
    code: &str,
    envs: Option<BTreeMap<String, String>>,
) -> Result<IsolatedBackgroundRunResponse, IsolatedError> {
    session.check_alive()?;
    let runs = &session.runs;
    let run_id = id::random();
    let failed = |error: io::Error| IsolatedError::system("cannot prepare a background run", &error);
    let log = session.directory.join(format!("{}.log", run_id.simple()));
    let file = OpenOptions::new().append(true).create_new(true).open(&log).map_err(failed)?;
    let run = Arc::new(Run { started_at: Utc::now(), end: Mutex::default(), log });
    let [output, end] = names(run_id);
    let pipes = || -> io::Result<_> { Ok([Pipe::new(runs.pipe(&output)?)?, Pipe::new(runs.pipe(&end)?)?]) };
    let [output, end] = pipes().map_err(failed)?;
    runs.register(run_id, &run)?;
    let started_at = run.started_at;
    let request = RunInSessionRequest { command: script(run_id, code), cwd: None, envs, timeout: None };
    let busy = Busy::new(session);
    let session_id = session.id;
    let session = Arc::clone(session);
    tokio::spawn(async move {
        let mut collector = tokio::spawn(collect(output.receiver, file.into(), run.log.clone()));
        let launched = launch(&session, &request).await;
        // From here on the run alone holds the pipes open.
        drop((output.held, end.held));
        let (code, error) = match launched {
            Ok(()) => status(end.receiver).await,
            Err(message) => (NOT_STARTED, Some(message)),
        };
        // What the run left behind may go on writing, which then follows in the log.
        let _ = timeout(OUTPUT_GRACE, &mut collector).await;
        run.finish(code, error);
        drop(busy);
    });
    Ok(IsolatedBackgroundRunResponse { session_id, run_id, started_at })
}

/// The reading end of a pipe, and a writing end until the run has its own.
struct Pipe {
    receiver: Receiver,
    held: pipe::Sender,
}

impl Pipe {
    /// Opens both ends: a reader alone would take it for closed.
    fn new(path: PathBuf) -> io::Result<Self> {
        let receiver = pipe::OpenOptions::new().open_receiver(&path)?;
        let held = pipe::OpenOptions::new().open_sender(&path)?;
        Ok(Self { receiver, held })
    }
}

/// Has the session's shell start the job; an error says why it did not.
async fn launch(session: &Session, request: &RunInSessionRequest) -> Result<(), String> {
    let answer = session.run(request).await.map_err(|error| error.to_string())?;
    let accepted = answer.status().is_success();
    let body = Body::new(answer.into_body()).collect().await.map_err(|error| error.to_string())?.to_bytes();
    let started = accepted && memchr::memmem::find(&body, br#""type":"execution_complete""#).is_some();
    if started { Ok(()) } else { Err("the session's shell did not start the run".to_owned()) }
}

/// Waits for a run's exit status.
async fn status(mut end: Receiver) -> (i32, Option<String>) {
    let mut text = String::new();
    let read = end.read_to_string(&mut text).await;
    match text.trim().parse() {
        Ok(0) if read.is_ok() => (0, None),
        Ok(code) if read.is_ok() => (code, Some(format!("exit status {code}"))),
        _ => (KILLED, Some("signal: killed".to_owned())),
    }
}

/// Writes a run's output to its log as it comes.
async fn collect(mut output: Receiver, log: tokio::fs::File, path: PathBuf) {
    let mut log = log;
    let mut buffer = vec![0; READ_BYTES];
    let mut room = MAX_LIVE_LOG_BYTES;
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(count);
        if log.write_all(&buffer[..fits]).await.is_err() || log.flush().await.is_err() {
            // A full disk is no reason to stop the run.
            room = 0;
        }
        room = room.saturating_sub(fits as u64);
    }
    let cut = async || {
        let file = tokio::fs::OpenOptions::new().write(true).open(&path).await?;
        let length = file.metadata().await?.len();
        file.set_len(length.min(MAX_LOG_BYTES)).await
    };
    if let Err(error) = cut().await {
        tracing::debug!(%error, "a run's log is gone");
    }
}

/// What is known of a run.
pub(super) fn describe(session: &Session, id: &str) -> Result<IsolatedRunStatus, IsolatedError> {
    let (run_id, run) = session.runs.get(id)?;
    let end = run.end().clone();
    Ok(IsolatedRunStatus {
        session_id: session.id,
        run_id,
        running: end.is_none(),
        started_at: run.started_at,
        exit_code: end.as_ref().map(|end| end.code),
        error: end.as_ref().and_then(|end| end.error.clone()),
        finished_at: end.map(|end| end.at),
    })
}

/// A run's output from a byte offset on.
pub(super) fn logs(session: &Session, id: &str, cursor: u64) -> Result<Logs, IsolatedError> {
    let (_, run) = session.runs.get(id)?;
    let ended = run.end().is_some();
    open_log(&run.log, cursor, ended)
}

fn open_log(path: &Path, cursor: u64, ended: bool) -> Result<Logs, IsolatedError> {
    Logs::open_at_most(path, cursor, ended, MAX_LOG_BYTES)
        .map_err(|error| IsolatedError::system("cannot read the run's output", &error))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_script_reports_output_and_status() {
        let directory = tempfile::tempdir().unwrap();
        for shell in ["bash", "sh"] {
            let id = id::random();
            let [output, end] = names(id).map(|name| directory.path().join(name));
            let text = script(id, "echo it\\'s $X; f; echo oops >&2; (exit 7); exit 9")
                .replace(RUNS_INSIDE, &directory.path().display().to_string());
            let whole = format!("set -e; X=state; f() {{ echo function; }}; {text}; wait");
            assert!(Command::new(shell).args(["-c", &whole]).status().unwrap().success());
            let said = fs::read_to_string(output).unwrap();
            assert_eq!(said, "it's state\nfunction\noops\n", "{shell}");
            // The session's `set -e` holds in the run.
            assert_eq!(fs::read_to_string(end).unwrap(), "7\n");
        }
    }
}
