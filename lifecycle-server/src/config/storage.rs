//! `[storage]`: what sandboxes may mount.

use std::path::PathBuf;

use serde::Deserialize;

use super::error::Problem;

/// What sandboxes may mount.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// Directories of the host that sandboxes may mount, with all below them. Default none.
    pub allowed_host_paths: Vec<PathBuf>,
    // Volumes here take what they need of the disk, and object stores are not mounted.
    volume_default_size: Option<String>,
    ossfs_mount_root: Option<String>,
}

impl StorageConfig {
    pub(super) fn check(&self) -> Result<(), Problem> {
        match self.allowed_host_paths.iter().find(|path| !path.is_absolute()) {
            Some(path) => Err(("storage.allowed_host_paths", format!("must be absolute paths, is {path:?}"))),
            None => Ok(()),
        }
    }
}
