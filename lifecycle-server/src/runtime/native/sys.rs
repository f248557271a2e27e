//! System calls that neither the standard library nor `rustix` offers.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

const MOUNT_ATTR_RDONLY: u64 = 0x1;
const MOUNT_ATTR_NOSUID: u64 = 0x2;
const MOUNT_ATTR_NODEV: u64 = 0x4;
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;

const PIDFD_GET_INFO: libc::c_ulong = 0xc040_ff0b;
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// `struct mount_attr`.
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// `struct pidfd_info`, version 1 (64 bytes).
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup_id: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// Turns the result of a raw system call into a `Result`.
pub(crate) fn check(result: libc::c_long) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

fn mount_setattr(mount: BorrowedFd<'_>, attributes: &MountAttr) -> io::Result<()> {
    let size = size_of::<MountAttr>();
    // SAFETY: the path is a constant C string and `attributes` is a live `mount_attr` of the size stated.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            attributes,
            size,
        )
    };
    check(result).map(drop)
}

/// A detached private copy of the mount at `path` (relative to `dir`).
pub(crate) fn clone_tree(dir: impl AsFd, path: &CStr) -> io::Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(dir, path, flags)?)
}

/// A detached copy of the mount at `path` with everything mounted below it.
pub(crate) fn clone_subtree(dir: impl AsFd, path: &CStr) -> io::Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(dir, path, flags)?)
}

/// A detached copy of the directory `path` whose ids are shifted as the user namespace says.
pub(crate) fn clone_tree_idmapped(
    dir: impl AsFd,
    path: &CStr,
    userns: BorrowedFd<'_>,
) -> io::Result<OwnedFd> {
    let tree = clone_tree(dir, path)?;
    let attributes = MountAttr {
        attr_set: MOUNT_ATTR_IDMAP,
        userns_fd: userns.as_raw_fd() as u64,
        ..MountAttr::default()
    };
    mount_setattr(tree.as_fd(), &attributes)?;
    Ok(tree)
}

/// A detached, read-only copy of a file of the host.
pub(crate) fn clone_read_only(file: impl AsFd) -> io::Result<OwnedFd> {
    let tree = clone_tree(file, c"")?;
    let attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    mount_setattr(tree.as_fd(), &MountAttr { attr_set, ..MountAttr::default() })?;
    Ok(tree)
}

/// Attaches a detached mount at `path` below `dir`, which may itself be detached on kernels since 6.15.
pub(crate) fn attach(mount: impl AsFd, dir: impl AsFd, path: &CStr) -> io::Result<()> {
    Ok(move_mount(mount, c"", dir, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Attaches a detached mount over an open file or directory.
pub(crate) fn attach_over(mount: impl AsFd, target: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, c"", target, c"", flags)?)
}

/// A detached copy of an open file or directory of the host, its ids shifted as the user namespace says, if there is one.
pub(crate) fn clone_volume(
    source: impl AsFd,
    userns: Option<BorrowedFd<'_>>,
    read_only: bool,
) -> io::Result<OwnedFd> {
    let tree = clone_tree(source, c"")?;
    let read_only = if read_only { MOUNT_ATTR_RDONLY } else { 0 };
    let attributes = MountAttr {
        attr_set: userns.map_or(0, |_| MOUNT_ATTR_IDMAP) | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | read_only,
        userns_fd: userns.map_or(0, |userns| userns.as_raw_fd() as u64),
        ..MountAttr::default()
    };
    mount_setattr(tree.as_fd(), &attributes)?;
    Ok(tree)
}

/// A file system being configured; on failure the kernel's own explanation is part of the error.
pub(crate) struct FsContext(OwnedFd);

impl FsContext {
    pub(crate) fn new(kind: &CStr) -> io::Result<Self> {
        Ok(Self(fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?))
    }

    pub(crate) fn string(&self, key: &CStr, value: &CStr) -> io::Result<&Self> {
        fsconfig_set_string(&self.0, key, value).map_err(|error| self.explain(error))?;
        Ok(self)
    }

    pub(crate) fn flag(&self, key: &CStr) -> io::Result<&Self> {
        fsconfig_set_flag(&self.0, key).map_err(|error| self.explain(error))?;
        Ok(self)
    }

    pub(crate) fn fd(&self, key: &CStr, value: impl AsFd) -> io::Result<&Self> {
        fsconfig_set_fd(&self.0, key, value).map_err(|error| self.explain(error))?;
        Ok(self)
    }

    /// Creates the file system and returns it as a detached mount.
    pub(crate) fn mount(&self) -> io::Result<OwnedFd> {
        fsconfig_create(&self.0).map_err(|error| self.explain(error))?;
        Ok(fsmount(&self.0, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
    }

    fn explain(&self, error: rustix::io::Errno) -> io::Error {
        let mut message = [0u8; 512];
        match rustix::io::read(&self.0, &mut message) {
            Ok(length) if length > 0 => {
                let text = String::from_utf8_lossy(&message[..length]).trim().to_owned();
                io::Error::new(io::Error::from(error).kind(), format!("{} ({text})", io::Error::from(error)))
            }
            _ => error.into(),
        }
    }
}

/// Exit status of a process that is gone and reaped, in `waitpid` form; `None` while the kernel does not say.
pub(crate) fn pidfd_exit_status(pidfd: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: `info` is a writable `pidfd_info` of the size encoded in the request.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    check(libc::c_long::from(result))?;
    Ok((info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code))
}

/// Gives the calling thread new namespaces of its own.
pub(crate) fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: `unshare` takes one integer; callers run it on threads of their own, so shared state is unaffected.
    check(libc::c_long::from(unsafe { libc::unshare(flags) })).map(drop)
}

/// `clone3` in its fork-like form: the child goes on from here with a copy of everything.
///
/// # Safety
/// The process must have one thread only. In the child nothing may allocate or unwind.
pub(crate) unsafe fn clone3(arguments: &mut libc::clone_args) -> io::Result<i32> {
    let size = size_of::<libc::clone_args>();
    // SAFETY: the structure is live, zero in its unused members, and its size is passed; the rest is the caller's.
    check(unsafe { libc::syscall(libc::SYS_clone3, std::ptr::from_mut(arguments), size) })
}

/// Takes ownership of a descriptor number the kernel just handed out.
///
/// # Safety
/// `fd` must be open and owned by nobody else.
pub(crate) unsafe fn own(fd: i32) -> OwnedFd {
    // SAFETY: the caller's promise.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Raises the soft limit on open files to the hard one: a thousand sandboxes need a few thousand.
pub(crate) fn raise_open_files() -> u64 {
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, limit);
    limit.maximum.unwrap_or(u64::MAX)
}
