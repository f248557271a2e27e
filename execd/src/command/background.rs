//! Output files of background commands.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Tried in order when the environment's own choice does not work.
const PLACES: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run"];

/// A private directory, made when it is first needed and removed with this value.
#[derive(Debug, Default)]
pub(super) struct OutputDirectory(Mutex<Option<PathBuf>>);

impl OutputDirectory {
    /// A new file for a command's output, and its path.
    pub(super) fn create(&self, id: &str) -> io::Result<(File, PathBuf)> {
        let path = self.path()?.join(format!("{id}.output"));
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
