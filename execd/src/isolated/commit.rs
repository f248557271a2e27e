//! A session's changes written to the directories its overlays cover.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, chmodat, chownat, fchmod,
        fchown, futimens, mkdirat, mknodat, openat, readlinkat, renameat, statat, symlinkat, unlinkat,
    },
    io::Errno,
};
use sandkeep_specs::execd::isolated::IsolatedCommitResponse;

use super::{
    changes::{self, Change, Kind, MAX_DEPTH},
    session::Layer,
};
use crate::id;

/// Writes what the overlays hold to what they cover. The overlays stay as they are.
pub(super) fn commit(layers: &[Layer]) -> io::Result<IsolatedCommitResponse> {
    let mut done = IsolatedCommitResponse::default();
    for layer in layers {
        let (upper, lower) = (changes::open_top(&layer.upper)?, changes::open_resolved(&layer.target)?);
        merge(&upper, &lower, &mut done, 0)?;
    }
    Ok(done)
}

fn merge(
    upper: &OwnedFd,
    lower: &OwnedFd,
    done: &mut IsolatedCommitResponse,
    depth: usize,
) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(changes::too_deep());
    }
    for change in changes::list(upper)? {
        match change.kind {
            Kind::Removed => done.removed += u64::from(remove(lower, &change.name, depth)?),
            Kind::Directory => directory(upper, lower, &change, done, depth)?,
            Kind::Other => {}
            Kind::File | Kind::Symlink | Kind::Fifo => {
                replace(upper, lower, &change, depth)?;
                done.written += 1;
            }
        }
    }
    Ok(())
}

fn directory(
    upper: &OwnedFd,
    lower: &OwnedFd,
    change: &Change,
    done: &mut IsolatedCommitResponse,
    depth: usize,
) -> io::Result<()> {
    let from = changes::open_directory(upper, &change.name)?;
    let opaque = changes::is_opaque(&from);
    let old = statat(lower, &change.name, AtFlags::SYMLINK_NOFOLLOW).ok();
    let is_directory = old.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
    if opaque || !is_directory {
        done.removed += u64::from(remove(lower, &change.name, depth)?);
        mkdirat(lower, &change.name, Mode::RWXU)?;
        done.written += 1;
    }
    let to = changes::open_directory(lower, &change.name)?;
    merge(&from, &to, done, depth + 1)?;
    attributes(&to, &change.stat)
}

/// Puts a copy in place in one step, so that nobody sees half of it.
fn replace(upper: &OwnedFd, lower: &OwnedFd, change: &Change, depth: usize) -> io::Result<()> {
    let temporary = CString::new(format!(".{}.commit", id::random().simple()))?;
    let made = copy(upper, lower, change, &temporary);
    let placed = made.and_then(|()| match renameat(lower, &temporary, lower, &change.name) {
        Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
            remove(lower, &change.name, depth)?;
            Ok(renameat(lower, &temporary, lower, &change.name)?)
        }
        placed => Ok(placed?),
    });
    if placed.is_err() {
        let _ = unlinkat(lower, &temporary, AtFlags::empty());
    }
    placed
}

fn copy(upper: &OwnedFd, lower: &OwnedFd, change: &Change, name: &CStr) -> io::Result<()> {
    let (uid, gid) = owner(&change.stat);
    match change.kind {
        Kind::Symlink => {
            let target = readlinkat(upper, &change.name, Vec::new())?;
            symlinkat(&target, lower, name)?;
            Ok(chownat(lower, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
        }
        Kind::Fifo => {
            mknodat(lower, name, FileType::Fifo, Mode::empty(), 0)?;
            chownat(lower, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(chmodat(lower, name, mode(&change.stat), AtFlags::empty())?)
        }
        _ => {
            let mut from = changes::open_file(upper, &change.name)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut to = File::from(openat(lower, name, flags, Mode::RUSR | Mode::WUSR)?);
            io::copy(&mut from, &mut to)?;
            attributes(&to, &change.stat)
        }
    }
}

/// Gives a copy the owner, mode and time of the original.
fn attributes(to: impl AsFd, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = owner(stat);
    fchown(to.as_fd(), Some(uid), Some(gid))?;
    fchmod(to.as_fd(), mode(stat))?;
    let time = |seconds: i64, nanos: i64| Timespec { tv_sec: seconds, tv_nsec: nanos as _ };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec as i64),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec as i64),
    };
    Ok(futimens(to, &times)?)
}

