//! Deleting directories with all that is in them.
//!
//! Neither the stack nor the number of open files grows with the depth, which whoever made the tree could choose.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, fstat, openat, unlinkat};
use rustix::io::Errno;

/// Room for one block of names, in bytes.
const NAME_BLOCK: usize = 32 * 1024;

/// A directory on the way down, emptied of all but directories.
struct Level {
    /// Its name in the one above.
    name: CString,
    /// Device and inode, by which it is known again on the way up.
    identity: (u64, u64),
    directories: Vec<CString>,
}

/// Deletes a directory, not following symbolic links. What vanishes meanwhile is fine.
///
/// # Errors
/// When something cannot be deleted, or is moved away meanwhile.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let mut dir = open(CWD, path)?;
    let mut levels = vec![enter(&dir, CString::default())?];
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.directories.pop() {
            match open(&dir, name.as_c_str()) {
                Ok(below) => {
                    levels.push(enter(&below, name)?);
                    dir = below;
                }
                Err(Errno::NOENT) => {}
                // Something else has taken its place.
                Err(Errno::NOTDIR | Errno::LOOP) => gone(unlinkat(&dir, name.as_c_str(), AtFlags::empty()))?,
                Err(error) => return Err(error.into()),
            }
            continue;
        }
        let done = levels.pop();
        let (Some(done), Some(above)) = (done, levels.last()) else { break };
        dir = open(&dir, c"..")?;
        if identity(&dir)? != above.identity {
            return Err(io::Error::other("a directory was moved away while it was being deleted"));
        }
        gone(unlinkat(&dir, done.name.as_c_str(), AtFlags::REMOVEDIR))?;
    }
    Ok(gone(unlinkat(CWD, path, AtFlags::REMOVEDIR))?)
}

/// Deletes what is not a directory, and remembers what is.
fn enter(dir: &OwnedFd, name: CString) -> rustix::io::Result<Level> {
    let mut level = Level { name, identity: identity(dir)?, directories: Vec::new() };
    let mut block = Vec::with_capacity(NAME_BLOCK);
    let mut entries = RawDir::new(dir, block.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if entry.file_type() != FileType::Directory {
            match unlinkat(dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(Errno::ISDIR) => {}
                Err(error) => return Err(error),
            }
        }
        level.directories.push(name.to_owned());
    }
    Ok(level)
}

fn open(at: impl AsFd, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn identity(dir: &OwnedFd) -> rustix::io::Result<(u64, u64)> {
    fstat(dir).map(|found| (found.st_dev, found.st_ino))
}

fn gone(done: rustix::io::Result<()>) -> rustix::io::Result<()> {
    if done == Err(Errno::NOENT) { Ok(()) } else { done }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_trees_and_not_what_links_point_at() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("t/a/b/c")).unwrap();
        std::fs::create_dir_all(at("kept")).unwrap();
        std::fs::create_dir_all(at("t/d")).unwrap();
        for name in ["kept/f", "t/f", "t/a/f", "t/a/b/c/f", "t/d/f"] {
            std::fs::write(at(name), b"").unwrap();
        }
        std::os::unix::fs::symlink("../../kept", at("t/a/link")).unwrap();
        remove_tree(&at("t")).unwrap();
        assert!(!at("t").exists() && at("kept/f").exists());
        std::os::unix::fs::symlink("kept", at("link")).unwrap();
        assert!(remove_tree(&at("link")).is_err());
        assert!(remove_tree(&at("kept/f")).is_err());
        assert!(at("kept/f").exists());
    }

    #[test]
    fn depth_costs_nothing() {
        // Deeper than paths can be long, and than a small stack has room for. Not more: some file systems take
        // milliseconds to delete a directory.
        const DEPTH: usize = 2500;
        let root = tempfile::tempdir().unwrap();
        let top = root.path().join("top");
        std::fs::create_dir(&top).unwrap();
        let mut dir = open(CWD, &top).unwrap();
        for _ in 0..DEPTH {
            rustix::fs::mkdirat(&dir, c"d", Mode::from_raw_mode(0o755)).unwrap();
            dir = open(&dir, c"d").unwrap();
        }
        drop(dir);
        let small_stack = std::thread::Builder::new().stack_size(64 * 1024);
        small_stack.spawn(move || remove_tree(&top).unwrap()).unwrap().join().unwrap();
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
