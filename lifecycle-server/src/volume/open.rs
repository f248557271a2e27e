//! Opening paths that others may change meanwhile, without ever leaving a directory.

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2},
    io::Errno,
};

/// Why a path below a directory could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It leads, or a link on its way leads, out of the directory.
    Leaves,
    Failed(Errno),
    /// A missing directory could not be made.
    CreateFailed(Errno),
}

/// The kernel asks for another try when something was renamed meanwhile.
const ATTEMPTS: usize = 16;

/// Opens `path` below `root` and makes missing directories on the way, if they are wanted. Links may be followed as long
/// as they stay below `root`.
pub(super) fn below(root: impl AsFd, path: &Path, create: bool, links: bool) -> Result<OwnedFd, Refusal> {
    let mut done = PathBuf::from(".");
    let mut current = resolve(&root, &done, links)?;
    for component in path.components() {
        let name = match component {
            Component::Normal(name) => name,
            Component::CurDir => continue,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(Refusal::Leaves),
        };
        let next = done.join(name);
        current = match resolve(&root, &next, links) {
            Err(Refusal::Failed(Errno::NOENT)) if create => {
                make(&current, name)?;
                resolve(&root, &next, links)?
            }
            other => other?,
        };
        done = next;
    }
    Ok(current)
}

fn make(parent: &OwnedFd, name: &OsStr) -> Result<(), Refusal> {
    match mkdirat(parent, name.as_bytes(), Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(Refusal::CreateFailed(error)),
    }
}

fn resolve(root: impl AsFd, path: &Path, links: bool) -> Result<OwnedFd, Refusal> {
    let mut how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    if !links {
        how |= ResolveFlags::NO_SYMLINKS;
    }
    for _ in 0..ATTEMPTS {
        match openat2(&root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), how) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::XDEV | Errno::LOOP) => return Err(Refusal::Leaves),
            other => return other.map_err(Refusal::Failed),
        }
    }
    Err(Refusal::Failed(Errno::AGAIN))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn no_link_and_no_dots_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink("../../outside", root.join("a/out")).unwrap();
        symlink(&outside, root.join("absolute")).unwrap();
        symlink("a/b", root.join("inside")).unwrap();
        let root = fs::File::open(&root).unwrap();
        let open = |path: &str, create, links| below(&root, Path::new(path), create, links).map(drop);
        assert_eq!(open("a/b", false, false), Ok(()));
        assert_eq!(open("inside", false, true), Ok(()));
        for (path, links) in [
            ("a/out", true),
            ("a/out/x", true),
            ("absolute", true),
            ("absolute/new", true),
            ("..", true),
            ("a/../..", true),
            ("/etc", true),
            ("inside", false),
        ] {
            assert_eq!(open(path, true, links), Err(Refusal::Leaves), "{path}");
        }
        assert!(fs::read_dir(&outside).unwrap().next().is_none(), "something was made outside");
        assert_eq!(open("new/deep", false, false), Err(Refusal::Failed(Errno::NOENT)));
        assert_eq!(open("new/deep", true, false), Ok(()));
        assert!(dir.path().join("root/new/deep").is_dir());
    }
}
