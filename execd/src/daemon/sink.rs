//! Writing to a descriptor that others share, without ever being stopped by it.

use std::{
    fs::File,
    io::{self, IoSlice},
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, fstat},
    io::ReadWriteFlags,
};

/// What a pipe that polls as writable takes without blocking.
const PIPE_STEP: usize = 4096;

/// An output whose reader may be slow or gone.
#[derive(Debug)]
pub(super) struct Sink {
    descriptor: OwnedFd,
    /// A pipe or socket, which may be full; files and terminals are simply written to.
    may_fill: bool,
}

impl Sink {
    /// A sink for another handle of this descriptor.
    pub(super) fn duplicate(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self::new(descriptor.try_clone_to_owned()?))
    }

    /// A sink for this file.
    pub(super) fn new(descriptor: OwnedFd) -> Self {
        let may_fill = fstat(&descriptor).is_ok_and(|found| {
            matches!(FileType::from_raw_mode(found.st_mode), FileType::Fifo | FileType::Socket)
        });
        Self { descriptor, may_fill }
    }

    /// Whether it can be full.
    pub(super) fn may_fill(&self) -> bool {
        self.may_fill
    }

    /// Writes what fits now; `WouldBlock` when that is nothing.
    pub(super) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        if !self.may_fill {
            return Ok(rustix::io::write(&self.descriptor, bytes)?);
        }
        // The descriptor must not be set non-blocking: others that share it would suffer. The flag is per call.
        let at_current = u64::MAX;
        match rustix::io::pwritev2(
            &self.descriptor,
            &[IoSlice::new(bytes)],
            at_current,
            ReadWriteFlags::NOWAIT,
        ) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::SPIPE | rustix::io::Errno::NOSYS) => {
                self.write_polled(bytes)
            }
            written => Ok(written?),
        }
    }

    /// For kernels without non-blocking calls on pipes.
    fn write_polled(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut wanted = [PollFd::new(&self.descriptor, PollFlags::OUT)];
        poll(&mut wanted, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        if !wanted[0].revents().contains(PollFlags::OUT) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(rustix::io::write(&self.descriptor, &bytes[..bytes.len().min(PIPE_STEP)])?)
    }
}

impl AsRawFd for Sink {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

impl From<File> for Sink {
    fn from(file: File) -> Self {
        Self::new(file.into())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_full_pipe_does_not_stop_the_writer() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let sink = Sink::duplicate(write.as_fd()).unwrap();
        assert!(sink.may_fill());
        let mut written = 0;
        let error = loop {
            match sink.write_now(&[b'x'; 10_000]) {
                Ok(count) => written += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(written >= 4096);
        assert!(!rustix::fs::fcntl_getfl(&write).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
        assert_eq!(sink.write_polled(b"x").unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(read);
        assert_eq!(sink.write_now(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn files_are_written_to() {
        let file = tempfile::tempfile().unwrap();
        let sink = Sink::from(file);
        assert!(!sink.may_fill());
        assert_eq!(sink.write_now(b"abc").unwrap(), 3);
    }
}
