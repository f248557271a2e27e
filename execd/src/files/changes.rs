//! Changing what is there: deleting, moving, replacing text.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use memchr::memmem;
use rustix::fs::{AtFlags, CWD, Gid, Mode, RenameFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::actor::Actor;
use super::attributes::Attributes;
use super::error::FileError;
use super::remove::remove_tree;
use super::staged::{Staged, make_directories, set_new_directory};

/// Levels of directories moved to another file system: whoever made the tree could choose its depth.
const MAX_COPY_DEPTH: usize = 200;

/// Bytes read at once while replacing text.
const BLOCK: usize = 256 * 1024;

/// Deletes a file or symbolic link; a missing one is fine.
///
/// # Errors
/// When it is a directory, or a link to one.
pub(crate) fn remove_file(path: &Path) -> Result<(), FileError> {
    if path.is_dir() {
        return Err(FileError::invalid(path, "is a directory"));
    }
    gone(path, std::fs::remove_file(path))
}

/// Deletes a directory with all that is in it, or a symbolic link; a missing one is fine.
///
/// # Errors
/// When it is the root directory or a file.
pub(crate) fn remove_directory(path: &Path) -> Result<(), FileError> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) => return gone(path, Err(error)),
    };
    if found.is_symlink() {
        return gone(path, std::fs::remove_file(path));
    }
    if !found.is_dir() {
        return Err(FileError::invalid(path, "is not a directory"));
    }
    if std::fs::canonicalize(path).is_ok_and(|real| real.parent().is_none()) {
        return Err(FileError::invalid(path, "the root directory is not deleted"));
    }
    gone(path, remove_tree(path))
}

/// Takes "it does not exist" for success.
fn gone(path: &Path, done: io::Result<()>) -> Result<(), FileError> {
    match done.map_err(|error| FileError::io(path, error)) {
        Err(FileError::Missing(_)) => Ok(()),
        done => done,
    }
}

/// Makes a directory and those above it. The attributes are for a directory that did not exist.
///
/// # Errors
/// When something on the way is not a directory, or the file system refuses.
pub(crate) fn make_directory(path: &Path, attributes: Attributes) -> Result<(), FileError> {
    if make_directories(path)? { set_new_directory(path, attributes) } else { Ok(()) }
}

/// Moves a file or directory to a path that must not exist, across file systems if need be.
///
/// # Errors
/// When `from` is missing, `to` exists, or the file system refuses.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    std::fs::symlink_metadata(from).map_err(|error| FileError::io(from, error))?;
    let exists = || FileError::invalid(to, "already exists");
    if to.symlink_metadata().is_ok() {
        return Err(exists());
    }
    if let Some(parent) = to.parent() {
        make_directories(parent)?;
    }
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(exists()),
        // Another file system, or a directory of a lower layer: it has to be copied.
        Err(Errno::XDEV) => carry(from, to),
        Err(Errno::INVAL) if to.starts_with(from) => {
            Err(FileError::invalid(to, format!("lies inside {}", from.display())))
        }
        // A file system without "do not replace"; that nothing is there has just been seen.
        Err(Errno::INVAL) => std::fs::rename(from, to).map_err(|error| FileError::io(from, error)),
        Err(error) => Err(FileError::io(from, error)),
    }
}

/// Copies, then deletes the original. A failure leaves the original and no copy.
fn carry(from: &Path, to: &Path) -> Result<(), FileError> {
    let remove = |path: &Path| {
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            remove_tree(path)
        } else {
            std::fs::remove_file(path)
        }
    };
    if let Err(error) = copy(from, to, MAX_COPY_DEPTH) {
        // The first failure is the one to report.
        let _ = remove(to);
        return Err(FileError::io(from, error));
    }
    remove(from).map_err(|error| FileError::io(from, error))
}

