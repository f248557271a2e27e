//! The entrypoint's output on its way to execd's own.
//!
//! The entrypoint does not write to execd's output itself: it would die with that pipe's reader, and the sandbox
//! with it.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::{
    io::{Interest, unix::AsyncFd},
    task::JoinHandle,
    time::timeout,
};

use super::sink::Sink;

/// Bytes passed on at once.
const STEP_BYTES: usize = 16 * 1024;

/// How long a full output is waited for before what comes is thrown away.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the entrypoint is to write.
pub(super) enum Output {
    /// To execd's own descriptor, which cannot fill up.
    Direct(OwnedFd),
    /// To a pipe that a task empties.
    Forwarded(OwnedFd, JoinHandle<()>),
}

impl Output {
    /// Prepares a way to this descriptor of execd's.
    pub(super) fn to(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let sink = Sink::duplicate(descriptor)?;
        if !sink.may_fill() {
            return Ok(Self::Direct(descriptor.try_clone_to_owned()?));
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&read, true)?;
        // SAFETY: each descriptor is owned by its `AsyncFd` from here on and never replaced.
        let (read, sink) = unsafe {
            (
                AsyncFd::register_with_interest(read, Interest::READABLE)?,
                AsyncFd::register_with_interest(sink, Interest::WRITABLE)?,
            )
        };
        Ok(Self::Forwarded(write, tokio::spawn(forward(read, sink))))
    }

    /// The entrypoint's end.
    pub(super) fn end(&self) -> BorrowedFd<'_> {
        match self {
            Self::Direct(descriptor) | Self::Forwarded(descriptor, _) => descriptor.as_fd(),
        }
    }

    /// Gives the entrypoint's end away and the task, if there is one.
    pub(super) fn into_task(self) -> Option<JoinHandle<()>> {
        match self {
            Self::Direct(_) => None,
            Self::Forwarded(_, task) => Some(task),
        }
    }
}

async fn forward(from: AsyncFd<OwnedFd>, to: AsyncFd<Sink>) {
    let mut patient = true;
    while let Ok(bytes) = from.async_io(Interest::READABLE, read_some).await {
        if bytes.is_empty() {
            return;
        }
        patient = pass_on(&bytes, &to, patient).await;
    }
}

fn read_some(from: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); STEP_BYTES];
    let (bytes, _) = rustix::io::read(from, &mut buffer[..])?;
    Ok(bytes.to_vec())
}

/// Writes all bytes, or throws the rest away when the reader is gone or too slow; says whether it went well.
async fn pass_on(mut bytes: &[u8], to: &AsyncFd<Sink>, patient: bool) -> bool {
    // A reader that was too slow is not waited for again until it has caught up.
    let limit = if patient { PATIENCE } else { Duration::ZERO };
    while !bytes.is_empty() {
        match timeout(limit, to.async_io(Interest::WRITABLE, |sink| sink.write_now(bytes))).await {
            Ok(Ok(count)) => bytes = &bytes[count..],
            Ok(Err(_)) | Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(end: BorrowedFd<'_>) -> usize {
        rustix::io::ioctl_fionbio(end, true).unwrap();
        let mut written = 0;
        while let Ok(count) = rustix::io::write(end, &[b'x'; 4096]) {
            written += count;
        }
        rustix::io::ioctl_fionbio(end, false).unwrap();
        written
    }

    #[tokio::test]
    async fn a_reader_that_stopped_or_left_does_not_stop_the_writer() {
        let (outer_read, outer_write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        fill(outer_write.as_fd());
        let output = Output::to(outer_write.as_fd()).unwrap();
        let write_all = |count: usize| {
            let end = output.end().try_clone_to_owned().unwrap();
            tokio::task::spawn_blocking(move || {
                (0..count).for_each(|_| assert_eq!(rustix::io::write(&end, &[b'y'; 4096]).unwrap(), 4096));
            })
        };
        timeout(Duration::from_secs(10), write_all(100)).await.unwrap().unwrap();
        drop(outer_read);
        timeout(Duration::from_secs(10), write_all(100)).await.unwrap().unwrap();
        let task = output.into_task().unwrap();
        timeout(Duration::from_secs(10), task).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn output_passes_through() {
        let (outer_read, outer_write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let output = Output::to(outer_write.as_fd()).unwrap();
        drop(outer_write);
        rustix::io::write(output.end(), b"hello").unwrap();
        output.into_task().unwrap().await.unwrap();
        let mut all = Vec::new();
        io::Read::read_to_end(&mut std::fs::File::from(outer_read), &mut all).unwrap();
        assert_eq!(all, b"hello");
    }
}
