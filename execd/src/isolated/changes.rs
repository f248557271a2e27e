//! What an overlay's upper directory says about the directory it covers.
//!
//! The session may write there while it is read, so it is walked by descriptors, and no symbolic link is followed.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fgetxattr, openat, openat2, statat,
};

/// Deepest nesting that is followed.
pub(super) const MAX_DEPTH: usize = 512;

/// The attribute of a directory that hides all of the one it covers.
const OPAQUE: &str = "user.overlay.opaque";

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// One entry of an upper directory.
#[derive(Debug)]
pub(super) struct Change {
    pub name: CString,
    pub stat: Stat,
    pub kind: Kind,
}

/// What became of the entry below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is gone.
    Removed,
    Directory,
    File,
    Symlink,
    Fifo,
    /// A socket or device: nothing that could be kept.
    Other,
}

/// Opens a directory that is named by a path of ours.
pub(super) fn open_top(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, DIRECTORY, Mode::empty())?)
}

/// Opens a directory under the path it had when the session was made, from which all links were resolved then: one
/// that is on the way now was put there to lead somewhere else.
pub(super) fn open_resolved(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat2(CWD, path, DIRECTORY, Mode::empty(), ResolveFlags::NO_SYMLINKS)?)
}

/// Opens a directory in another one.
pub(super) fn open_directory(parent: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    Ok(openat(parent, name, DIRECTORY, Mode::empty())?)
}

/// Opens a file for reading; never waits for another end.
pub(super) fn open_file(parent: impl AsFd, name: &CStr) -> io::Result<std::fs::File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?.into())
}

/// Names in a directory, sorted.
pub(super) fn names(directory: impl AsFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The entries of an upper directory; what vanishes meanwhile is passed over.
pub(super) fn list(upper: impl AsFd) -> io::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for name in names(upper.as_fd())? {
        match statat(upper.as_fd(), &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => changes.push(Change { name, kind: kind(&stat), stat }),
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(changes)
}

/// Whether a directory hides all of the one it covers.
pub(super) fn is_opaque(directory: impl AsFd) -> bool {
    let mut value = [0; 4];
    matches!(fgetxattr(directory, OPAQUE, &mut value), Ok(1..) if value[0] == b'y')
}

fn kind(stat: &Stat) -> Kind {
    match FileType::from_raw_mode(stat.st_mode) {
        // The mark of overlays for an entry that is gone.
        FileType::CharacterDevice if stat.st_rdev == 0 => Kind::Removed,
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        _ => Kind::Other,
    }
}

/// Nesting beyond what is followed.
pub(super) fn too_deep() -> io::Error {
    io::Error::other(format!("directories are nested deeper than {MAX_DEPTH} levels"))
}
