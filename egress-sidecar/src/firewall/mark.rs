//! The mark by which the sidecar's own packets are told from everybody else's.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use super::OWN_MARK;

/// Marks a socket as the sidecar's own. Before it connects: its first packet is judged too.
pub fn mark(socket: impl AsFd) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let length = size_of_val(&OWN_MARK) as libc::socklen_t;
    // SAFETY: the option is a number of that length, which outlives the call.
    let done = unsafe {
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_MARK, (&raw const OWN_MARK).cast(), length)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
