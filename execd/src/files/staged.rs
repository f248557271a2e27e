//! Writing a file so that others see either its old content or all of the new one.
//!
//! The content goes to a temporary file beside the target, which is then renamed over it. Nothing is synchronised to
//! disk: a sandbox that loses its machine loses its files anyway.

use std::ffi::{CString, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::actor::Actor;
use super::attributes::Attributes;
use super::error::FileError;

/// Mode of a new file for which none is asked, before the umask.
const DEFAULT_MODE: u32 = 0o755;

/// Mode of directories made on the way to a target, before the umask.
const DIRECTORY_MODE: u32 = 0o755;

/// Symbolic links followed to find a target.
const MAX_LINKS: usize = 40;

/// A file being written.
pub(crate) struct Staged {
    pub(crate) file: File,
    pub(crate) content: Content,
}

/// New content for a file, not in place yet. Dropped without [`commit`](Self::commit), it leaves no trace.
pub(crate) struct Content {
    /// Who clears up.
    actor: Actor,
    target: PathBuf,
    /// The temporary file; `None` when the target itself is written because nothing can be made beside it.
    temporary: Option<PathBuf>,
}

impl Staged {
    /// Prepares to write `target`, making its directories. Owner, group and mode are those of the existing file where
    /// `attributes` does not say otherwise. The caller acts for `actor`.
    ///
    /// # Errors
    /// When the target is not a regular file, or cannot be written.
    pub(crate) fn create(actor: Actor, target: &Path, attributes: Attributes) -> Result<Self, FileError> {
        let target = follow(target)?;
        let existing = match std::fs::symlink_metadata(&target) {
            Ok(found) if found.is_dir() => return Err(FileError::invalid(&target, "is a directory")),
            Ok(found) if !found.is_file() => {
                return Err(FileError::invalid(&target, "is not a regular file"));
            }
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(FileError::io(&target, error)),
        };
        let directory = target.parent().unwrap_or(Path::new("/"));
        if existing.is_some() {
            // Renaming over it would ask for the directory's permission only.
            may_write(&target).map_err(|error| FileError::io(&target, error))?;
        } else {
            make_directories(directory)?;
        }
        let wanted = Attributes {
            uid: attributes.uid.or(existing.as_ref().map(MetadataExt::uid)),
            gid: attributes.gid.or(existing.as_ref().map(MetadataExt::gid)),
            mode: attributes.mode.or(existing.as_ref().map(|found| found.mode() & 0o7777)),
        };
        let temporary = directory.join(temporary_name());
        // With a mode to set, nobody else may read the content before it is set.
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if wanted.mode.is_some() { 0o600 } else { DEFAULT_MODE })
            .open(&temporary);
        match opened {
            Ok(file) => {
                let content = Content { actor, target, temporary: Some(temporary) };
                let staged = Self { file, content };
                match staged.set(wanted) {
                    Ok(()) => Ok(staged),
                    // A new file cannot be given the owner of the old one, so the old one itself is written.
                    Err(FileError::Denied(_)) if existing.is_some() => {
                        let (actor, target) = (staged.content.actor.clone(), staged.content.target.clone());
                        Self::in_place(actor, target, attributes)
                    }
                    Err(error) => Err(error),
                }
            }
            // The file may be writable although its directory is not, as one mounted on its own is.
            Err(error) if existing.is_some() && is_refusal(&error) => {
                Self::in_place(actor, target, attributes)
            }
            Err(error) => Err(FileError::io(&target, error)),
        }
    }

    /// Checks all it can before the old content is lost.
    fn in_place(actor: Actor, target: PathBuf, attributes: Attributes) -> Result<Self, FileError> {
        let opened = OpenOptions::new().write(true).open(&target);
        let file = opened.map_err(|error| FileError::io(&target, error))?;
        let staged = Self { file, content: Content { actor, target, temporary: None } };
        staged.set(attributes)?;
        staged.file.set_len(0).map_err(|error| FileError::io(staged.content.target(), error))?;
        Ok(staged)
    }

    fn set(&self, wanted: Attributes) -> Result<(), FileError> {
        let failed = |error: Errno| FileError::io(self.content.target(), error);
        if wanted.uid.is_some() || wanted.gid.is_some() {
            let current =
                self.file.metadata().map_err(|error| FileError::io(self.content.target(), error))?;
            // Only a real change needs the power to make it.
            let uid = wanted.uid.filter(|uid| *uid != current.uid()).map(Uid::from_raw);
            let gid = wanted.gid.filter(|gid| *gid != current.gid()).map(Gid::from_raw);
            rustix::fs::fchown(&self.file, uid, gid).map_err(failed)?;
        }
        // After the owner, because a change of owner clears the set-user-id bits.
        if let Some(mode) = wanted.mode {
            rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode)).map_err(failed)?;
        }
        Ok(())
    }
}

