//! Storage that outlives sandboxes: directories of the host, and named volumes kept in the state directory.
//!
//! What a sandbox gets is an open directory, never a path: between the check and the mount nobody can put something else
//! in its place. Owners on disk are as sandboxes see them, so what one writes another can use: its root is number 0 on
//! disk, also in a directory of the host's.

mod error;
mod host;
mod named;
mod open;
mod service;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use error::{VolumeError, VolumeProblem};
pub use service::Volumes;

/// Storage a sandbox asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Unique among the sandbox's volumes.
    pub name: String,
    /// Absolute path inside the sandbox.
    pub mount_path: String,
    pub read_only: bool,
    /// Relative path below the storage.
    pub sub_path: Option<String>,
    pub source: Source,
}

/// Where storage comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A file or directory of the host.
    Host { path: PathBuf },
    /// A directory the server keeps under a name.
    Named { claim: String, create: bool, delete_with_sandbox: bool },
}

impl Source {
    fn claim(&self) -> Option<&str> {
        match self {
            Self::Named { claim, .. } => Some(claim),
            Self::Host { .. } => None,
        }
    }
}
