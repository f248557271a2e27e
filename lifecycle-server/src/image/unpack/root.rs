//! The directory a layer is unpacked into, and the only way to change it.
//!
//! Every path is opened with `openat2` beneath the root, so the kernel itself refuses to leave it, whatever symbolic
//! links the layer has planted. The last component is never followed.

use std::{os::fd::OwnedFd, path::Path, rc::Rc};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
        chmodat, chownat, fsetxattr, mkdirat, mknodat, openat, openat2, renameat, statat, unlinkat,
        utimensat,
    },
    io::Errno,
};

use super::path::{CleanPath, shown};
use crate::image::error::{Context, ImageError};

const OPAQUE: &str = "trusted.overlay.opaque";
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const IMPLICIT_DIRECTORY: u32 = 0o755;

/// What stands at a name within this layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Present {
    Nothing,
    Directory,
    /// Our mark for "hidden in the layers below".
    Whiteout,
    Other,
}

/// Owner, mode and time of an entry, ready to be applied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    pub(super) mtime: (i64, u32),
}

/// A directory within the root, and the name of something in it.
pub(super) struct Place<'a> {
    pub(super) dir: Rc<OwnedFd>,
    pub(super) name: &'a [u8],
}

pub(super) struct Root {
    dir: Rc<OwnedFd>,
    /// Outside the root; replaced trees are moved there and deleted with it.
    discard: OwnedFd,
    discarded: u64,
    /// Entries come sorted, mostly: the directory of the last one saves most walks.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
}

impl Root {
    pub(super) fn open(root: &Path, discard: &Path) -> Result<Self, ImageError> {
        let open = |path: &Path| {
            rustix::fs::open(path, DIRECTORY, Mode::empty()).context(|| format!("opening {}", path.display()))
        };
        Ok(Self { dir: Rc::new(open(root)?), discard: open(discard)?, discarded: 0, last: None })
    }

