//! Paths below a directory that cannot lead out of it, whatever links are put in their way meanwhile.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2};
use rustix::io::Errno;
use rustix::path::Arg;

/// The kernel asks to try again when something moved while it looked; whoever keeps moving things gets an error.
const TRIES: usize = 64;

/// Mode of directories made on the way, before the umask.
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);

/// Opens `path` relative to `root`, the directory itself when it is empty. Links inside are followed as long as they
/// stay inside.
///
/// # Errors
/// `XDEV` when it leads out, otherwise as for any open.
pub(crate) fn open(root: &OwnedFd, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path: &[u8] = if path.is_empty() { b"." } else { path };
    resolve(root, path, flags, ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
}

/// Opens `path` relative to `root`, led there as `how` says.
///
/// # Errors
/// As for any open, and as `how` has it.
pub(crate) fn resolve(
    root: impl AsFd,
    path: impl Arg + Copy,
    flags: OFlags,
    how: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    for _ in 0..TRIES {
        match openat2(&root, path, flags | OFlags::CLOEXEC, Mode::empty(), how) {
            Err(Errno::AGAIN) => {}
            done => return done,
        }
    }
    Err(Errno::AGAIN)
}

/// Opens the directory `path` relative to `root` to work in it, making what is missing.
///
/// # Errors
/// As [`open`], and when a directory cannot be made.
pub(crate) fn open_directory(root: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    match open(root, path, flags) {
        Err(Errno::NOENT) => {}
        done => return done,
    }
    let mut directory = open(root, b"", flags)?;
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let mut start = 0;
    for end in ends.chain([path.len()]) {
        directory = match open(root, &path[..end], flags) {
            Err(Errno::NOENT) => {
                match mkdirat(&directory, &path[start..end], DIRECTORY_MODE) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
                open(root, &path[..end], flags)?
            }
            done => done?,
        };
        start = end + 1;
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("inside");
        std::fs::create_dir_all(inside.join("real")).unwrap();
        std::fs::create_dir(dir.path().join("outside")).unwrap();
        symlink("../outside", inside.join("up")).unwrap();
        symlink("/", inside.join("root")).unwrap();
        symlink("real", inside.join("link")).unwrap();
        let root = OwnedFd::from(std::fs::File::open(&inside).unwrap());
        for path in ["up", "root", "root/etc", "up/x", "..", "real/../../outside", "/etc"] {
            assert_eq!(open(&root, path.as_bytes(), OFlags::PATH).unwrap_err(), Errno::XDEV, "{path}");
        }
        assert_eq!(open_directory(&root, b"up/made").unwrap_err(), Errno::XDEV);
        open_directory(&root, b"link/a/b").unwrap();
        open_directory(&root, b"").unwrap();
        assert!(inside.join("real/a/b").is_dir());
        assert_eq!(std::fs::read_dir(dir.path().join("outside")).unwrap().count(), 0);
        std::fs::write(inside.join("file"), b"").unwrap();
        assert_eq!(open_directory(&root, b"file/x").unwrap_err(), Errno::NOTDIR);
    }
}
