//! What an interpreter and its children write to one descriptor.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::pipe::{PipeFlags, pipe_with};
use sandkeep_specs::execd::event::EventKind;
use tokio::net::unix::pipe::Receiver;
use tokio::time::Instant;

/// Bytes read at once, and about the most that one event carries: a slow client has a queue of events.
const READ: usize = 16 * 1024;

/// How long an unfinished line waits for its end: `print` writes text and line end separately.
const LINE_WAIT: Duration = Duration::from_millis(5);

/// Output kept while nobody runs code, in bytes; the newest counts.
const KEPT_IDLE: usize = 64 * 1024;

/// The reading end of a pipe, and what has been read but not passed on.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) kind: EventKind,
    /// `None` once every writer has closed it.
    pipe: Option<Receiver>,
    pending: Vec<u8>,
    /// When an unfinished line is passed on all the same.
    due: Option<Instant>,
}

impl Output {
    /// A pipe for events of this kind, and its writing end.
    pub(crate) fn new(kind: EventKind) -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let pipe = Some(Receiver::from_owned_fd(reader)?);
        Ok((Self { kind, pipe, pending: Vec::new(), due: None }, writer))
    }

    /// Waits until there is something to read, and reads it. Waits for ever once the pipe is closed.
    pub(crate) async fn fill(&mut self) {
        let Some(pipe) = &self.pipe else { return std::future::pending().await };
        while pipe.readable().await.is_ok() {
            self.pending.reserve(READ);
            match pipe.try_read_buf(&mut self.pending) {
                Ok(1..) => {
                    self.due.get_or_insert_with(|| Instant::now() + LINE_WAIT);
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => break,
            }
        }
        self.pipe = None;
    }

    /// Reads what is there now, without waiting; false when there was nothing.
    pub(crate) fn fill_now(&mut self) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        self.pending.reserve(READ);
        // Past the runtime, which may not have noticed yet that there is something.
        matches!(rustix::io::read(pipe, spare_capacity(&mut self.pending)), Ok(1..))
    }

    /// When an unfinished line is to be passed on.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What can be passed on: whole lines, or everything when `all` is set or it has waited long enough. Only a
    /// character of which some bytes are missing is kept back.
    pub(crate) fn take(&mut self, all: bool) -> Option<String> {
        let all = all || self.pending.len() >= READ || self.due.is_some_and(|due| due <= Instant::now());
        let end = if all {
            self.pending.len() - unfinished_character(&self.pending)
        } else {
            memchr::memrchr(b'\n', &self.pending).map_or(0, |at| at + 1)
        };
        if end == 0 {
            if all {
                self.due = None;
            }
            return None;
        }
        let text = lossy(&self.pending[..end]);
        self.pending.drain(..end);
        self.due = (!self.pending.is_empty()).then(|| Instant::now() + LINE_WAIT);
        Some(text)
    }

    /// Everything, half a character included: nothing more will come.
    pub(crate) fn take_rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| lossy(&rest))
    }

    /// Forgets all but the newest output, for the time in which nobody listens.
    pub(crate) fn trim(&mut self) {
        let surplus = self.pending.len().saturating_sub(KEPT_IDLE);
        self.pending.drain(..surplus);
        self.due = None;
    }
}

/// How many bytes at the end are the beginning of a character.
fn unfinished_character(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    let Some(start) = tail.iter().rposition(|b| *b >= 0xc0) else { return 0 };
    let unfinished = &tail[start..];
    let incomplete = matches!(std::str::from_utf8(unfinished), Err(error) if error.error_len().is_none());
    if incomplete { unfinished.len() } else { 0 }
}

/// The text, each byte that is not UTF-8 replaced by U+FFFD.
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[tokio::test]
    async fn lines_go_at_once_and_the_rest_after_a_moment() {
        let (mut output, writer) = Output::new(EventKind::Stdout).unwrap();
        rustix::io::write(&writer, b"one\ntwo").unwrap();
        output.fill().await;
        assert_eq!(output.take(false).as_deref(), Some("one\n"));
        assert_eq!(output.take(false), None);
        tokio::time::sleep_until(output.due().unwrap()).await;
        assert_eq!(output.take(false).as_deref(), Some("two"));
        assert!(!output.fill_now());
        drop(writer);
        tokio::time::timeout(LINE_WAIT, output.fill()).await.unwrap();
        assert!(tokio::time::timeout(LINE_WAIT, output.fill()).await.is_err());
    }

    #[tokio::test]
    async fn characters_are_not_cut() {
        let (mut output, writer) = Output::new(EventKind::Stdout).unwrap();
        let text = "a\u{1F600}".as_bytes();
        rustix::io::write(&writer, &text[..3]).unwrap();
        assert!(output.fill_now());
        assert_eq!(output.take(true).as_deref(), Some("a"));
        assert_eq!(output.take(true), None);
        rustix::io::write(&writer, &text[3..]).unwrap();
        output.fill_now();
        assert_eq!(output.take(true).as_deref(), Some("\u{1F600}"));
        rustix::io::write(&writer, b"\xff\xf0\x9f").unwrap();
        output.fill_now();
        assert_eq!(output.take(true).as_deref(), Some("\u{FFFD}"));
        assert_eq!(output.take_rest().as_deref(), Some("\u{FFFD}\u{FFFD}"));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_text_back(text in "\\PC{0,20}", cut in 0usize..60) {
            let bytes = text.as_bytes();
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let kept = unfinished_character(first);
            let (now, later) = first.split_at(first.len() - kept);
            prop_assert_eq!(lossy(now) + &lossy(&[later, second].concat()), text);
        }
    }
}
