//! What the server knows of one snapshot.

use chrono::{DateTime, SubsecRound, Utc};

use crate::sandbox::Scope;

/// Where a snapshot is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotState {
    /// Accepted; its image is not there yet.
    Creating,
    /// Sandboxes can start from it.
    Ready,
    /// There is no image, and there will be none.
    Failed,
    /// Its image is being removed.
    Deleting,
}

impl SnapshotState {
    pub const ALL: [Self; 4] = [Self::Creating, Self::Ready, Self::Failed, Self::Deleting];

    /// The name on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Ready => "Ready",
            Self::Failed => "Failed",
            Self::Deleting => "Deleting",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub id: String,
    /// The sandbox it was made of, which may be gone.
    pub sandbox_id: String,
    pub name: Option<String>,
    /// Whose it is; absent where there are no tenants.
    pub tenant: Option<String>,
    pub state: SnapshotState,
    /// Short machine-readable cause of the state.
    pub reason: String,
    pub message: Option<String>,
    pub last_transition_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    /// Its image, once there is one.
    pub image_id: Option<String>,
    /// What it takes of the disk, once that is known: the files of its own layer, uncompressed.
    pub bytes: Option<u64>,
    /// The server that has the image, as far as that was written down.
    pub owner: String,
}

impl Snapshot {
    pub(crate) fn new(id: String, sandbox_id: String, name: Option<String>, now: DateTime<Utc>) -> Self {
        Self {
            id,
            sandbox_id,
            name,
            tenant: None,
            state: SnapshotState::Creating,
            reason: "snapshot_accepted".to_owned(),
            message: None,
            last_transition_at: now,
            created_at: now,
            image_id: None,
            bytes: None,
            owner: String::new(),
        }
    }

    pub(crate) fn enter(&mut self, state: SnapshotState, reason: &str, message: Option<String>) {
        self.state = state;
        reason.clone_into(&mut self.reason);
        self.message = message;
        self.last_transition_at = now();
    }
}

/// The present instant, as precise as the store keeps it.
pub(super) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Which snapshots to list; an empty filter lists all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whose to list.
    pub scope: Scope,
    pub sandbox_id: Option<String>,
    pub name: Option<String>,
    /// Any of these, compared exactly.
    pub states: Vec<String>,
}
