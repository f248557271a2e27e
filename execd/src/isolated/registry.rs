//! All isolated sessions.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sandkeep_specs::execd::isolated::{
    CapabilitiesResponse, CreateIsolatedSessionRequest, IsolatedCreateSessionResponse, IsolatedSessionStatus,
    IsolatedSessionSummary, MountMode,
};
use tokio::{
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, sleep_until, timeout},
};
use uuid::Uuid;

use super::{
    IsolatedError,
    directory::{ROOT_VARIABLE, StateDirectory},
    launch::{self, Agent},
    plan::{Ids, Plan},
    probe::Found,
    request::{self, Checked},
    runs::Runs,
    session::{Layer, Session},
};
use crate::{command::env, settings::Settings};

/// Sessions that may exist at the same time; each holds three processes.
const MAX_SESSIONS: usize = 64;

/// A deleted session's processes are gone within this time, or stuck in the kernel.
const DELETE_LIMIT: Duration = Duration::from_secs(5);

/// How often a session in which something runs is looked at for whether it has become idle.
const IDLE_CHECK: Duration = Duration::from_secs(1);

/// The isolated sessions of this daemon; cheap to clone.
#[derive(Debug, Clone)]
pub struct IsolatedSessions {
    settings: Arc<Settings>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Made, and the machine tried out, when first needed.
    ground: OnceCell<Ground>,
    handles: Mutex<HashMap<Uuid, Handle>>,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct Ground {
    state: Option<StateDirectory>,
    found: Found,
}

#[derive(Debug)]
struct Handle {
    session: Arc<Session>,
    /// Closed when all of it is gone.
    deleted: watch::Sender<bool>,
}

impl IsolatedSessions {
    /// No sessions yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        let places = Arc::new(Semaphore::new(MAX_SESSIONS));
        let shared = Shared { ground: OnceCell::new(), handles: Mutex::default(), places };
        Self { settings, shared: Arc::new(shared) }
    }

    fn handles(&self) -> MutexGuard<'_, HashMap<Uuid, Handle>> {
        self.shared.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ground(&self) -> &Ground {
        let root = self.settings.env().get(std::ffi::OsStr::new(ROOT_VARIABLE)).map(PathBuf::from);
        let prepare = async || match StateDirectory::make(root) {
            Ok(state) => {
                let found = Found::find(&state).await;
                Ground { state: Some(state), found }
            }
            Err(error) => {
                let reason = crate::reason::reason(&error);
                Ground { state: None, found: Found::nothing(format!("directory for sessions: {reason}")) }
            }
        };
        self.shared.ground.get_or_init(prepare).await
    }

    /// What this machine can do.
    pub async fn capabilities(&self) -> CapabilitiesResponse {
        self.ground().await.found.describe()
    }

    /// Refuses when no session can be made on this machine.
    async fn check_available(&self) -> Result<(), IsolatedError> {
        self.ground().await.found.check_any()
    }

    /// Makes a session and waits until it takes runs.
    pub async fn create(
        &self,
        request: &CreateIsolatedSessionRequest,
    ) -> Result<IsolatedCreateSessionResponse, IsolatedError> {
        let ground = self.ground().await;
        ground.found.check_any()?;
        let Some(state) = &ground.state else {
            return Err(IsolatedError::Unavailable("there is no directory for sessions".to_owned()));
        };
        let place = Arc::clone(&self.shared.places).try_acquire_owned().map_err(|_| {
            IsolatedError::TooMany(format!(
                "there are {MAX_SESSIONS} isolated sessions already; delete one first"
            ))
        })?;
        let all_env = env::for_command(&self.settings, None);
        let checked = request::check(request, &self.settings, all_env, &state.root)?;
        ground.found.check(checked.ids)?;
        let directory =
            Directory(state.session().map_err(|error| IsolatedError::system("session directory", &error))?);
        let (plan, layers) = plan(&checked, state, &directory.0)?;
        let agent = launch::start(&directory.0, &plan, checked.env.clone()).await?;
        let id = agent.session.as_deref().and_then(|id| Uuid::parse_str(id).ok());
        let id = id.ok_or_else(|| IsolatedError::System("the session has no shell".to_owned()))?;
        let owner = (checked.ids == Ids::Same).then_some(checked.identity.as_ref()).flatten();
        let runs = Runs::new(plan.runs.clone(), owner.map(|identity| (identity.uid, identity.gid)));
        let session = Arc::new(Session::new(
            id,
            checked.parameters,
            agent.socket.clone(),
            directory.0.clone(),
            layers,
            runs,
            checked.idle,
        ));
        let (deleted, seen) = watch::channel(false);
        let created_at = session.created_at();
        self.handles().insert(id, Handle { session: Arc::clone(&session), deleted });
        tokio::spawn(self.clone().look_after(session, agent, directory, seen, place));
        Ok(IsolatedCreateSessionResponse { session_id: id, created_at })
    }