impl Content {
    /// The file that is being written.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Puts the content in place.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn commit(mut self) -> Result<(), FileError> {
        let Some(temporary) = &self.temporary else { return Ok(()) };
        match std::fs::rename(temporary, &self.target) {
            Ok(()) => {
                self.temporary = None;
                Ok(())
            }
            // A file that is mounted on its own cannot be replaced, only rewritten.
            Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {
                rewrite(temporary, &self.target).map_err(|error| FileError::io(&self.target, error))
            }
            Err(error) => Err(FileError::io(&self.target, error)),
        }
    }
}

fn rewrite(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut to = OpenOptions::new().write(true).truncate(true).open(to)?;
    io::copy(&mut from, &mut to).map(drop)
}

impl Drop for Content {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Best effort: there is nobody to tell.
            let _ = self.actor.act(|| std::fs::remove_file(temporary));
        }
    }
}

/// Whether an existing file may be written, asked without opening it: a program that runs can be replaced.
fn may_write(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // Through the bare call, because the library's own would look with the identity of the process, not the thread.
    // SAFETY: the path ends in a NUL byte and is alive.
    let answer = unsafe {
        libc::syscall(libc::SYS_faccessat2, libc::AT_FDCWD, path.as_ptr(), libc::W_OK, libc::AT_EACCESS)
    };
    if answer == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        // Kernels without the call have only the directory's permission to go by.
        error if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
        error => Err(error),
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::NOENT)
    )
}

fn temporary_name() -> OsString {
    format!(".sandkeep-{}", crate::id::random().simple()).into()
}

/// Where a path finally leads, following symbolic links at its end: writing goes to what they point at.
fn follow(path: &Path) -> Result<PathBuf, FileError> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&path) {
            Ok(to) => path = path.parent().unwrap_or(Path::new("/")).join(to),
            Err(_) => return Ok(path),
        }
    }
    Err(FileError::io(&path, Errno::LOOP))
}

/// Makes a directory and those above it; true when it did not exist.
///
/// # Errors
/// When something on the way is not a directory, or the file system refuses.
pub(crate) fn make_directories(path: &Path) -> Result<bool, FileError> {
    let make = |path: &Path| rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(DIRECTORY_MODE));
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        match make(ancestor) {
            Ok(()) => break,
            Err(Errno::NOENT) => missing.push(ancestor),
            Err(Errno::NOTDIR) => {
                return Err(FileError::invalid(ancestor, "a part of the path is not a directory"));
            }
            // Whatever the reason, an existing directory is what is wanted.
            Err(_) if ancestor.is_dir() => {
                if missing.is_empty() {
                    return Ok(false);
                }
                break;
            }
            Err(Errno::EXIST) => return Err(FileError::invalid(ancestor, "is not a directory")),
            Err(error) => return Err(FileError::io(ancestor, error)),
        }
    }
    for path in missing.into_iter().rev() {
        match make(path) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(FileError::io(path, error)),
        }
    }
    Ok(true)
}

/// Makes a directory and those above it, and gives one that did not exist to this user and group.
///
/// # Errors
/// When something on the way is not a directory, or the file system refuses.
pub(crate) fn make_directory_for(path: &Path, owner: Option<(u32, u32)>) -> Result<(), FileError> {
    if make_directories(path)?
        && let Some((uid, gid)) = owner
    {
        set_new_directory(path, Attributes { uid: Some(uid), gid: Some(gid), mode: None })?;
    }
    Ok(())
}

