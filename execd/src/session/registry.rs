//! All sessions.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sandkeep_specs::execd::{
    event::EventKind,
    session::{CreateSessionRequest, RunInSessionRequest},
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    SessionError,
    directory::{existing_directory, start_directory},
    family::Family,
    output::Output,
    request::{self, Run},
    script,
    shell::Home,
    worker::{Place, Worker},
};
use crate::{
    command::{env, head},
    id,
    reason::reason,
    settings::Settings,
    stream::{self, EventBody},
};

/// Sessions that may exist at the same time; each holds a shell.
const MAX_SESSIONS: usize = 256;

/// Runs that may wait in one session.
const MAX_WAITING: usize = 16;

/// A shell that takes over from another is ready within this time.
const PLACE_LIMIT: Duration = Duration::from_secs(10);

/// A deleted session's processes are gone within this time, or stuck in the kernel.
const DELETE_LIMIT: Duration = Duration::from_secs(5);

/// The bash sessions of this daemon; cheap to clone.
#[derive(Debug, Clone)]
pub struct Sessions {
    settings: Arc<Settings>,
    handles: Arc<Mutex<HashMap<String, Handle>>>,
}

#[derive(Debug)]
struct Handle {
    runs: mpsc::Sender<Run>,
    place: Place,
    deleted: watch::Sender<bool>,
}

impl Sessions {
    /// No sessions yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { settings, handles: Arc::default() }
    }

    fn handles(&self) -> MutexGuard<'_, HashMap<String, Handle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a session and returns its id. Its shell is started meanwhile.
    pub fn create(&self, request: &CreateSessionRequest) -> Result<String, SessionError> {
        self.refuse_when_full()?;
        let env = env::for_command(&self.settings, None);
        let cwd = start_directory(request.cwd.as_deref(), &env, &self.settings)?;
        let id = id::random().to_string();
        let prepare = |error: std::io::Error| {
            SessionError::System(format!("cannot prepare a session: {}", reason(&error)))
        };
        let home = Home::create(&id, &self.settings).map_err(prepare)?;
        let outputs = [EventKind::Stdout, EventKind::Stderr].map(Output::new);
        let [stdout, stderr] = outputs;
        let (deleted, deleted_seen) = watch::channel(false);
        let (runs, waiting) = mpsc::channel(MAX_WAITING);
        let place = Place::unknown();
        let worker = Worker {
            id: id.clone(),
            cwd,
            settings: Arc::clone(&self.settings),
            home,
            outputs: [stdout.map_err(prepare)?, stderr.map_err(prepare)?],
            family: Family::new(&id),
            place: place.clone(),
            deleted: deleted_seen,
            lost: false,
        };
        self.handles().insert(id.clone(), Handle { runs, place, deleted });
        tokio::spawn(worker.work(waiting));
        Ok(id)
    }

    fn refuse_when_full(&self) -> Result<(), SessionError> {
        let count = self.handles().len();
        if count < MAX_SESSIONS { Ok(()) } else { Err(SessionError::TooMany(MAX_SESSIONS, "sessions")) }
    }

    /// Puts a run in a session's queue and returns its stream.
    pub async fn run(&self, id: &str, request: &RunInSessionRequest) -> Result<EventBody, SessionError> {
        let none = std::collections::BTreeMap::new();
        let envs = request.envs.as_ref().unwrap_or(&none);
        script::check(&request.command, envs)?;
        let handle = self.handles().get(id).map(|handle| (handle.runs.clone(), handle.place.clone()));
        let (runs, place) = handle.ok_or_else(|| SessionError::Unknown(id.to_owned()))?;
        let cwd = match request.cwd.as_deref().filter(|cwd| !cwd.is_empty()) {
            Some(asked) => Some(self.run_directory(asked, envs, &place).await?),
            None => None,
        };
        let (events, body) = stream::channel();
        events.start_with(head(id));
        let text = script::compose(&request.command, cwd.as_deref(), envs);
        let run = Run { text, limit: request::limit(request.timeout), events };
        runs.try_send(run).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => SessionError::QueueFull(MAX_WAITING),
            mpsc::error::TrySendError::Closed(_) => SessionError::Unknown(id.to_owned()),
        })?;
        Ok(body)
    }

    async fn run_directory(
        &self,
        asked: &str,
        envs: &std::collections::BTreeMap<String, String>,
        place: &Place,
    ) -> Result<PathBuf, SessionError> {
        let env = env::for_command(&self.settings, Some(envs));
        let base = timeout(PLACE_LIMIT, place.get()).await;
        let base = base.map_err(|_| SessionError::System("the session's shell is not ready".to_owned()))?;
        existing_directory(asked, &env, &self.settings, &base)
    }

    /// Deletes a session and kills everything it started.
    pub async fn delete(&self, id: &str) -> Result<(), SessionError> {
        let handle = self.handles().remove(id).ok_or_else(|| SessionError::Unknown(id.to_owned()))?;
        end(handle).await;
        Ok(())
    }

    /// Deletes all sessions.
    pub async fn shutdown(&self) {
        let handles: Vec<_> = self.handles().drain().map(|(_, handle)| handle).collect();
        futures_util::future::join_all(handles.into_iter().map(end)).await;
    }
}

async fn end(handle: Handle) {
    handle.deleted.send_replace(true);
    // The other end goes when the session's task has ended.
    let _ = timeout(DELETE_LIMIT, handle.deleted.closed()).await;
}
