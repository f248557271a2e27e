//! Where sessions keep what they need on disk.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::id;

/// Default place; a file system that is no overlay itself is expected there.
const DEFAULT_ROOT: &str = "/var/lib/execd/isolation";

/// Variable that names another place.
pub(super) const ROOT_VARIABLE: &str = "EXECD_ISOLATION_UPPER_ROOT";

/// Held as long as the daemon whose directory it is in lives.
const LOCK: &str = "lock";

/// Characters of a name; paths of sockets must be short.
const NAME_LENGTH: usize = 12;

/// This daemon's directory below the common root.
#[derive(Debug)]
pub(super) struct StateDirectory {
    /// Common to all daemons.
    pub root: PathBuf,
    own: PathBuf,
    _lock: File,
}

impl StateDirectory {
    /// Makes the directory and removes those of daemons that are gone.
    pub(super) fn make(root: Option<PathBuf>) -> io::Result<Self> {
        let root = root.unwrap_or_else(|| DEFAULT_ROOT.into());
        DirBuilder::new().recursive(true).mode(0o700).create(&root)?;
        let root = root.canonicalize()?;
        remove_abandoned(&root);
        let own = root.join(name());
        DirBuilder::new().mode(0o700).create(&own)?;
        let lock = File::create(own.join(LOCK))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { root, own, _lock: lock })
    }

    /// A new directory for one session, with `root` and `runs` in it.
    pub(super) fn session(&self) -> io::Result<PathBuf> {
        let path = self.own.join(name());
        DirBuilder::new().mode(0o700).create(&path)?;
        for part in ["root", "runs"] {
            fs::create_dir(path.join(part))?;
        }
        // The session's user reaches it through a mount of its own only.
        fs::set_permissions(path.join("runs"), fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }
}

impl Drop for StateDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.own);
    }
}

fn name() -> String {
    let mut name = id::random().simple().to_string();
    name.truncate(NAME_LENGTH);
    name
}

/// Removes directories whose daemon no longer holds its lock.
fn remove_abandoned(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let free = File::open(path.join(LOCK))
            .is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok());
        if free {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_daemon_left_is_removed_and_a_living_ones_kept() {
        let root = tempfile::tempdir().unwrap();
        let living = StateDirectory::make(Some(root.path().into())).unwrap();
        let session = living.session().unwrap();
        let dead = root.path().join("dead");
        fs::create_dir_all(dead.join("session/runs")).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        let other = StateDirectory::make(Some(root.path().into())).unwrap();
        assert!(session.join("runs").is_dir() && !dead.exists());
        drop((living, other));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
