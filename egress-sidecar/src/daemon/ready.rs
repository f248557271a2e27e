//! Telling the starter that everything is in force.

use std::{
    fs::File,
    io::Write,
    os::fd::{FromRawFd, OwnedFd},
};

/// Writes one byte to the descriptor the starter passed for that, and closes it.
pub(super) fn tell(fd: Option<u16>) {
    let Some(fd) = fd else { return };
    // SAFETY: the starter names a descriptor it made for this process alone; nothing else here knows it.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(i32::from(fd)) });
    if let Err(error) = file.write_all(b"R") {
        tracing::warn!(%error, fd, "cannot tell the starter that everything is ready");
    }
}
