//! Named volumes: `CLAIM/data` is what sandboxes see, `CLAIM/volume.json` who made it.
//!
//! A volume appears and vanishes by a rename; whatever begins with a dot is half made or half removed.

use std::{
    fs,
    io::{self, ErrorKind},
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    error::{VolumeError, VolumeProblem},
    open::{self, Refusal},
};

/// Starts of the names of what is half made, and half removed.
const NEW: &str = ".new-";
const GONE: &str = ".gone-";
const DATA: &str = "data";
const ABOUT: &str = "volume.json";

#[derive(Debug, Serialize, Deserialize)]
struct About {
    /// The sandbox whose end is the volume's too.
    delete_with: Option<String>,
}

/// The directory of all named volumes.
#[derive(Debug, Clone)]
pub(super) struct Shelf(PathBuf);

impl Shelf {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    fn claim(&self, claim: &str) -> PathBuf {
        self.0.join(claim)
    }

    fn unfinished(&self, kind: &str) -> PathBuf {
        self.0.join(format!("{kind}{}", uuid::Uuid::new_v4()))
    }

    /// Opens a volume, making it if it is missing and `create` is given (with the sandbox it is to end with, if any).
    pub(super) fn open(
        &self,
        volume: &str,
        claim: &str,
        create: Option<Option<&str>>,
        sub_path: Option<&str>,
    ) -> Result<OwnedFd, VolumeError> {
        let path = self.claim(claim).join(DATA);
        if let Some(delete_with) = create
            && !path.exists()
        {
            self.make(claim, delete_with).map_err(|error| VolumeError::io(volume, "making it", error))?;
        }
        let data = fs::File::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => VolumeError::new(
                volume,
                VolumeProblem::NamedNotFound,
                format!("there is no volume {claim}, and createIfNotExists is false"),
            ),
            _ => VolumeError::io(volume, "opening it", error),
        })?;
        // Sandboxes write what is in it, links included.
        open::below(&data, Path::new(sub_path.unwrap_or_default()), true, false).map_err(|refusal| {
            match refusal {
                Refusal::Leaves => {
                    let text = "subPath must not lead through links".to_owned();
                    VolumeError::new(volume, VolumeProblem::InvalidSubPath, text)
                }
                Refusal::Failed(error) | Refusal::CreateFailed(error) => {
                    let text = format!("subPath cannot be opened: {error}");
                    VolumeError::new(volume, VolumeProblem::InvalidSubPath, text)
                }
            }
        })
    }

    fn make(&self, claim: &str, delete_with: Option<&str>) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let new = self.unfinished(NEW);
        let make = || {
            fs::create_dir(&new)?;
            fs::create_dir(new.join(DATA))?;
            let about = About { delete_with: delete_with.map(str::to_owned) };
            fs::write(new.join(ABOUT), serde_json::to_vec(&about)?)?;
            fs::rename(&new, self.claim(claim))
        };
        let made = make();
        if made.is_err() {
            let _ = fs::remove_dir_all(&new);
        }
        made
    }

    /// The sandbox a volume ends with, if it does with any.
    pub(super) fn ends_with(&self, claim: &str) -> Option<String> {
        let about = fs::read(self.claim(claim).join(ABOUT)).ok()?;
        serde_json::from_slice::<About>(&about).ok()?.delete_with
    }

    /// Takes a volume away at once; what was in it goes with [`Self::sweep`].
    pub(super) fn discard(&self, claim: &str) -> io::Result<()> {
        match fs::rename(self.claim(claim), self.unfinished(GONE)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Deletes what an earlier server left half made. Nothing may be made meanwhile.
    pub(super) fn drop_unfinished(&self) {
        self.delete_all(NEW);
    }

    /// Deletes what was discarded, however long that takes.
    pub(super) fn sweep(&self) {
        self.delete_all(GONE);
    }

    fn delete_all(&self, kind: &str) {
        for name in self.names().filter(|name| name.starts_with(kind)) {
            if let Err(error) = fs::remove_dir_all(self.0.join(&name)) {
                tracing::warn!(%error, "what is left of a volume could not be removed");
            }
        }
    }

    pub(super) fn claims(&self) -> Vec<String> {
        self.names().filter(|name| !name.starts_with('.')).collect()
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_made_found_and_discarded() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path().join("volumes"));
        let missing = shelf.open("v", "cache", None, None).unwrap_err();
        assert_eq!(missing.problem, VolumeProblem::NamedNotFound);
        shelf.open("v", "cache", Some(None), Some("deep/er")).unwrap();
        shelf.open("v", "scratch", Some(Some("box")), None).unwrap();
        // Only whoever makes it decides how long it lives.
        shelf.open("v", "cache", Some(Some("box")), None).unwrap();
        assert_eq!((shelf.ends_with("cache"), shelf.ends_with("scratch").as_deref()), (None, Some("box")));
        assert!(dir.path().join("volumes/cache/data/deep/er").is_dir());
        std::os::unix::fs::symlink("/etc", dir.path().join("volumes/cache/data/link")).unwrap();
        let link = shelf.open("v", "cache", None, Some("link/x")).unwrap_err();
        assert_eq!(link.problem, VolumeProblem::InvalidSubPath);
        shelf.discard("scratch").unwrap();
        shelf.discard("scratch").unwrap();
        assert_eq!(shelf.claims(), ["cache"]);
        shelf.sweep();
        assert_eq!(fs::read_dir(dir.path().join("volumes")).unwrap().count(), 1);
    }
}
