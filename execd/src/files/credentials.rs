//! Taking on another identity for the work of one thread.
//!
//! The kernel keeps credentials per thread. What decides about files are the file system user and group, the
//! supplementary groups and the capabilities, so those are set, used and set back, and no other thread notices.

use std::io;
use std::time::Duration;

use rustix::process::getgroups;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use crate::process::Identity;

/// Setting a thread back can fail only for want of memory in the kernel, which passes.
const RESTORE_TRIES: u32 = 100;
const RESTORE_PAUSE: Duration = Duration::from_millis(10);

/// Credentials of a thread as far as they decide about files.
struct Credentials {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    capabilities: CapabilitySets,
}

/// While it lives, its thread works on files as somebody else.
pub(crate) struct Assumed {
    before: Credentials,
}

/// Whether this process may take on any identity.
pub(crate) fn may_assume() -> bool {
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID;
    capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

impl Assumed {
    /// Takes an identity on. All but user 0 lose every capability with it.
    ///
    /// # Errors
    /// When the kernel refuses: the process has no right to, or the identity does not exist in its user namespace.
    pub(crate) fn new(identity: &Identity) -> io::Result<Self> {
        let before = Credentials::now()?;
        let mut capabilities = before.capabilities;
        if identity.uid != 0 {
            capabilities.effective = CapabilitySet::empty();
        }
        let wanted = Credentials {
            uid: identity.uid,
            gid: identity.gid,
            groups: identity.groups.clone(),
            capabilities,
        };
        // Who may not set groups fails here, with nothing changed that only they could undo.
        set_groups(&wanted.groups)?;
        // Made before the rest, so that a failure halfway is undone as well.
        let assumed = Self { before };
        wanted.take_on()?;
        Ok(assumed)
    }
}

impl Drop for Assumed {
    fn drop(&mut self) {
        for _ in 0..RESTORE_TRIES {
            if self.before.take_back().is_ok() {
                return;
            }
            std::thread::sleep(RESTORE_PAUSE);
        }
        // The thread serves others next, and must not do so with these rights.
        tracing::error!("cannot give up an identity that was taken on");
        std::process::abort();
    }
}

impl Credentials {
    fn now() -> io::Result<Self> {
        let groups = getgroups()?.into_iter().map(|gid| gid.as_raw()).collect();
        Ok(Self { uid: file_user(), gid: file_group(), groups, capabilities: capabilities(None)? })
    }

    /// All but the groups, from powerful to weak: the capabilities go last.
    fn take_on(&self) -> io::Result<()> {
        set_file_group(self.gid)?;
        set_file_user(self.uid)?;
        Ok(set_capabilities(None, self.capabilities)?)
    }

    /// From weak to powerful: a thread may always raise what it is permitted, and return to its real user.
    fn take_back(&self) -> io::Result<()> {
        set_capabilities(None, self.capabilities)?;
        set_file_user(self.uid)?;
        // Leaving or becoming user 0 has changed capabilities along the way.
        set_capabilities(None, self.capabilities)?;
        set_file_group(self.gid)?;
        set_groups(&self.groups)
    }
}

/// No identity has this number, so setting it changes nothing and returns the current one.
const NOBODY: u32 = u32::MAX;

fn file_user() -> u32 {
    // SAFETY: plain system call without pointers, for the calling thread alone.
    unsafe { libc::setfsuid(NOBODY) }.cast_unsigned()
}

fn file_group() -> u32 {
    // SAFETY: as above.
    unsafe { libc::setfsgid(NOBODY) }.cast_unsigned()
}

fn set_file_user(uid: u32) -> io::Result<()> {
    // SAFETY: as above. The call reports no failure; looking again does.
    unsafe { libc::setfsuid(uid) };
    if file_user() == uid { Ok(()) } else { Err(rustix::io::Errno::PERM.into()) }
}

fn set_file_group(gid: u32) -> io::Result<()> {
    // SAFETY: as above.
    unsafe { libc::setfsgid(gid) };
    if file_group() == gid { Ok(()) } else { Err(rustix::io::Errno::PERM.into()) }
}

fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the pointer is to as many numbers as are said. The C library's own function would change all threads.
    let done = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    fn identity(uid: u32, gid: u32, groups: &[u32]) -> Identity {
        Identity { uid, gid, groups: groups.to_vec() }
    }

    #[test]
    fn work_is_done_with_the_rights_of_the_identity_and_no_others() {
        if !may_assume() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        std::fs::write(at("secret"), b"s").unwrap();
        std::fs::set_permissions(at("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(at("shared"), b"s").unwrap();
        std::os::unix::fs::chown(at("shared"), None, Some(4243)).unwrap();
        std::fs::set_permissions(at("shared"), std::fs::Permissions::from_mode(0o640)).unwrap();
        let before = Credentials::now().unwrap();

        let assumed = Assumed::new(&identity(4242, 4242, &[4243])).unwrap();
        assert!(std::fs::read(at("secret")).is_err());
        assert_eq!(std::fs::read(at("shared")).unwrap(), b"s");
        assert!(std::os::unix::fs::chown(at("shared"), Some(4242), None).is_err());
        std::fs::write(at("own"), b"").unwrap();
        assert!(capabilities(None).unwrap().effective.is_empty());
        drop(assumed);

        let after = Credentials::now().unwrap();
        assert_eq!((after.uid, after.gid, &after.groups), (before.uid, before.gid, &before.groups));
        assert_eq!(after.capabilities, before.capabilities);
        assert_eq!(std::fs::read(at("secret")).unwrap(), b"s");
        let own = std::fs::metadata(at("own")).unwrap();
        assert_eq!((own.uid(), own.gid()), (4242, 4242));
    }

    #[test]
    fn other_threads_stay_who_they_are() {
        if !may_assume() {
            return;
        }
        let (ask, asked) = std::sync::mpsc::channel::<()>();
        let (answer, answered) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            while asked.recv().is_ok() {
                let now = Credentials::now().unwrap();
                answer.send((now.uid, now.gid, now.groups, now.capabilities)).unwrap();
            }
        });
        let look = || {
            ask.send(()).unwrap();
            answered.recv().unwrap()
        };
        let before = look();
        let assumed = Assumed::new(&identity(4242, 4243, &[1, 2])).unwrap();
        assert_eq!(look(), before);
        let mine = Credentials::now().unwrap();
        assert_eq!((mine.uid, mine.gid, mine.groups.as_slice()), (4242, 4243, [1, 2].as_slice()));
        drop((assumed, ask));
        other.join().unwrap();
    }

    #[test]
    fn user_0_keeps_its_power_with_another_group() {
        if !may_assume() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let assumed = Assumed::new(&identity(0, 4243, &[])).unwrap();
        std::fs::write(dir.path().join("f"), b"").unwrap();
        drop(assumed);
        let found = std::fs::metadata(dir.path().join("f")).unwrap();
        assert_eq!((found.uid(), found.gid()), (0, 4243));
    }
}
