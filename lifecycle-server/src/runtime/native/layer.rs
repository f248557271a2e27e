//! A way into the private layer of a sandbox, for copying what it holds.

use std::{
    ffi::CString,
    fs, io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{disk, rootfs, sys};
use crate::runtime::PrivateLayer;

/// Opens what overlayfs writes to. Ids are as the sandbox has them; what the host's root made has its own beyond those.
pub(crate) fn open(directory: &Path) -> io::Result<PrivateLayer> {
    let store = match disk::reopen(directory)? {
        Some(store) => store,
        None => sys::clone_tree(CWD, &CString::new(directory.as_os_str().as_bytes())?)?,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let upper: OwnedFd = openat(&store, c"upper", flags, Mode::empty())?;
    Ok(PrivateLayer { upper, skip: &rootfs::PLATFORM_PATHS })
}

/// The loop device that has `image` as its file, if one does.
pub(crate) fn loop_device_of(image: &Path) -> io::Result<Option<CString>> {
    for entry in fs::read_dir("/sys/block")? {
        let entry = entry?;
        // Only devices in use have this file.
        let Ok(backing) = fs::read(entry.path().join("loop/backing_file")) else { continue };
        if backing.strip_suffix(b"\n").unwrap_or(&backing) == image.as_os_str().as_bytes() {
            let device = Path::new("/dev").join(entry.file_name());
            return Ok(Some(CString::new(device.as_os_str().as_bytes())?));
        }
    }
    Ok(None)
}
