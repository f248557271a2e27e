//! Why the service refused or failed.

use super::{
    images::{ImageProblem, ProblemKind},
    state::Denial,
};
use crate::{runtime::RuntimeError, store::StoreError};

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("sandbox {0} not found")]
    NotFound(String),
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The sandbox has no expiry that could be moved.
    #[error("sandbox {0} never expires, so there is nothing to renew")]
    NeverExpires(String),
    #[error("{0}")]
    InvalidExpiration(String),
    #[error("metadata: keys and values have {bytes} bytes together, more than {most}")]
    TooMuchMetadata { bytes: usize, most: usize },
    /// The sandbox was deleted while it was being created.
    #[error("sandbox {0} was deleted before it had started")]
    Cancelled(String),
    /// The sandbox was deleted, or the server ended, before something was done with it.
    #[error("sandbox {0} was deleted meanwhile")]
    Interrupted(String),
    #[error(transparent)]
    Quota(#[from] super::owner::QuotaProblem),
    #[error(transparent)]
    Volume(#[from] crate::volume::VolumeError),
    #[error(transparent)]
    Image(#[from] ImageProblem),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("the sandbox store failed: {0}")]
    Store(#[from] StoreError),
    #[error("pool {0} not found")]
    PoolNotFound(String),
    #[error("there is a pool named {0} already")]
    PoolExists(String),
    #[error("pool {pool} has no sandbox to hand over now{}", because(problem.as_deref()))]
    PoolExhausted {
        pool: String,
        /// Why its last start failed.
        problem: Option<String>,
    },
    #[error("template {0} not found, or not built yet")]
    TemplateNotFound(String),
    /// The host would run short of something.
    #[error("{0}")]
    NoRoom(String),
    #[error("{0}")]
    IdempotencyConflict(String),
    /// The server cannot know all sandboxes, so it changes none.
    #[error(
        "the server's records are damaged: it shows what can be read of them, and changes nothing until its operator has \
         put a sound copy in their place"
    )]
    ReadOnly,
    /// Another server has taken the request's idempotency key first; this one's sandbox is given up.
    #[error("another server has made a sandbox for the same request instead of {0}")]
    Repeated(String),
    /// Of several servers on one database.
    #[error(
        "{thing} is on server {server}, which has not been heard of lately; it can be used again when that server is back"
    )]
    ServerAway { server: String, thing: String },
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl ServiceError {
    /// Whether a disk had no room for it.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Store(error) => error.is_full(),
            Self::Runtime(error) => error.is_full(),
            Self::Image(problem) => problem.kind == ProblemKind::DiskFull,
            _ => false,
        }
    }

    /// Whether the same may succeed in a moment, the store being away for now.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Store(StoreError::Unavailable { .. }))
    }
}

fn because(problem: Option<&str>) -> String {
    problem.map_or_else(String::new, |problem| format!("; starting one failed: {problem}"))
}