fn owner(stat: &Stat) -> (Uid, Gid) {
    (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))
}

fn mode(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode & 0o7777)
}

/// Removes an entry with all that is in it; false when there was none.
fn remove(parent: &OwnedFd, name: &CStr, depth: usize) -> io::Result<bool> {
    if depth > MAX_DEPTH {
        return Err(changes::too_deep());
    }
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) => return Ok(true),
        Err(Errno::NOENT) => return Ok(false),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let directory = changes::open_directory(parent, name)?;
    for inside in changes::names(&directory)? {
        remove(&directory, &inside, depth + 1)?;
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
        path::Path,
    };

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new(files: &[&str]) -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            for file in files {
                let path = place.path(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, file).unwrap();
            }
            place
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.0.path().join(name)
        }

        /// Marks an entry as removed; false where that needs rights we lack.
        fn whiteout(&self, name: &str) -> bool {
            mknodat(rustix::fs::CWD, self.path(name), FileType::CharacterDevice, Mode::empty(), 0).is_ok()
        }
    }

    fn run(upper: &Place, lower: &Path) -> IsolatedCommitResponse {
        let target = lower.canonicalize().unwrap();
        commit(&[Layer { target, upper: upper.0.path().into() }]).unwrap()
    }

    #[test]
    fn a_way_that_has_become_a_link_is_refused() {
        let upper = Place::new(&["new"]);
        let home = Place::new(&["parent/tree/old", "outside/tree/old"]);
        let parent = home.path("parent").canonicalize().unwrap();
        fs::rename(&parent, home.path("moved")).unwrap();
        symlink("outside", &parent).unwrap();
        let layer = Layer { target: parent.join("tree"), upper: upper.0.path().into() };
        assert_eq!(commit(&[layer]).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        assert!(!home.path("outside/tree/new").exists());
    }

    #[test]
    fn changes_arrive_and_the_rest_stays() {
        let upper = Place::new(&["new/deep/a", "b"]);
        let lower = Place::new(&["b", "c", "new/kept"]);
        fs::write(upper.path("b"), "changed").unwrap();
        fs::set_permissions(upper.path("b"), fs::Permissions::from_mode(0o751)).unwrap();
        symlink("nowhere", upper.path("link")).unwrap();
        let done = run(&upper, lower.0.path());
        assert_eq!((done.written, done.removed), (4, 0));
        assert_eq!(fs::read_to_string(lower.path("b")).unwrap(), "changed");
        assert_eq!(fs::metadata(lower.path("b")).unwrap().permissions().mode() & 0o777, 0o751);
        assert_eq!(fs::read_link(lower.path("link")).unwrap(), Path::new("nowhere"));
        for name in ["c", "new/kept", "new/deep/a"] {
            assert_eq!(fs::read_to_string(lower.path(name)).unwrap(), name);
        }
        assert_eq!(fs::read_dir(lower.0.path()).unwrap().count(), 4, "nothing temporary is left");
    }

    #[test]
    fn kinds_may_change_and_links_are_not_followed() {
        let upper = Place::new(&["was-directory", "was-file/x", "was-link/y"]);
        let lower = Place::new(&["was-directory/in/it", "was-file"]);
        let outside = Place::new(&["untouched"]);
        symlink(outside.0.path(), lower.path("was-link")).unwrap();
        run(&upper, lower.0.path());
        assert!(lower.path("was-directory").is_file() && lower.path("was-file/x").is_file());
        assert!(lower.path("was-link").symlink_metadata().unwrap().is_dir());
        assert_eq!(fs::read_dir(outside.0.path()).unwrap().count(), 1);
    }

    #[test]
    fn marks_remove() {
        let upper = Place::new(&["d/keep"]);
        let lower = Place::new(&["gone/with/all", "d/gone", "stays"]);
        if !upper.whiteout("gone") || !upper.whiteout("d/gone") || !upper.whiteout("never-there") {
            return;
        }
        let done = run(&upper, lower.0.path());
        assert_eq!((done.written, done.removed), (1, 2));
        assert!(
            !lower.path("gone").exists() && !lower.path("d/gone").exists() && lower.path("stays").exists()
        );
    }
}