    /// Owns a session's processes until it is deleted, then everything of it is removed.
    async fn look_after(
        self,
        session: Arc<Session>,
        mut agent: Agent,
        directory: Directory,
        mut deleted: watch::Receiver<bool>,
        _place: OwnedSemaphorePermit,
    ) {
        let mut alive = true;
        loop {
            let idle_until = session.idle_until();
            tokio::select! {
                _ = deleted.wait_for(|deleted| *deleted) => break,
                _ = agent.child.wait(), if alive => {
                    alive = false;
                    session.set_status(IsolatedSessionStatus::Dead);
                    session.runs.all_ended();
                }
                () = async { match idle_until {
                    Some(until) => sleep_until(until).await,
                    None => sleep(IDLE_CHECK).await,
                } } => {
                    if session.idle_until().is_some_and(|until| until <= tokio::time::Instant::now()) {
                        break;
                    }
                }
            }
        }
        session.set_status(IsolatedSessionStatus::Destroyed);
        self.handles().remove(&session.id);
        // The inner process ends with the outer one, and all others of the session with it.
        agent.child.signal(libc::SIGKILL);
        let _ = timeout(DELETE_LIMIT, agent.child.wait()).await;
        drop(agent);
        let _ = tokio::task::spawn_blocking(move || drop(directory)).await;
    }

    /// The session of this id.
    pub(super) async fn get(&self, id: &str) -> Result<Arc<Session>, IsolatedError> {
        self.check_available().await?;
        let parsed = Uuid::parse_str(id).ok();
        let found = parsed.and_then(|id| self.handles().get(&id).map(|handle| Arc::clone(&handle.session)));
        found.ok_or_else(|| IsolatedError::Unknown(id.to_owned()))
    }

    /// All sessions, oldest first.
    pub async fn list(&self) -> Result<Vec<IsolatedSessionSummary>, IsolatedError> {
        self.check_available().await?;
        let mut all: Vec<_> = self.handles().values().map(|handle| handle.session.summary()).collect();
        all.sort_by_key(|session| (session.created_at, session.session_id));
        Ok(all)
    }

    /// Deletes a session with all its processes and all changes that were not committed.
    pub async fn delete(&self, id: &str) -> Result<(), IsolatedError> {
        let session = self.get(id).await?;
        let handle = self.handles().remove(&session.id);
        let handle = handle.ok_or_else(|| IsolatedError::Unknown(id.to_owned()))?;
        session.set_status(IsolatedSessionStatus::Destroyed);
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

/// A session's directory, removed with this value.
#[derive(Debug)]
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "cannot remove a session's directory");
        }
    }
}

/// The agent's plan, and the overlays that are kept.
fn plan(
    checked: &Checked,
    state: &StateDirectory,
    directory: &std::path::Path,
) -> Result<(Plan, Vec<Layer>), IsolatedError> {
    let mut mounts = checked.mounts.clone();
    let mut layers = Vec::new();
    for position in checked.kept_layers() {
        let layer = directory.join(position.to_string());
        let upper = layer.join("upper");
        let make = || {
            fs::create_dir_all(&upper)?;
            fs::create_dir(layer.join("work"))?;
            super::agent::copy_attributes(&mounts[position].source, &upper)
        };
        make().map_err(|error| IsolatedError::system("upper directory", &error))?;
        layers.push(Layer { target: mounts[position].target.clone(), upper });
        mounts[position].layer = Some(layer);
    }
    debug_assert!(layers.len() <= checked.own_mounts);
    mounts.sort_by_key(|mount| mount.target.components().count());
    let private_tmp = checked.parameters.profile.unwrap_or_default() == Default::default();
    let identity = checked.identity.as_ref();
    let plan = Plan {
        root: directory.join("root"),
        runs: directory.join("runs"),
        state: state.root.clone(),
        ids: checked.ids,
        identity: identity.map(|identity| (identity.uid, identity.gid, identity.groups.clone())),
        cwd: checked.cwd.clone(),
        mounts,
        share_net: checked.parameters.share_net.unwrap_or(true),
        private_tmp,
        probe: false,
    };
    Ok((plan, layers))
}

/// Whether a background run's output has a place that is kept.
pub(super) fn takes_background_runs(parameters: &CreateIsolatedSessionRequest) -> bool {
    let first = parameters.overlays.as_deref().and_then(<[_]>::first);
    first.is_some_and(|first| match first.mode {
        Some(MountMode::Ro) => false,
        Some(MountMode::Overlay) => first.persist != Some(false),
        _ => true,
    })
}
