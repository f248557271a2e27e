//! A way into the private layer of a sandbox, for copying what it holds.

use std::{
    ffi::CString,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{disk::Disks, rootfs, sys};
use crate::runtime::PrivateLayer;

/// Opens what overlayfs writes to. Ids are as the sandbox has them; what the host's root made has its own beyond those.
pub(crate) fn open(disks: &Disks, directory: &Path) -> io::Result<PrivateLayer> {
    let store = match disks.share(directory)? {
        Some(store) => store,
        None => sys::clone_tree(CWD, &CString::new(directory.as_os_str().as_bytes())?)?,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let upper: OwnedFd = openat(&store, c"upper", flags, Mode::empty())?;
    Ok(PrivateLayer { upper, skip: &rootfs::PLATFORM_PATHS })
}
