//! The response body of a foreground command: reads the command's pipes when the connection asks for more.
//!
//! Nothing is read ahead of the client, so a client that does not read stops the command's writes, not this daemon.

use std::{
    convert::Infallible,
    future::Future,
    io,
    os::fd::OwnedFd,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use sandkeep_specs::execd::event::{EventKind, ServerStreamEvent};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::oneshot,
    time::{Instant, Interval, MissedTickBehavior, Sleep, interval_at, sleep},
};

use super::{
    drain,
    lines::LineBuffer,
    record::{End, Outcome},
    run::terminal_event,
};
use crate::stream::{FRAME_BYTES, PING_INTERVAL, TextEncoder, now_millis, push_event};

/// After a command's end its pipes are read for this long while another process holds them open.
const PIPE_GRACE: Duration = Duration::from_millis(100);

/// An unfinished line is sent when nothing more of it has come for this long. Clients take the seam between two
/// texts for a line's end, hence it is not shorter.
pub(crate) const FLUSH_AFTER: Duration = Duration::from_secs(1);

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
struct Output {
    kind: EventKind,
    /// `None` once it has ended.
    pipe: Option<Pipe>,
    lines: LineBuffer,
    /// Bytes still to be read when the pipe is not read to its end.
    remaining: Option<usize>,
}

impl Output {
    fn new(kind: EventKind, pipe: Pipe) -> Self {
        Self { kind, pipe: Some(pipe), lines: LineBuffer::default(), remaining: None }
    }

    /// Writes events to `out` up to `limit`, reading as needed.
    fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>, limit: usize) {
        let mut encoder = None;
        loop {
            if self.lines.sendable() {
                let encoder = encoder.get_or_insert_with(|| TextEncoder::new(self.kind, now_millis()));
                self.lines.write_events(encoder, out, limit);
            }
            if out.len() >= limit {
                return;
            }
            let Some(pipe) = &self.pipe else { return };
            match pipe.poll_read(cx, self.lines.room()) {
                Poll::Pending => return,
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.lines.added(count);
                    self.count_down(count);
                }
                Poll::Ready(_) => self.end(),
            }
        }
    }

    fn count_down(&mut self, count: usize) {
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(count);
            if *remaining == 0 {
                self.end();
            }
        }
    }

    /// Reads no further than what is in the pipe now.
    fn stop_at_what_is_there(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        match rustix::io::ioctl_fionread(pipe.0.get_ref()) {
            Ok(count @ 1..) => self.remaining = Some(usize::try_from(count).unwrap_or(usize::MAX)),
            _ => self.end(),
        }
    }

    /// No more will be read. Writers that are left can go on writing.
    fn end(&mut self) {
        if let (Some(Pipe(pipe)), Ok(runtime)) = (self.pipe.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(drain::discard(pipe));
        }
        self.lines.release_all();
    }

    fn is_over(&self) -> bool {
        self.pipe.is_none() && !self.lines.sendable()
    }
}

/// Events of a running command.
#[derive(Debug)]
pub struct CommandBody {
    head: Option<Vec<u8>>,
    outputs: [Output; 2],
    report: Option<oneshot::Receiver<Outcome>>,
    outcome: Option<Outcome>,
    /// Runs from the command's end on.
    grace: Option<Pin<Box<Sleep>>>,
    /// Runs while an unfinished line is held back.
    flush: Option<Pin<Box<Sleep>>>,
    pings: Option<Interval>,
    over: bool,
}

impl CommandBody {
    pub(super) fn new(head: Vec<u8>, stdout: Pipe, stderr: Pipe, report: oneshot::Receiver<Outcome>) -> Self {
        Self {
            head: Some(head),
            outputs: [Output::new(EventKind::Stdout, stdout), Output::new(EventKind::Stderr, stderr)],
            report: Some(report),
            outcome: None,
            grace: None,
            flush: None,
            pings: None,
            over: false,
        }
    }

    /// What can be sent now; empty when nothing is there.
    fn gather(&mut self, cx: &mut Context<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        // Each stream has its own share of a frame, so that neither starves the other.
        for output in &mut self.outputs {
            let limit = out.len() + FRAME_BYTES;
            output.poll(cx, &mut out, limit);
        }
        self.poll_report(cx);
        if self.outcome.is_some()
            && self.poll_end_of_output(cx, out.is_empty())
            && let Some(outcome) = self.outcome.take()
        {
            push_event(&mut out, &terminal_event(&outcome));
            self.over = true;
        }
        out
    }

    fn poll_report(&mut self, cx: &mut Context<'_>) {
        if let Some(report) = &mut self.report
            && let Poll::Ready(outcome) = Pin::new(report).poll(cx)
        {
            self.report = None;
            let unseen = || Outcome { end: End::Unseen, at: chrono::Utc::now(), took: 0 };
            self.outcome = Some(outcome.unwrap_or_else(|_| unseen()));
        }
    }

    /// After the command's end: whether all its output is sent. Pipes that others hold open are given up in time.
    fn poll_end_of_output(&mut self, cx: &mut Context<'_>, idle: bool) -> bool {
        if self.outputs.iter().all(Output::is_over) {
            return true;
        }
        let grace = self.grace.get_or_insert_with(|| Box::pin(sleep(PIPE_GRACE)));
        // What is in the pipes by then is still sent, however slowly the client reads.
        if grace.as_mut().poll(cx).is_ready() && self.outputs.iter().all(|output| output.remaining.is_none())
        {
            self.outputs.iter_mut().for_each(Output::stop_at_what_is_there);
            if idle {
                cx.waker().wake_by_ref();
            }
        }
        false
    }

    /// Lets an unfinished line go when it has waited long enough.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.outputs.iter().any(|output| output.lines.holds_back()) {
            self.flush = None;
            return false;
        }
        let flush = self.flush.get_or_insert_with(|| Box::pin(sleep(FLUSH_AFTER)));
        if flush.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.flush = None;
        self.outputs.iter_mut().for_each(|output| output.lines.release_whole_characters());
        self.outputs.iter().any(|output| output.lines.sendable())
    }

    fn poll_ping(&mut self, cx: &mut Context<'_>) -> Option<Vec<u8>> {
        let pings = self.pings.get_or_insert_with(|| {
            let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
            pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pings
        });
        pings.poll_tick(cx).is_ready().then(|| {
            let mut out = Vec::new();
            push_event(&mut out, &ServerStreamEvent::new(EventKind::Ping, now_millis()).with_text("pong"));
            out
        })
    }
}

impl Body for CommandBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let frame = |out: Vec<u8>| Poll::Ready(Some(Ok(Frame::data(Bytes::from(out)))));
        if let Some(head) = this.head.take() {
            return frame(head);
        }
        if this.over {
            return Poll::Ready(None);
        }
        loop {
            let out = this.gather(cx);
            if !out.is_empty() {
                return frame(out);
            }
            if !this.poll_flush(cx) {
                break;
            }
        }
        match this.poll_ping(cx) {
            Some(out) => frame(out),
            None => Poll::Pending,
        }
    }
}

impl Drop for CommandBody {
    fn drop(&mut self) {
        // The client has gone; the command goes on.
        self.outputs.iter_mut().for_each(Output::end);
    }
}
