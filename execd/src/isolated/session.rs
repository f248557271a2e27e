//! One isolated session as execd outside sees it.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{body::Body, extract::Request, http::Response};
use chrono::{DateTime, Utc};
use hyper::body::Incoming;
use sandkeep_specs::execd::{
    isolated::{CreateIsolatedSessionRequest, IsolatedSessionStatus, IsolatedSessionSummary, SessionState},
    session::RunInSessionRequest,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{IsolatedError, forward, runs::Runs};

/// A kept overlay.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// The directory it covers; links in its path are resolved.
    pub target: PathBuf,
    pub upper: PathBuf,
}

/// A session. Its processes belong to a task of the registry.
#[derive(Debug)]
pub(super) struct Session {
    pub id: Uuid,
    pub parameters: CreateIsolatedSessionRequest,
    pub socket: PathBuf,
    /// Everything it keeps on disk.
    pub directory: PathBuf,
    pub layers: Vec<Layer>,
    pub runs: Runs,
    pub idle: Option<Duration>,
    created_at: DateTime<Utc>,
    life: Mutex<Life>,
}

#[derive(Debug)]
struct Life {
    status: IsolatedSessionStatus,
    running: usize,
    last_run_at: DateTime<Utc>,
    /// The same moment by a clock that nobody sets.
    idle_since: Instant,
}

impl Session {
    pub(super) fn new(
        id: Uuid,
        parameters: CreateIsolatedSessionRequest,
        socket: PathBuf,
        directory: PathBuf,
        layers: Vec<Layer>,
        runs: Runs,
        idle: Option<Duration>,
    ) -> Self {
        let now = Utc::now();
        let life = Life {
            status: IsolatedSessionStatus::Active,
            running: 0,
            last_run_at: now,
            idle_since: Instant::now(),
        };
        Self {
            id,
            parameters,
            socket,
            directory,
            layers,
            runs,
            idle,
            created_at: now,
            life: Mutex::new(life),
        }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    pub(super) fn run_began(&self) {
        let mut life = self.life();
        life.running += 1;
        life.last_run_at = Utc::now();
    }

    pub(super) fn run_ended(&self) {
        let mut life = self.life();
        life.running = life.running.saturating_sub(1);
        life.last_run_at = Utc::now();
        life.idle_since = Instant::now();
    }

    /// When it is to be deleted as things are; `None` while something runs, or without a time limit.
    pub(super) fn idle_until(&self) -> Option<Instant> {
        let life = self.life();
        self.idle.filter(|_| life.running == 0).map(|idle| life.idle_since + idle)
    }

    pub(super) fn set_status(&self, status: IsolatedSessionStatus) {
        self.life().status = status;
    }

    /// Refuses when its processes have ended.
    pub(super) fn check_alive(&self) -> Result<(), IsolatedError> {
        match self.life().status {
            IsolatedSessionStatus::Active => Ok(()),
            _ => Err(IsolatedError::Dead(self.id.to_string())),
        }
    }

    pub(super) fn summary(&self) -> IsolatedSessionSummary {
        let life = self.life();
        let remaining = self.idle.map(|idle| match life.running {
            0 => (life.idle_since + idle).saturating_duration_since(Instant::now()),
            _ => idle,
        });
        IsolatedSessionSummary {
            session_id: self.id,
            status: life.status,
            created_at: self.created_at,
            last_run_at: life.last_run_at,
            idle_remaining_seconds: remaining.map(|left| i64::try_from(left.as_secs()).unwrap_or(i64::MAX)),
        }
    }

    pub(super) fn state(&self) -> SessionState {
        let summary = self.summary();
        SessionState {
            status: summary.status,
            created_at: summary.created_at,
            last_run_at: summary.last_run_at,
            idle_remaining_seconds: summary.idle_remaining_seconds,
            parameters: self.parameters.clone(),
        }
    }

    /// Passes a request on to the agent.
    pub(super) async fn send(&self, request: Request) -> Result<Response<Incoming>, IsolatedError> {
        self.check_alive()?;
        forward::send(&self.socket, request).await.map_err(|error| {
            tracing::debug!(%error, session = %self.id, "an agent does not answer");
            IsolatedError::Dead(self.id.to_string())
        })
    }

    /// Starts a run in the session's shell.
    pub(super) async fn run(&self, run: &RunInSessionRequest) -> Result<Response<Incoming>, IsolatedError> {
        let request: Request<Body> = forward::post(&format!("/session/{}/run", self.id), run);
        self.send(request).await
    }

    /// A session for tests of what needs none that runs.
    #[cfg(test)]
    pub(super) fn for_test(idle: Option<Duration>) -> std::sync::Arc<Self> {
        let runs = Runs::new(PathBuf::new(), None);
        let none = PathBuf::new;
        std::sync::Arc::new(Self::new(
            Uuid::nil(),
            Default::default(),
            none(),
            none(),
            Vec::new(),
            runs,
            idle,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolated::busy::Busy;

    #[tokio::test(start_paused = true)]
    async fn only_idle_time_counts() {
        let session = Session::for_test(Some(Duration::from_secs(60)));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(session.summary().idle_remaining_seconds, Some(40));
        let (one, other) = (Busy::new(&session), Busy::new(&session));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!((session.idle_until(), session.summary().idle_remaining_seconds), (None, Some(60)));
        drop(one);
        assert_eq!(session.idle_until(), None);
        drop(other);
        assert_eq!(session.idle_until(), Some(Instant::now() + Duration::from_secs(60)));
        assert_eq!(Session::for_test(None).idle_until(), None);
    }
}
