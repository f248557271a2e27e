//! Files of the image, changed as a whole or not at all, and only where nothing leads to something shared: a volume may
//! be other sandboxes' as well.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid},
    io::Errno,
};

use crate::files::beneath;

/// Links followed on the way to a file.
const LINKS: usize = 16;

/// Larger files are none of those that are meant.
const LARGEST: u64 = 64 << 20;

/// Nothing beyond the root, nothing mounted over it.
const INSIDE: ResolveFlags =
    ResolveFlags::IN_ROOT.union(ResolveFlags::NO_XDEV).union(ResolveFlags::NO_MAGICLINKS);

/// A file system seen from its root.
pub(super) struct Root(OwnedFd);

/// Where a file is after all links: the directory and its name there, which need not exist.
pub(super) struct Place {
    directory: OwnedFd,
    name: PathBuf,
}

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
    }

    pub(super) fn is_directory(&self, path: impl AsRef<Path>) -> bool {
        self.directory(path.as_ref()).is_ok()
    }

    pub(super) fn is_file(&self, path: impl AsRef<Path>) -> bool {
        self.place(path.as_ref()).and_then(|place| place.open()).is_ok()
    }

    /// Names in a directory; none if there is no such directory.
    pub(super) fn names(&self, path: impl AsRef<Path>) -> Vec<PathBuf> {
        let opened = self.inside(path.as_ref(), OFlags::RDONLY | OFlags::DIRECTORY);
        let Ok(Ok(entries)) = opened.map(rustix::fs::Dir::new) else { return Vec::new() };
        let name = |entry: rustix::fs::DirEntry| PathBuf::from(os(entry.file_name().to_bytes()));
        let names = entries.flatten().map(name).filter(|name| !name.starts_with("."));
        names.filter(|name| name.as_os_str() != "..").collect()
    }

    pub(super) fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        self.place(path.as_ref())?.read().map(|(bytes, _)| bytes)
    }

    /// Replaces the content of a file by what is made of it, if anything is; owner and mode stay.
    pub(super) fn change<E>(
        &self,
        path: impl AsRef<Path>,
        edit: impl FnOnce(&[u8]) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<bool, E>
    where
        E: From<io::Error>,
    {
        let place = self.place(path.as_ref())?;
        let (old, metadata) = place.read()?;
        let Some(new) = edit(&old)? else { return Ok(false) };
        place.write(&new, metadata.permissions().mode(), Some((metadata.uid(), metadata.gid())))?;
        Ok(true)
    }

    /// Writes a file and makes the directory it is in; one that is there is replaced.
    pub(super) fn put(&self, path: impl AsRef<Path>, content: &[u8], mode: u32) -> io::Result<()> {
        let path = path.as_ref();
        let parent = path.parent().ok_or(Errno::INVAL)?;
        for directory in parent.ancestors().collect::<Vec<_>>().into_iter().rev().skip(1) {
            let (Some(above), Some(name)) = (directory.parent(), directory.file_name()) else { continue };
            if self.directory(directory).is_err() {
                rustix::fs::mkdirat(self.directory(above)?, name, Mode::from_raw_mode(0o755))?;
            }
        }
        self.place(path)?.write(content, mode, None)
    }

    /// Makes a symbolic link, in a directory that is there; what else bears its name is replaced.
    pub(super) fn link(&self, target: impl AsRef<Path>, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let directory = self.directory(path.parent().ok_or(Errno::INVAL)?)?;
        let place = Place { directory, name: path.file_name().ok_or(Errno::INVAL)?.into() };
        place.replace(|directory, name| Ok(rustix::fs::symlinkat(target.as_ref(), directory, name)?))
    }

    /// What a link says, `None` if there is nothing of that name.
    pub(super) fn target(&self, path: impl AsRef<Path>) -> io::Result<Option<PathBuf>> {
        let path = path.as_ref();
        let directory = self.directory(path.parent().ok_or(Errno::INVAL)?)?;
        match rustix::fs::readlinkat(&directory, path.file_name().ok_or(Errno::INVAL)?, Vec::new()) {
            Ok(target) => Ok(Some(os(target.as_bytes()).into())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What tells a file or directory from all others, whatever path leads to it.
    pub(super) fn identity(&self, path: impl AsRef<Path>) -> io::Result<(u64, u64)> {
        let found = rustix::fs::fstat(self.inside(path.as_ref(), OFlags::PATH)?)?;
        Ok((found.st_dev, found.st_ino))
    }

    fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        self.inside(path, OFlags::PATH | OFlags::DIRECTORY)
    }

    fn inside(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        Ok(beneath::resolve(&self.0, path, flags, INSIDE)?)
    }

    /// Follows the links a path ends with, as whoever replaces a file has to.
    fn place(&self, path: &Path) -> io::Result<Place> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(Errno::INVAL.into());
            };
            let directory = self.directory(parent)?;
            match rustix::fs::readlinkat(&directory, name, Vec::new()) {
                Ok(target) => path = parent.join(os(target.as_bytes())),
                Err(Errno::INVAL | Errno::NOENT) => return Ok(Place { directory, name: name.into() }),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::LOOP.into())
    }
}

