//! The pipes of a foreground command, read on demand.

use std::{
    io,
    os::fd::OwnedFd,
    task::{Context, Poll},
};

use sandkeep_specs::execd::event::EventKind;
use tokio::io::{Interest, unix::AsyncFd};

use super::{drain, lines::LineBuffer, window::Window};
use crate::stream::{TextEncoder, now_millis};

/// Bytes taken at once when nobody is there to get them.
const UNWATCHED_BYTES: usize = 256 * 1024;

/// The reading end of a command's output.
#[derive(Debug)]
pub(super) struct Pipe(AsyncFd<OwnedFd>);

impl Pipe {
    pub(super) fn new(end: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&end, true)?;
        // SAFETY: the descriptor is owned by the `AsyncFd` from here on and never replaced.
        let pipe = unsafe { AsyncFd::register_with_interest(end, Interest::READABLE) }?;
        Ok(Self(pipe))
    }

    /// Appends what is there to `buffer`; 0 at the end.
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        loop {
            let Poll::Ready(ready) = self.0.poll_read_ready(cx) else { return Poll::Pending };
            let read = ready?.try_io(|pipe| {
                let read = rustix::io::read(pipe.get_ref(), rustix::buffer::spare_capacity(buffer));
                read.map_err(io::Error::from)
            });
            if let Ok(result) = read {
                return Poll::Ready(result);
            }
        }
    }
}

/// One of the two output streams.
#[derive(Debug)]
pub(super) struct Output {
    kind: EventKind,
    /// `None` once it has ended.
    pipe: Option<Pipe>,
    lines: LineBuffer,
    /// Bytes still to be read when the pipe is not read to its end.
    remaining: Option<usize>,
}

impl Output {
    pub(super) fn new(kind: EventKind, pipe: Pipe) -> Self {
        Self { kind, pipe: Some(pipe), lines: LineBuffer::default(), remaining: None }
    }

    /// Writes events to `out` up to `limit`, reading as needed; `window` gets what they say.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        window: &mut Window,
        out: &mut Vec<u8>,
        limit: usize,
    ) {
        let mut encoder = None;
        loop {
            if self.lines.sendable() {
                let encoder = encoder.get_or_insert_with(|| TextEncoder::new(self.kind, now_millis()));
                window.append(self.kind, self.lines.write_events(encoder, out, limit));
            }
            if out.len() >= limit || !self.read(cx) {
                return;
            }
        }
    }

    /// Moves what is there to `window` alone, a bounded amount of it.
    pub(super) fn poll_unwatched(&mut self, cx: &mut Context<'_>, window: &mut Window) {
        let mut taken = 0;
        loop {
            let text = self.lines.take_sendable();
            taken += text.len();
            if !text.is_empty() {
                window.append(self.kind, text);
            }
            if taken >= UNWATCHED_BYTES {
                cx.waker().wake_by_ref();
                return;
            }
            if !self.read(cx) {
                self.lines.shrink();
                return;
            }
        }
    }

    /// Reads once; false when there is nothing to be read now or ever.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        match pipe.poll_read(cx, self.lines.room()) {
            Poll::Pending => return false,
            Poll::Ready(Ok(count)) if count > 0 => {
                self.lines.added(count);
                self.count_down(count);
            }
            Poll::Ready(_) => self.end(),
        }
        true
    }

    fn count_down(&mut self, count: usize) {
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(count);
            if *remaining == 0 {
                self.end();
            }
        }
    }

    /// Whether it is to be read no further than some point.
    pub(super) fn is_limited(&self) -> bool {
        self.remaining.is_some()
    }

    /// Reads no further than what is in the pipe now.
    pub(super) fn stop_at_what_is_there(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        match rustix::io::ioctl_fionread(pipe.0.get_ref()) {
            Ok(count @ 1..) => self.remaining = Some(usize::try_from(count).unwrap_or(usize::MAX)),
            _ => self.end(),
        }
    }

    /// No more will be read. Writers that are left can go on writing.
    pub(super) fn end(&mut self) {
        if let (Some(Pipe(pipe)), Ok(runtime)) = (self.pipe.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(drain::discard(pipe));
        }
        self.lines.release_all();
    }

    pub(super) fn is_over(&self) -> bool {
        self.pipe.is_none() && !self.lines.sendable()
    }

    /// Whether an unfinished line waits for its end.
    pub(super) fn holds_back(&self) -> bool {
        self.lines.holds_back()
    }

    /// Lets an unfinished line go; whether there is something to send now.
    pub(super) fn release(&mut self) -> bool {
        self.lines.release_whole_characters();
        self.lines.sendable()
    }
}
