//! The standard input of a command, when clients write it.

use std::{
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{Mutex, Notify},
    time::timeout,
};

/// A command that takes no byte for this long makes a write fail.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The writing end. Those who write take turns; a full pipe makes them wait.
#[derive(Debug)]
pub(super) struct Input {
    pipe: Mutex<Option<AsyncFd<OwnedFd>>>,
    open: AtomicBool,
    /// The command has ended.
    ended: Notify,
}

/// Why bytes were not written.
#[derive(Debug)]
pub(super) enum WriteFailure {
    /// It was closed, by a client or by the command.
    Closed,
    /// The command does not read.
    Stuck,
}

impl Input {
    /// A pipe's ends: the one to write to and the command's.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&write, true)?;
        // SAFETY: the descriptor is owned by the `AsyncFd` from here on and never replaced.
        let write = unsafe { AsyncFd::register_with_interest(write, Interest::WRITABLE) }?;
        let input = Self { pipe: Mutex::new(Some(write)), open: AtomicBool::new(true), ended: Notify::new() };
        Ok((input, read))
    }

    /// Whether it can be written to, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Writes all of it, waiting while the command does not read.
    pub(super) async fn write(&self, mut bytes: &[u8]) -> Result<(), WriteFailure> {
        let mut pipe = timeout(PATIENCE, self.pipe.lock()).await.map_err(|_| WriteFailure::Stuck)?;
        while !bytes.is_empty() {
            let Some(open) = pipe.as_ref().filter(|_| self.is_open()) else {
                return Err(WriteFailure::Closed);
            };
            let written = tokio::select! {
                written = timeout(PATIENCE, write_some(open, bytes)) => written.map_err(|_| WriteFailure::Stuck)?,
                () = self.ended.notified() => Err(io::ErrorKind::BrokenPipe.into()),
            };
            match written {
                Ok(count) => bytes = &bytes[count..],
                Err(_) => {
                    self.open.store(false, Ordering::Relaxed);
                    *pipe = None;
                }
            }
        }
        Ok(())
    }

    /// Closes it, after those who are writing.
    pub(super) async fn close(&self) -> Result<(), WriteFailure> {
        let mut pipe = timeout(PATIENCE, self.pipe.lock()).await.map_err(|_| WriteFailure::Stuck)?;
        self.open.store(false, Ordering::Relaxed);
        pipe.take().map(drop).ok_or(WriteFailure::Closed)
    }

    /// The command has ended: nobody writes any more.
    pub(super) fn close_soon(&self) {
        self.open.store(false, Ordering::Relaxed);
        match self.pipe.try_lock() {
            Ok(mut pipe) => *pipe = None,
            // The one who is writing lets go.
            Err(_) => self.ended.notify_one(),
        }
    }
}

async fn write_some(pipe: &AsyncFd<OwnedFd>, bytes: &[u8]) -> io::Result<usize> {
    loop {
        let mut ready = pipe.writable().await?;
        let written = ready.try_io(|pipe| rustix::io::write(pipe.get_ref(), bytes).map_err(io::Error::from));
        if let Ok(written) = written {
            return written;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_pipe_makes_the_writer_wait_and_loses_nothing() {
        let (input, read) = Input::new().unwrap();
        let bytes = vec![b'x'; 300_000];
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            io::Read::read_to_end(&mut std::fs::File::from(read), &mut all).unwrap();
            all.len()
        });
        input.write(&bytes).await.unwrap();
        input.close().await.unwrap();
        assert_eq!(reading.await.unwrap(), bytes.len());
        assert!(matches!(input.write(b"more").await, Err(WriteFailure::Closed)));
        assert!(matches!(input.close().await, Err(WriteFailure::Closed)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_read_is_noticed() {
        let (input, read) = Input::new().unwrap();
        assert!(matches!(input.write(&[0; 1 << 20]).await, Err(WriteFailure::Stuck)));
        drop(read);
        assert!(matches!(input.write(b"x").await, Err(WriteFailure::Closed)));
        assert!(!input.is_open());
    }

    #[tokio::test]
    async fn the_command_s_end_frees_the_writer() {
        let (input, _read) = Input::new().unwrap();
        let end = async {
            tokio::task::yield_now().await;
            input.close_soon();
        };
        let (written, ()) = tokio::join!(input.write(&[0; 1 << 20]), end);
        assert!(matches!(written, Err(WriteFailure::Closed)));
    }
}