/// Sets owner, group and mode of a directory just made; a symbolic link that has taken its place is not followed.
///
/// # Errors
/// When it is no directory any more or the file system refuses.
pub(crate) fn set_new_directory(path: &Path, attributes: Attributes) -> Result<(), FileError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let set = || -> rustix::io::Result<()> {
        let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let (uid, gid) = (attributes.uid.map(Uid::from_raw), attributes.gid.map(Gid::from_raw));
        rustix::fs::fchown(&directory, uid, gid)?;
        attributes.mode.map_or(Ok(()), |mode| rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode)))
    };
    set().map_err(|error| FileError::io(path, error))
}

/// Sets owner, group and mode of a path, following symbolic links as `chmod` does.
///
/// # Errors
/// When it does not exist or the file system refuses.
pub(crate) fn set_attributes(path: &Path, attributes: Attributes) -> Result<(), FileError> {
    let failed = |error: Errno| FileError::io(path, error);
    let (uid, gid) = (attributes.uid.map(Uid::from_raw), attributes.gid.map(Gid::from_raw));
    rustix::fs::chownat(CWD, path, uid, gid, AtFlags::empty()).map_err(failed)?;
    if let Some(mode) = attributes.mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            .map_err(|error| FileError::io(path, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn write(target: &Path, content: &[u8], mode: Option<u32>) -> Result<(), FileError> {
        let mut staged = Staged::create(Actor::own(), target, Attributes { mode, ..Attributes::default() })?;
        staged.file.write_all(content).unwrap();
        staged.content.commit()
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn replaces_whole_files_and_keeps_what_is_not_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/b/file");
        write(&target, b"one", Some(0o640)).unwrap();
        assert_eq!((std::fs::read(&target).unwrap(), mode(&target)), (b"one".to_vec(), 0o640));
        write(&target, b"2", None).unwrap();
        assert_eq!((std::fs::read(&target).unwrap(), mode(&target)), (b"2".to_vec(), 0o640));
        assert_eq!(std::fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn leaves_no_trace_when_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("file");
        let mut staged = Staged::create(Actor::own(), &target, Attributes::default()).unwrap();
        staged.file.write_all(b"half").unwrap();
        drop(staged);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn writes_what_a_link_points_at() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("real", &link).unwrap();
        write(&link, b"x", None).unwrap();
        assert_eq!(std::fs::read(dir.path().join("real")).unwrap(), b"x");
        assert!(link.is_symlink());
        let knot = dir.path().join("loop");
        std::os::unix::fs::symlink("loop", &knot).unwrap();
        assert!(matches!(write(&knot, b"x", None), Err(FileError::Invalid(_))));
    }

    /// Takes a mount away again, however the test ends.
    struct Mounted<'a>(&'a Path);

    impl Drop for Mounted<'_> {
        fn drop(&mut self) {
            let _ = rustix::mount::unmount(self.0, rustix::mount::UnmountFlags::DETACH);
        }
    }

    #[test]
    fn rewrites_what_is_mounted_on_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (source, target) = (dir.path().join("source"), dir.path().join("target"));
        std::fs::write(&source, b"a longer old text").unwrap();
        std::fs::write(&target, b"").unwrap();
        if rustix::mount::mount_bind(&source, &target).is_err() {
            return;
        }
        let mounted = Mounted(&target);
        write(&target, b"new", None).unwrap();
        assert_eq!(std::fs::read(&source).unwrap(), b"new");
        drop(mounted);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn refuses_what_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(write(dir.path(), b"x", None), Err(FileError::Invalid(_))));
        assert!(matches!(write(Path::new("/dev/null"), b"x", None), Err(FileError::Invalid(_))));
        std::fs::write(dir.path().join("f"), b"").unwrap();
        assert!(matches!(
            write(&dir.path().join("f/g"), b"x", None),
            Err(FileError::Missing(_) | FileError::Invalid(_))
        ));
        let long = "n".repeat(300);
        assert!(matches!(write(&dir.path().join(long), b"x", None), Err(FileError::Invalid(_))));
    }

    #[test]
    fn makes_directories_and_says_whether_it_did() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x/y/z");
        assert!(make_directories(&deep).unwrap());
        assert!(!make_directories(&deep).unwrap());
        assert!(!make_directories(Path::new("/")).unwrap());
        std::fs::write(deep.join("f"), b"").unwrap();
        assert!(matches!(make_directories(&deep.join("f")), Err(FileError::Invalid(_))));
        assert!(matches!(make_directories(&deep.join("f/g")), Err(FileError::Invalid(_))));
    }
}
