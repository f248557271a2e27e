//! Volumes on their way into a sandbox's root.
//!
//! Ids on disk are those inside, as in the private layer: what one sandbox writes, another can use.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fstat, mkdirat, openat, openat2},
    io::Errno,
};

use super::{rootfs::IdMaps, sys};
use crate::runtime::{MountedVolume, RuntimeError};

/// Detached mounts and where they go, in order.
pub(crate) struct Mounts {
    pub(crate) volumes: Vec<Detached>,
    /// First id of the sandbox: what is made on the way to a mount belongs to its root.
    pub(crate) base: u32,
}

pub(crate) struct Detached {
    target: String,
    tree: OwnedFd,
    directory: bool,
}

/// Copies the sources as mounts that are not attached anywhere yet.
pub(crate) fn open(volumes: &[MountedVolume], maps: &IdMaps) -> Result<Vec<Detached>, RuntimeError> {
    let one = |volume: &MountedVolume| {
        let directory = FileType::from_raw_mode(fstat(&volume.source)?.st_mode) == FileType::Directory;
        let tree = sys::clone_volume(
            &volume.source,
            volume.has_owners.then_some(maps.processes.as_fd()),
            volume.read_only,
        )?;
        Ok(Detached { target: volume.target.clone(), tree, directory })
    };
    let explain = |volume: &MountedVolume, error: io::Error| match error.raw_os_error() {
        Some(libc::EINVAL) => RuntimeError::Invalid(format!(
            "volume {}: the file system it is on cannot map owners, which sandboxes need",
            volume.name
        )),
        _ => RuntimeError::Os { context: format!("mount volume {}", volume.name), source: error },
    };
    volumes.iter().map(|volume| one(volume).map_err(|error: io::Error| explain(volume, error))).collect()
}

impl Mounts {
    pub(crate) fn none() -> Self {
        Self { volumes: Vec::new(), base: 0 }
    }

    /// Attaches everything below `root`. Links of the image are followed, but never out of the root.
    pub(crate) fn attach(&self, root: &OwnedFd) -> io::Result<()> {
        for volume in &self.volumes {
            let target = self.place(root, volume)?;
            sys::attach_over(&volume.tree, &target)?;
        }
        Ok(())
    }

    /// The mount point, made where the image lacks it.
    fn place(&self, root: &OwnedFd, volume: &Detached) -> io::Result<OwnedFd> {
        let mut path = std::path::PathBuf::from(".");
        let mut current = within(root, &path)?;
        let names: Vec<_> = Path::new(&volume.target).components().skip(1).collect();
        for (at, name) in names.iter().enumerate() {
            path.push(name);
            current = match within(root, &path) {
                Err(Errno::NOENT) => {
                    let name: &Path = name.as_ref();
                    if volume.directory || at + 1 < names.len() {
                        mkdirat(&current, name, Mode::from_raw_mode(0o755))?;
                    } else {
                        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                        openat(&current, name, flags, Mode::from_raw_mode(0o644))?;
                    }
                    let (uid, gid) = (Uid::from_raw(self.base), Gid::from_raw(self.base));
                    chownat(&current, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
                    within(root, &path)?
                }
                other => other?,
            };
        }
        Ok(current)
    }
}

fn within(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), how)
}
