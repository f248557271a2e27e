//! Why the service refused or failed.

use super::{images::ImageProblem, state::Denial};
use crate::runtime::RuntimeError;

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
    /// The sandbox was deleted while it was being created.
    #[error("sandbox {0} was deleted before it had started")]
    Cancelled(String),
    /// The sandbox was deleted, or the server ended, before something was done with it.
    #[error("sandbox {0} was deleted meanwhile")]
    Interrupted(String),
    #[error(transparent)]
    Quota(#[from] super::owner::QuotaProblem),
    #[error(transparent)]
    Image(#[from] ImageProblem),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("the sandbox store failed: {0}")]
    Store(#[from] crate::store::StoreError),
    #[error("the server is shutting down")]
    ShuttingDown,
}
