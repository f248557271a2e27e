//! Storage that outlives sandboxes: directories of the host, and named volumes kept in the state directory.
//!
//! What a sandbox gets is an open directory, never a path: between the check and the mount nobody can put something else
//! in its place. Each tenant has named volumes of its own, and of the host's directories what lies below a directory of its
//! name. Owners on disk are as sandboxes see them, so what one writes another can use: its root is number 0 on
//! disk, also in a directory of the host's.

mod error;
mod host;
mod named;
mod open;
mod ossfs;
mod service;
mod sizes;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use error::{VolumeError, VolumeProblem};
pub use ossfs::{Bucket, Generation, Keys};
pub use service::Volumes;
pub use sizes::Size;

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
    /// Whose it is: each tenant has storage of its own. Absent where there are no tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// A named volume: each tenant has its own names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Claim {
    tenant: Option<String>,
    name: String,
}

/// Where storage comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A file or directory of the host.
    Host { path: PathBuf },
    /// A directory the server keeps under a name.
    Named { claim: String, create: bool, delete_with_sandbox: bool },
    /// A bucket of an object store.
    Bucket(Bucket),
}

impl Volume {
    fn claim(&self) -> Option<Claim> {
        match &self.source {
            Source::Named { claim, .. } => Some(Claim { tenant: self.tenant.clone(), name: claim.clone() }),
            Source::Host { .. } | Source::Bucket(_) => None,
        }
    }
}
