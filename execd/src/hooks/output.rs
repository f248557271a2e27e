//! The last of what a hook wrote.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::{io::AsyncReadExt, net::unix::pipe, task::JoinHandle, time::timeout};

/// Bytes kept.
const KEPT: usize = 4 * 1024;

/// Bytes read at once.
const STEP: usize = 4 * 1024;

/// Time for the last output to arrive once the hook has ended.
const GRACE: Duration = Duration::from_millis(100);

/// Reads what hooks write, for as long as anything they started may still write.
pub(super) struct Output {
    tail: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Output {
    /// An output and the end to write to.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        let read = pipe::Receiver::from_owned_fd(read)?;
        let tail = Arc::default();
        let reader = tokio::spawn(follow(read, Arc::clone(&tail)));
        Ok((Self { tail, reader }, write))
    }

    /// The end of what was written, for a person.
    pub(super) async fn text(mut self) -> String {
        // What the hook left behind in the background may hold the pipe open: it goes on being read, not waited for.
        let _ = timeout(GRACE, &mut self.reader).await;
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&tail).trim().to_owned()
    }
}

async fn follow(mut from: pipe::Receiver, tail: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; STEP];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&buffer[..count]);
        let excess = tail.len().saturating_sub(KEPT);
        tail.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn only_the_last_is_kept() {
        let (output, write) = Output::new().unwrap();
        tokio::task::spawn_blocking(move || {
            let mut write = std::fs::File::from(write);
            write.write_all(&vec![b'x'; 100_000]).unwrap();
            write.write_all(b"the end\n").unwrap();
        })
        .await
        .unwrap();
        let text = output.text().await;
        assert!(text.len() < KEPT && text.ends_with("xthe end"), "{}", text.len());
    }
}
