//! Output files of background commands.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::fs::{FallocateFlags, fallocate};

/// Output that is kept of one command; older output is dropped.
pub(super) const KEPT_BYTES: u64 = 256 * 1024 * 1024;

/// File systems free whole blocks; none that matters has larger ones.
const BLOCK_BYTES: u64 = 64 * 1024;

/// Where a background command's output goes, and how much of its beginning is not kept any more.
#[derive(Debug)]
pub(super) struct BackgroundOutput {
    pub(super) path: PathBuf,
    dropped: AtomicU64,
}

impl BackgroundOutput {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, dropped: AtomicU64::new(0) }
    }

    /// Offset of the first byte that is kept.
    pub(super) fn start(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Drops what is beyond `most` bytes; returns how many the disk still holds. The offsets of the rest stay what they
    /// were.
    pub(super) fn trim(&self, most: u64) -> u64 {
        let Ok(found) = fs::metadata(&self.path) else { return 0 };
        let dropped = found.len().saturating_sub(most) / BLOCK_BYTES * BLOCK_BYTES;
        if dropped > self.start()
            && let Ok(file) = OpenOptions::new().write(true).open(&self.path)
        {
            // Readers are told first: what is gone reads as zeros.
            self.dropped.store(dropped, Ordering::Relaxed);
            let _ = fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, dropped);
        }
        fs::metadata(&self.path).map_or(0, |found| found.blocks() * 512)
    }
}

/// Tried in order when the environment's own choice does not work.
const PLACES: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run"];

/// A private directory, made when it is first needed and removed with this value.
#[derive(Debug, Default)]
pub(super) struct OutputDirectory(Mutex<Option<PathBuf>>);

impl OutputDirectory {
    /// A name in it that is free for this command.
    pub(super) fn place(&self, id: &str) -> io::Result<PathBuf> {
        Ok(self.path()?.join(format!("{id}.output")))
    }

    /// A new file for a command's output, and its path.
    pub(super) fn create(&self, id: &str) -> io::Result<(File, PathBuf)> {
        let path = self.place(id)?;
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        Ok((file, path))
    }

    fn path(&self) -> io::Result<PathBuf> {
        let mut made = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Somebody may have cleaned up the temporary directory since.
        if let Some(path) = made.as_ref().filter(|path| path.is_dir()) {
            return Ok(path.clone());
        }
        let path = make()?;
        *made = Some(path.clone());
        Ok(path)
    }
}

impl Drop for OutputDirectory {
    fn drop(&mut self) {
        if let Ok(Some(path)) = self.0.get_mut() {
            let _ = fs::remove_dir_all(path);
        }
    }
}

fn make() -> io::Result<PathBuf> {
    let name = format!("execd-{}", crate::id::random().simple());
    let chosen = std::env::temp_dir();
    let mut result = Err(io::ErrorKind::NotFound.into());
    for place in [chosen.as_path()].into_iter().chain(PLACES.iter().map(Path::new)) {
        let path = place.join(&name);
        result = DirBuilder::new().mode(0o700).create(&path).map(|()| path);
        if result.is_ok() {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn old_output_is_dropped_and_offsets_stay() {
        let directory = OutputDirectory::default();
        let (mut file, path) = directory.create("a").unwrap();
        let output = BackgroundOutput::new(path.clone());
        file.write_all(&[b'x'; 300_000]).unwrap();
        assert!(output.trim(1 << 20) >= 300_000 && output.start() == 0);
        let left = output.trim(100_000);
        assert_eq!(output.start(), 3 * BLOCK_BYTES);
        assert!((100_000..300_000).contains(&left), "{left} bytes on disk");
        file.write_all(b"more").unwrap();
        let content = fs::read(path).unwrap();
        assert_eq!(content.len(), 300_004);
        assert!(content[usize::try_from(output.start()).unwrap()..].starts_with(b"xxx"));
        assert!(content.ends_with(b"xmore"));
    }

    #[test]
    fn outputs_are_private_and_go_with_the_directory() {
        use std::os::unix::fs::PermissionsExt;
        let directory = OutputDirectory::default();
        let (mut file, path) = directory.create("a").unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(directory.create("a").is_err());
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        let (_, again) = directory.create("a").unwrap();
        drop(directory);
        assert!(!again.exists());
    }
}