impl Place {
    fn open(&self) -> io::Result<File> {
        // A pipe would be waited for.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let inside = INSIDE | ResolveFlags::NO_SYMLINKS;
        let file = beneath::resolve(&self.directory, &self.name, flags, inside)?;
        if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("is not a regular file"));
        }
        Ok(file.into())
    }

    fn read(&self) -> io::Result<(Vec<u8>, fs::Metadata)> {
        let file = self.open()?;
        let metadata = file.metadata()?;
        if metadata.len() > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        file.take(LARGEST).read_to_end(&mut bytes)?;
        Ok((bytes, metadata))
    }

    fn write(&self, content: &[u8], mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
        self.replace(|directory, name| {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            let file = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o600))?;
            let mut file = File::from(file);
            file.write_all(content)?;
            if let Some((user, group)) = owner {
                rustix::fs::fchown(&file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
            }
            Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?)
        })
    }

    /// Has something made under another name, and gives it this one in one step.
    fn replace(&self, make: impl FnOnce(BorrowedFd<'_>, &Path) -> io::Result<()>) -> io::Result<()> {
        let mut fresh = std::ffi::OsString::from(".");
        fresh.push(&self.name);
        fresh.push(".new");
        let (directory, fresh) = (self.directory.as_fd(), Path::new(&fresh));
        // One that an earlier start left half-written.
        match rustix::fs::unlinkat(directory, fresh, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let renamed = make(directory, fresh)
            .and_then(|()| Ok(rustix::fs::renameat(directory, fresh, directory, &self.name)?));
        renamed.inspect_err(|_| {
            // What counts is why it failed.
            let _ = rustix::fs::unlinkat(directory, fresh, AtFlags::empty());
        })
    }
}

fn os(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn append(old: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(Some([old, b"+"].concat()))
    }

    #[test]
    fn files_are_changed_where_links_lead_inside() {
        let directory = tempfile::tempdir().unwrap();
        let (inside, outside) = (directory.path().join("in"), directory.path().join("out"));
        fs::create_dir_all(inside.join("etc/real")).unwrap();
        fs::write(&outside, "x").unwrap();
        fs::write(inside.join("etc/real/file"), "x").unwrap();
        fs::set_permissions(inside.join("etc/real/file"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("/etc/real/file", inside.join("etc/absolute")).unwrap();
        symlink("../../../../etc/real/file", inside.join("etc/relative")).unwrap();
        symlink("real", inside.join("etc/directory")).unwrap();
        symlink("../../out", inside.join("etc/outside")).unwrap();
        symlink("loop", inside.join("etc/loop")).unwrap();
        let root = Root::open(&inside).unwrap();

        for path in ["/etc/real/file", "/etc/absolute", "/etc/relative", "/etc/directory/file"] {
            assert!(root.change(path, append).unwrap(), "{path}");
        }
        assert_eq!(fs::read(inside.join("etc/real/file")).unwrap(), b"x++++");
        assert_eq!(fs::metadata(inside.join("etc/real/file")).unwrap().mode() & 0o777, 0o640);
        assert!(inside.join("etc/absolute").is_symlink() && inside.join("etc/relative").is_symlink());
        assert_eq!(root.identity("/etc/absolute").unwrap(), root.identity("/etc/directory/file").unwrap());
        for path in ["/etc/outside", "/etc/loop", "/etc/real", "/etc/none", "/etc/none/file", "/", ".."] {
            assert!(root.change(path, append).is_err(), "{path}");
        }
        assert_eq!(fs::read(&outside).unwrap(), b"x");
        assert_eq!(root.names("/etc/directory"), [Path::new("file")]);
    }

    #[test]
    fn files_and_links_are_made() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path()).unwrap();
        for content in ["one", "two"] {
            root.put("/a/b/file", content.as_bytes(), 0o644).unwrap();
            assert_eq!(fs::read_to_string(directory.path().join("a/b/file")).unwrap(), content);
        }
        assert_eq!(root.target("/a/link").unwrap(), None);
        for target in ["b/none", "b/file"] {
            root.link(target, "/a/link").unwrap();
            assert_eq!(root.target("/a/link").unwrap().as_deref(), Some(Path::new(target)));
        }
        assert_eq!(root.read("/a/link").unwrap(), b"two");
        assert!(root.link("x", "/none/link").is_err());
        assert_eq!(root.names("/a/b").len(), 1, "nothing is left beside them");
    }
}
