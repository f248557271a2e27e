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
    // Volumes here take what they need of the disk.
    volume_default_size: Option<String>,
    /// Where buckets are mounted. Default `buckets` in the state directory.
    pub ossfs_mount_root: Option<PathBuf>,
}

impl StorageConfig {
    pub(super) fn check(&self) -> Result<(), Problem> {
        if let Some(path) = self.ossfs_mount_root.as_ref().filter(|path| !path.is_absolute()) {
            return Err(("storage.ossfs_mount_root", format!("must be an absolute path, is {path:?}")));
        }
        match self.allowed_host_paths.iter().find(|path| !path.is_absolute()) {
            Some(path) => Err(("storage.allowed_host_paths", format!("must be absolute paths, is {path:?}"))),
            None => Ok(()),
        }
    }
}
