//! One output stream of a session's shell.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use sandkeep_specs::execd::event::EventKind;
use tokio::{io::AsyncReadExt, net::unix::pipe::Receiver};

use crate::{
    command::lines::{LineBuffer, READ_BYTES},
    stream::{FRAME_BYTES, TextEncoder, now_millis},
};

/// Of what is written while nothing runs the last bytes are kept for the next run, about this many.
const KEPT_BYTES: usize = 64 * 1024;

/// A pipe that outlives runs and shells, so that jobs in the background can go on writing, and the text of the
/// present run.
#[derive(Debug)]
pub(super) struct Output {
    kind: EventKind,
    read: Receiver,
    write: OwnedFd,
    pub(super) lines: LineBuffer,
    /// Written between runs.
    kept: Vec<u8>,
}

impl Output {
    /// A new pipe.
    pub(super) fn new(kind: EventKind) -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let read = Receiver::from_owned_fd(read)?;
        Ok(Self { kind, read, write, lines: LineBuffer::default(), kept: Vec::new() })
    }

    /// The end for shells.
    pub(super) fn writer(&self) -> BorrowedFd<'_> {
        self.write.as_fd()
    }

    /// Reads what is next of the present run. May be cancelled without loss.
    pub(super) async fn fill(&mut self) {
        let count = read(&mut self.read, self.lines.room()).await;
        self.lines.added(count);
    }

    /// Reads on while nothing runs. Never returns.
    pub(super) async fn keep(&mut self) {
        loop {
            self.kept.reserve(READ_BYTES);
            read(&mut self.read, &mut self.kept).await;
            if self.kept.len() > 2 * KEPT_BYTES {
                self.kept.drain(..self.kept.len() - KEPT_BYTES);
            }
        }
    }

    /// Makes what came between runs part of the run that begins.
    pub(super) fn begin(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        self.lines.room().extend_from_slice(&kept);
        self.lines.added(kept.len());
    }

    /// Reads what is in the pipe now, no more than that: the run is over.
    pub(super) fn finish(&mut self) {
        let mut left =
            rustix::io::ioctl_fionread(&self.read).map_or(0, |count| usize::try_from(count).unwrap_or(0));
        while left > 0 {
            let room = self.lines.room();
            let old = room.len();
            room.resize(old + left.min(READ_BYTES), 0);
            // Not through the runtime, which may not have heard yet that there is something.
            let count = rustix::io::read(&self.read, &mut room[old..]).unwrap_or(0);
            room.truncate(old + count);
            self.lines.added(count);
            left = if count == 0 { 0 } else { left - count };
        }
        self.lines.release_all();
    }

    /// Forgets what is read and not sent.
    pub(super) fn clear(&mut self) {
        self.lines = LineBuffer::default();
    }

    /// Appends events of what can be sent, about a frame's worth.
    pub(super) fn write_events(&mut self, out: &mut Vec<u8>) {
        let limit = out.len() + FRAME_BYTES;
        self.lines.write_events(&TextEncoder::new(self.kind, now_millis()), out, limit);
    }
}

async fn read(pipe: &mut Receiver, buffer: &mut Vec<u8>) -> usize {
    match pipe.read_buf(buffer).await {
        Ok(count) if count > 0 => count,
        // As a writing end is held here this cannot be; if it is, there is nothing more to come.
        _ => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write};

    use super::*;

    fn texts(output: &mut Output) -> String {
        let mut out = Vec::new();
        while output.lines.sendable() {
            output.write_events(&mut out);
        }
        let out = String::from_utf8(out).unwrap();
        let events = out.split("\n\n").filter(|event| !event.is_empty());
        events
            .map(|event| {
                serde_json::from_str::<serde_json::Value>(&event["data: ".len()..]).unwrap()["text"]
                    .to_string()
            })
            .collect()
    }

    #[tokio::test]
    async fn the_end_of_a_run_takes_everything_written_before_it() {
        let mut output = Output::new(EventKind::Stdout).unwrap();
        let mut write = File::from(output.writer().try_clone_to_owned().unwrap());
        write.write_all(&b"0123456\n".repeat(7000)).unwrap();
        write.write_all(b"tail").unwrap();
        output.finish();
        let text = texts(&mut output);
        assert_eq!(text.matches("0123456").count(), 7000);
        assert!(text.ends_with("\"tail\""));
        output.finish();
        assert_eq!(texts(&mut output), "");
    }

    #[tokio::test]
    async fn between_runs_only_the_last_part_is_kept() {
        let mut output = Output::new(EventKind::Stderr).unwrap();
        let mut write = File::from(output.writer().try_clone_to_owned().unwrap());
        let writer = std::thread::spawn(move || write.write_all(&b"line\n".repeat(200_000)).unwrap());
        let _ = tokio::time::timeout(std::time::Duration::from_millis(300), output.keep()).await;
        writer.join().unwrap();
        assert!(output.kept.len() >= KEPT_BYTES && output.kept.capacity() <= 8 * KEPT_BYTES);
        output.begin();
        assert!(texts(&mut output).ends_with("\"line\\n\""));
    }
}