/// Copies a tree of at most this depth with owners, modes and times.
fn copy(from: &Path, to: &Path, depth: usize) -> io::Result<()> {
    let found = std::fs::symlink_metadata(from)?;
    let kind = found.file_type();
    let mode = Mode::from_raw_mode(found.mode() & 0o7777);
    if kind.is_symlink() {
        std::os::unix::fs::symlink(std::fs::read_link(from)?, to)?;
    } else if kind.is_dir() {
        let below = depth.checked_sub(1).ok_or_else(|| io::Error::other("nested too deeply to be copied"))?;
        std::fs::create_dir(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()), below)?;
        }
    } else if kind.is_file() {
        std::fs::copy(from, to)?;
    } else if kind.is_fifo() {
        rustix::fs::mkfifoat(CWD, to, mode)?;
    } else {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "devices and sockets cannot be moved to another file system",
        ));
    }
    rustix::fs::chownat(
        CWD,
        to,
        Some(Uid::from_raw(found.uid())),
        Some(Gid::from_raw(found.gid())),
        AtFlags::SYMLINK_NOFOLLOW,
    )?;
    if !kind.is_symlink() {
        rustix::fs::chmodat(CWD, to, mode, AtFlags::empty())?;
    }
    let times = Timestamps {
        last_access: Timespec { tv_sec: found.atime(), tv_nsec: found.atime_nsec() },
        last_modification: Timespec { tv_sec: found.mtime(), tv_nsec: found.mtime_nsec() },
    };
    rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// Replaces every occurrence of `old` in a file and says how many there were. The file changes all at once or, without
/// an occurrence, not at all; its mode and owner stay.
///
/// # Errors
/// When `old` is empty or the file cannot be read or written.
pub(crate) fn replace(actor: Actor, path: &Path, old: &[u8], new: &[u8]) -> Result<u64, FileError> {
    if old.is_empty() {
        return Err(FileError::invalid(path, "the text to replace is empty"));
    }
    let failed = |error: io::Error| FileError::io(path, error);
    if path.is_dir() {
        return Err(FileError::invalid(path, "is a directory"));
    }
    if std::fs::metadata(path).map_err(failed)?.file_type().is_file() {
        let source = File::open(path).map_err(failed)?;
        // A first pass, because most files that are searched do not contain the text and need not be written.
        if transform(source, io::sink(), old, new, BLOCK).map_err(failed)? == 0 {
            return Ok(0);
        }
    }
    let mut staged = Staged::create(actor, path, Attributes::default())?;
    let source = File::open(path).map_err(failed)?;
    let count = transform(source, &mut staged.file, old, new, BLOCK).map_err(failed)?;
    staged.content.commit()?;
    Ok(count)
}

