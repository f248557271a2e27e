//! Input of processes that get none.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::OnceLock,
};

/// A descriptor that reads as empty: `/dev/null`, or a pipe nobody writes to where the image has none.
pub fn null_input() -> io::Result<BorrowedFd<'static>> {
    static INPUT: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(input) = INPUT.get() {
        return Ok(input.as_fd());
    }
    let opened = match File::open("/dev/null") {
        Ok(file) => file.into(),
        Err(_) => rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?.0,
    };
    Ok(INPUT.get_or_init(|| opened).as_fd())
}
