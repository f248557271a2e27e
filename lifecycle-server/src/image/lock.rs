use std::{
    fs::{File, OpenOptions},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use super::error::{Context, ImageError};

/// How long short critical sections (reading or writing the index) may keep others waiting.
const SHORT_WAIT: Duration = Duration::from_secs(30);
const SHORT_POLL: Duration = Duration::from_millis(2);
/// How often a task looks whether another has finished the layer it wants.
const LONG_POLL: Duration = Duration::from_millis(20);

/// An advisory lock on a file, held by one open file description: it excludes other tasks of this process as well
/// as other processes, and ends with its holder, however that ends.
#[derive(Debug)]
pub(super) struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Takes the lock if it is free.
    pub(super) fn try_acquire(path: &Path, operation: FlockOperation) -> Result<Option<Self>, ImageError> {
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)
                .context(|| format!("opening lock {}", path.display()))?;
            match flock(file.as_fd(), operation) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(e) => return Err(ImageError::io(format!("locking {}", path.display()), e)),
            }
            // The previous holder may have removed the file between our open and our lock: then it guards nothing.
            let held = file.metadata().context(|| format!("reading lock {}", path.display()))?;
            match std::fs::metadata(path) {
                Ok(current) if current.ino() == held.ino() && current.dev() == held.dev() => {
                    return Ok(Some(Self { file, path: path.to_owned() }));
                }
                _ => continue,
            }
        }
    }

    /// Blocks the calling thread for a short critical section.
    pub(super) fn acquire_short(path: &Path, shared: bool) -> Result<Self, ImageError> {
        let operation = match shared {
            true => FlockOperation::NonBlockingLockShared,
            false => FlockOperation::NonBlockingLockExclusive,
        };
        let deadline = Instant::now() + SHORT_WAIT;
        loop {
            if let Some(lock) = Self::try_acquire(path, operation)? {
                return Ok(lock);
            }
            if Instant::now() > deadline {
                return Err(ImageError::Stalled(format!(
                    "the image store's lock {} has been held for {} s by another process",
                    path.display(),
                    SHORT_WAIT.as_secs()
                )));
            }
            thread::sleep(SHORT_POLL);
        }
    }

    /// Waits without blocking a thread; the caller bounds the wait.
    pub(super) async fn acquire_long(path: &Path) -> Result<Self, ImageError> {
        loop {
            if let Some(lock) = Self::try_acquire(path, FlockOperation::NonBlockingLockExclusive)? {
                return Ok(lock);
            }
            tokio::time::sleep(LONG_POLL).await;
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the lock back and removes its file; only the holder of an exclusive lock may.
    pub(super) fn remove(self) {
        // Left behind, the file would only cost an inode until the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exclusive(path: &Path) -> Option<FileLock> {
        FileLock::try_acquire(path, FlockOperation::NonBlockingLockExclusive).unwrap()
    }

    #[test]
    fn one_holder_at_a_time_even_when_the_file_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let first = exclusive(&path).unwrap();
        assert!(exclusive(&path).is_none());
        first.remove();
        assert!(!path.exists());
        let second = exclusive(&path).unwrap();
        assert!(exclusive(&path).is_none());
        drop(second);
        assert!(exclusive(&path).is_some());
    }

    #[test]
    fn shared_locks_go_together() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let shared = FileLock::acquire_short(&path, true).unwrap();
        let _also = FileLock::acquire_short(&path, true).unwrap();
        assert!(exclusive(&path).is_none());
        drop(shared);
    }
}
