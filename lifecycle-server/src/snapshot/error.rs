//! Why a snapshot could not be made, used or removed.

use super::SnapshotState;
use crate::{image::ImageError, sandbox::ServiceError, store::StoreError};

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("snapshot {0} not found")]
    NotFound(String),
    /// No sandbox can start from it now.
    #[error("snapshot {id} is {}", .state.as_str())]
    NotReady { id: String, state: SnapshotState },
    /// It cannot be deleted now.
    #[error("snapshot {id} is {}: deleting it is not possible", .state.as_str())]
    InvalidState { id: String, state: SnapshotState },
    /// The image of a snapshot has gone.
    #[error("the image of snapshot {0} is no longer there")]
    MissingImage(String),
    /// A sandbox uses its image.
    #[error("{0}")]
    InUse(String),
    /// More are under way than the server lets wait.
    #[error("{0} snapshots are being made already; try again when some of them are ready")]
    TooMany(usize),
    /// The source is in no state to be copied.
    #[error("{0}")]
    InvalidSource(String),
    #[error(transparent)]
    Sandbox(#[from] ServiceError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    #[error("the server is shutting down")]
    ShuttingDown,
}