/// Copies while replacing; holds no more than a block and one occurrence.
fn transform(
    mut from: impl Read,
    mut to: impl Write,
    old: &[u8],
    new: &[u8],
    block: usize,
) -> io::Result<u64> {
    let finder = memmem::Finder::new(old);
    let mut count = 0;
    let mut buffer: Vec<u8> = Vec::with_capacity(block + old.len());
    loop {
        let read = from.by_ref().take(block as u64).read_to_end(&mut buffer)?;
        let mut done = 0;
        while let Some(at) = finder.find(&buffer[done..]) {
            to.write_all(&buffer[done..done + at])?;
            to.write_all(new)?;
            done += at + old.len();
            count += 1;
        }
        if read == 0 {
            to.write_all(&buffer[done..])?;
            return Ok(count);
        }
        // An occurrence may begin in what is left and end in the next block.
        let keep = (buffer.len() - done).min(old.len() - 1);
        let end = buffer.len() - keep;
        to.write_all(&buffer[done..end])?;
        buffer.drain(..end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::files::staged::set_attributes;

    proptest! {
        #[test]
        fn replacing_agrees_with_the_standard_library(text in "[ab]{0,60}", old in "[ab]{1,4}", new in "[abc]{0,4}", block in 1usize..9) {
            let mut out = Vec::new();
            let count = transform(text.as_bytes(), &mut out, old.as_bytes(), new.as_bytes(), block).unwrap();
            prop_assert_eq!(String::from_utf8(out).unwrap(), text.replace(&old, &new));
            prop_assert_eq!(count as usize, text.matches(&old).count());
        }
    }

    #[test]
    fn replaces_across_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut text = vec![b'x'; BLOCK - 2];
        text.extend_from_slice(b"needle-and-needle");
        std::fs::write(&path, &text).unwrap();
        set_attributes(&path, Attributes { mode: Some(0o751), ..Attributes::default() }).unwrap();
        assert_eq!(replace(Actor::own(), &path, b"needle", b"pin").unwrap(), 2);
        let now = std::fs::read(&path).unwrap();
        assert_eq!(&now[BLOCK - 2..], b"pin-and-pin");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o751);
        assert_eq!(replace(Actor::own(), &path, b"needle", b"pin").unwrap(), 0);
        assert!(matches!(replace(Actor::own(), &path, b"", b"pin"), Err(FileError::Invalid(_))));
        assert!(matches!(
            replace(Actor::own(), &dir.path().join("no"), b"a", b"b"),
            Err(FileError::Missing(_))
        ));
        assert!(matches!(replace(Actor::own(), dir.path(), b"a", b"b"), Err(FileError::Invalid(_))));
    }

    #[test]
    fn moves_and_refuses_to_overwrite() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("a"), b"a").unwrap();
        std::fs::write(at("b"), b"b").unwrap();
        assert!(matches!(rename(&at("a"), &at("b")), Err(FileError::Invalid(_))));
        assert!(matches!(rename(&at("nope"), &at("c")), Err(FileError::Missing(_))));
        rename(&at("a"), &at("new/deep/a")).unwrap();
        assert_eq!(std::fs::read(at("new/deep/a")).unwrap(), b"a");
        assert!(matches!(rename(&at("new"), &at("new/inside")), Err(FileError::Invalid(_))));
    }

    #[test]
    fn carries_trees_to_another_file_system() {
        let here = tempfile::tempdir().unwrap();
        let Ok(there) = tempfile::tempdir_in("/dev/shm") else { return };
        let tree = here.path().join("t");
        std::fs::create_dir_all(tree.join("d")).unwrap();
        std::fs::write(tree.join("d/f"), b"content").unwrap();
        set_attributes(&tree.join("d/f"), Attributes { mode: Some(0o4701), ..Attributes::default() })
            .unwrap();
        std::os::unix::fs::symlink("d/f", tree.join("l")).unwrap();
        let to = there.path().join("moved");
        rename(&tree, &to).unwrap();
        assert!(!tree.exists());
        assert_eq!(std::fs::read(to.join("l")).unwrap(), b"content");
        assert_eq!(std::fs::metadata(to.join("d/f")).unwrap().mode() & 0o7777, 0o4701);
    }

    #[test]
    fn deletes_only_what_it_should() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("d/e")).unwrap();
        std::fs::write(at("f"), b"").unwrap();
        std::os::unix::fs::symlink("d", at("to-dir")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
        assert!(matches!(remove_file(&at("d")), Err(FileError::Invalid(_))));
        assert!(matches!(remove_file(&at("to-dir")), Err(FileError::Invalid(_))));
        assert!(matches!(remove_directory(&at("f")), Err(FileError::Invalid(_))));
        assert!(matches!(remove_directory(Path::new("/")), Err(FileError::Invalid(_))));
        assert!(matches!(remove_directory(Path::new("/tmp/..")), Err(FileError::Invalid(_))));
        remove_file(&at("dangling")).unwrap();
        remove_file(&at("f")).unwrap();
        remove_file(&at("f")).unwrap();
        remove_directory(&at("to-dir")).unwrap();
        assert!(at("d/e").exists());
        remove_directory(&at("d")).unwrap();
        remove_directory(&at("d")).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