    pub(super) fn dir(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.dir)
    }

    /// Opens the directory that holds `path`, making missing ones on the way.
    pub(super) fn place<'a>(&mut self, path: &'a CleanPath) -> Result<Place<'a>, ImageError> {
        let Some((parent, name)) = path.split() else {
            return Err(ImageError::Corrupt("an entry other than a directory names the layer's root".into()));
        };
        if let Some((last, dir)) = &self.last
            && last == parent
        {
            return Ok(Place { dir: Rc::clone(dir), name });
        }
        let dir = match self.directory(parent) {
            Err(Errno::NOENT | Errno::NOTDIR) => {
                self.make_parents(parent)?;
                self.directory(parent)
            }
            found => found,
        };
        let dir = Rc::new(dir.map_err(|e| refused(path.as_bytes(), e))?);
        self.last = Some((parent.to_vec(), Rc::clone(&dir)));
        Ok(Place { dir, name })
    }

    /// Like [`Self::place`], but only for what is there already.
    pub(super) fn existing_place<'a>(&self, path: &'a CleanPath) -> Result<Place<'a>, ImageError> {
        let (parent, name) = path
            .split()
            .ok_or_else(|| ImageError::Corrupt("a hard link leads to the layer's root".into()))?;
        let dir = self.directory(parent).map_err(|e| refused(path.as_bytes(), e))?;
        Ok(Place { dir: Rc::new(dir), name })
    }

    /// A symbolic link on the way is followed as if the layer were the whole world, and only to what exists there.
    fn directory(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        let safe = ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let strict = safe | ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(&self.dir, path, DIRECTORY, Mode::empty(), strict) {
            Err(Errno::LOOP) => {
                let scoped = openat2(&self.dir, path, DIRECTORY, Mode::empty(), safe | ResolveFlags::IN_ROOT);
                scoped.map_err(|_| Errno::LOOP)
            }
            other => other,
        }
    }

    fn make_parents(&mut self, parent: &[u8]) -> Result<(), ImageError> {
        let ends =
            parent.iter().enumerate().filter(|&(_, &b)| b == b'/').map(|(i, _)| i).chain([parent.len()]);
        for end in ends {
            let path = &parent[..end];
            match self.directory(path) {
                Ok(_) => continue,
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(e) => return Err(refused(path, e)),
            }
            let slash = path.iter().rposition(|&b| b == b'/');
            let (above, name) = slash.map_or((&b""[..], path), |i| (&path[..i], &path[i + 1..]));
            let dir = Rc::new(self.directory(above).map_err(|e| refused(path, e))?);
            let place = Place { dir, name };
            if self.present(&place)? == Present::Other {
                return Err(ImageError::Corrupt(format!(
                    "\"{}\" is used as a directory and is none",
                    shown(path)
                )));
            }
            self.make_directory(&place)?;
            let attributes = Attributes { uid: 0, gid: 0, mode: IMPLICIT_DIRECTORY, mtime: (0, 0) };
            self.apply(&place, &attributes)?;
        }
        Ok(())
    }

    pub(super) fn present(&self, place: &Place<'_>) -> Result<Present, ImageError> {
        Ok(match self.stat(place)? {
            None => Present::Nothing,
            Some(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Present::Directory,
                FileType::CharacterDevice => Present::Whiteout,
                _ => Present::Other,
            },
        })
    }

    pub(super) fn stat(&self, place: &Place<'_>) -> Result<Option<Stat>, ImageError> {
        match statat(&place.dir, place.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(failed("reading", place, e)),
        }
    }

    /// Makes room for something that is not a directory.
    pub(super) fn clear(&mut self, place: &Place<'_>) -> Result<(), ImageError> {
        match unlinkat(&place.dir, place.name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            Ok(()) => {
                // It may have been a symbolic link on the way to the remembered directory.
                self.last = None;
                Ok(())
            }
            Err(Errno::ISDIR) => {
                // Descriptors below the moved tree would write outside the layer from now on.
                self.last = None;
                self.discarded += 1;
                renameat(&place.dir, place.name, &self.discard, self.discarded.to_string())
                    .map_err(|e| failed("replacing", place, e))
            }
            Err(e) => Err(failed("replacing", place, e)),
        }
    }

    /// Makes a directory, or leaves the one there. In place of a whiteout the new one hides what lies below it.
    pub(super) fn make_directory(&mut self, place: &Place<'_>) -> Result<(), ImageError> {
        let present = self.present(place)?;
        if present == Present::Directory {
            return Ok(());
        }
        self.clear(place)?;
        mkdirat(&place.dir, place.name, Mode::from_raw_mode(0o700))
            .map_err(|e| failed("making", place, e))?;
        match present {
            Present::Whiteout => self.make_opaque(place),
            _ => Ok(()),
        }
    }

    /// Hides the content that directories of the same name have in the layers below.
    pub(super) fn make_opaque(&self, place: &Place<'_>) -> Result<(), ImageError> {
        let dir = self.open_directory(place)?;
        fsetxattr(&dir, OPAQUE, b"y", XattrFlags::empty()).map_err(|e| failed("making opaque", place, e))
    }

    /// Hides one name of the layers below.
    pub(super) fn make_whiteout(&mut self, place: &Place<'_>) -> Result<(), ImageError> {
        match self.present(place)? {
            // What this layer itself brings under the name stays: a whiteout is about the layers below.
            Present::Directory => self.make_opaque(place),
            Present::Other | Present::Whiteout => Ok(()),
            Present::Nothing => mknodat(&place.dir, place.name, FileType::CharacterDevice, Mode::empty(), 0)
                .map_err(|e| failed("whiting out", place, e)),
        }
    }

    pub(super) fn open_directory(&self, place: &Place<'_>) -> Result<OwnedFd, ImageError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&place.dir, place.name, flags, Mode::empty()).map_err(|e| failed("opening", place, e))
    }

    /// Applies everything except extended attributes; the order matters, a change of owner clears setuid.
    pub(super) fn apply(&self, place: &Place<'_>, attributes: &Attributes) -> Result<(), ImageError> {
        self.own(place, attributes)?;
        chmodat(&place.dir, place.name, Mode::from_raw_mode(attributes.mode), AtFlags::empty())
            .map_err(|e| failed("setting the mode of", place, e))?;
        self.touch(place, attributes.mtime)
    }

    pub(super) fn own(&self, place: &Place<'_>, attributes: &Attributes) -> Result<(), ImageError> {
        let (uid, gid) = (Uid::from_raw(attributes.uid), Gid::from_raw(attributes.gid));
        chownat(&place.dir, place.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| failed("setting the owner of", place, e))
    }

    pub(super) fn touch(&self, place: &Place<'_>, mtime: (i64, u32)) -> Result<(), ImageError> {
        utimensat(&place.dir, place.name, &timestamps(mtime), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| failed("setting the time of", place, e))
    }
}

pub(super) fn timestamps((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}

fn refused(path: &[u8], error: Errno) -> ImageError {
    match error {
        Errno::LOOP | Errno::XDEV | Errno::AGAIN => ImageError::UnsafePath {
            path: shown(path),
            reason: "it leads through a symbolic link out of the layer".into(),
        },
        Errno::NOTDIR => {
            ImageError::Corrupt(format!("\"{}\" lies below something that is no directory", shown(path)))
        }
        Errno::NOENT => ImageError::Corrupt(format!("\"{}\" does not exist in its layer", shown(path))),
        error => ImageError::io(format!("opening \"{}\" in a layer", shown(path)), error),
    }
}

pub(super) fn failed(doing: &str, place: &Place<'_>, error: Errno) -> ImageError {
    ImageError::io(format!("{doing} \"{}\" of a layer", shown(place.name)), error)
}
