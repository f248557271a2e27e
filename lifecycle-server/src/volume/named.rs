//! Named volumes: `CLAIM/data` is what sandboxes see, `CLAIM/volume.json` who made it. Those of a tenant are in `@TENANT`.
//!
//! A volume appears and vanishes by a rename; whatever begins with a dot is half made or half removed.

use std::{
    fs,
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Claim,
    error::{VolumeError, VolumeProblem},
    open::{self, Refusal},
};

/// Starts of the names of what is half made, and half removed.
const NEW: &str = ".new-";
const GONE: &str = ".gone-";
/// Start of the names of tenants' directories; no claim has it.
const TENANT: char = '@';
const DATA: &str = "data";
const ABOUT: &str = "volume.json";
/// Files looked at to tell how much a tenant's volumes take; more take longer than a create may.
const MOST_FILES: u64 = 500_000;
/// What the kernel counts a file's blocks in.
const BLOCK: u64 = 512;

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

    fn claim(&self, claim: &Claim) -> PathBuf {
        self.of(claim.tenant.as_deref()).join(&claim.name)
    }

    fn of(&self, tenant: Option<&str>) -> PathBuf {
        tenant.map_or_else(|| self.0.clone(), |tenant| self.0.join(format!("{TENANT}{tenant}")))
    }

    pub(super) fn has(&self, claim: &Claim) -> bool {
        self.claim(claim).join(DATA).exists()
    }

    fn unfinished(&self, kind: &str) -> PathBuf {
        self.0.join(format!("{kind}{}", uuid::Uuid::new_v4()))
    }

    /// Opens a volume, making it if it is missing and `create` is given (with the sandbox it is to end with, if any).
    pub(super) fn open(
        &self,
        volume: &str,
        claim: &Claim,
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
                format!("there is no volume {}, and createIfNotExists is false", claim.name),
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

    fn make(&self, claim: &Claim, delete_with: Option<&str>) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(self.of(claim.tenant.as_deref()))?;
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
    pub(super) fn ends_with(&self, claim: &Claim) -> Option<String> {
        let about = fs::read(self.claim(claim).join(ABOUT)).ok()?;
        serde_json::from_slice::<About>(&about).ok()?.delete_with
    }

    /// Takes a volume away at once; what was in it goes with [`Self::sweep`].
    pub(super) fn discard(&self, claim: &Claim) -> io::Result<()> {
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
        for name in self.names(&self.0).filter(|name| name.starts_with(kind)) {
            if let Err(error) = fs::remove_dir_all(self.0.join(&name)) {
                tracing::warn!(%error, "what is left of a volume could not be removed");
            }
        }
    }

    pub(super) fn claims(&self) -> Vec<Claim> {
        let (tenants, names): (Vec<_>, Vec<_>) = self
            .names(&self.0)
            .filter(|name| !name.starts_with('.'))
            .partition(|name| name.starts_with(TENANT));
        let mut claims: Vec<_> = names.into_iter().map(|name| Claim { tenant: None, name }).collect();
        for directory in tenants {
            let tenant = directory.strip_prefix(TENANT).map(str::to_owned);
            let names = self.names(&self.0.join(&directory));
            claims.extend(names.map(|name| Claim { tenant: tenant.clone(), name }));
        }
        claims
    }

    /// What the volumes of a tenant take of the disk; what cannot be looked at counts for nothing.
    pub(super) fn size_of(&self, tenant: &str) -> u64 {
        let (mut total, mut left) = (0, vec![self.of(Some(tenant))]);
        let mut looked_at = 0;
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                looked_at += 1;
                if looked_at > MOST_FILES {
                    return total;
                }
                // Of the entry itself: whoever writes these volumes may put links there.
                let Ok(known) = entry.metadata() else { continue };
                total += known.blocks() * BLOCK;
                if known.is_dir() {
                    left.push(entry.path());
                }
            }
        }
        total
    }

    fn names(&self, directory: &Path) -> impl Iterator<Item = String> + use<> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(tenant: Option<&str>, name: &str) -> Claim {
        Claim { tenant: tenant.map(str::to_owned), name: name.to_owned() }
    }

    #[test]
    fn tenants_have_volumes_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path().join("volumes"));
        let (plain, of_a, of_b) =
            (claim(None, "cache"), claim(Some("a"), "cache"), claim(Some("b"), "cache"));
        shelf.open("v", &of_a, Some(None), None).unwrap();
        for other in [&plain, &of_b] {
            assert_eq!(shelf.open("v", other, None, None).unwrap_err().problem, VolumeProblem::NamedNotFound);
        }
        fs::write(dir.path().join("volumes/@a/cache/data/file"), vec![1; 100_000]).unwrap();
        shelf.open("v", &of_b, Some(Some("box")), None).unwrap();
        assert!(shelf.size_of("a") >= 100_000 && shelf.size_of("b") < 100_000 && shelf.size_of("c") == 0);
        assert_eq!((shelf.ends_with(&of_a), shelf.ends_with(&of_b).as_deref()), (None, Some("box")));
        let mut claims = shelf.claims();
        claims.sort_by_key(|claim| claim.tenant.clone());
        assert_eq!(claims, [of_a, of_b.clone()]);
        shelf.discard(&of_b).unwrap();
        shelf.sweep();
        assert_eq!(shelf.claims().len(), 1);
    }

    #[test]
    fn volumes_are_made_found_and_discarded() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path().join("volumes"));
        let missing = shelf.open("v", &claim(None, "cache"), None, None).unwrap_err();
        assert_eq!(missing.problem, VolumeProblem::NamedNotFound);
        shelf.open("v", &claim(None, "cache"), Some(None), Some("deep/er")).unwrap();
        shelf.open("v", &claim(None, "scratch"), Some(Some("box")), None).unwrap();
        // Only whoever makes it decides how long it lives.
        shelf.open("v", &claim(None, "cache"), Some(Some("box")), None).unwrap();
        assert_eq!(
            (shelf.ends_with(&claim(None, "cache")), shelf.ends_with(&claim(None, "scratch")).as_deref()),
            (None, Some("box"))
        );
        assert!(dir.path().join("volumes/cache/data/deep/er").is_dir());
        std::os::unix::fs::symlink("/etc", dir.path().join("volumes/cache/data/link")).unwrap();
        let link = shelf.open("v", &claim(None, "cache"), None, Some("link/x")).unwrap_err();
        assert_eq!(link.problem, VolumeProblem::InvalidSubPath);
        shelf.discard(&claim(None, "scratch")).unwrap();
        shelf.discard(&claim(None, "scratch")).unwrap();
        assert_eq!(shelf.claims(), [claim(None, "cache")]);
        shelf.sweep();
        assert_eq!(fs::read_dir(dir.path().join("volumes")).unwrap().count(), 1);
    }
}
