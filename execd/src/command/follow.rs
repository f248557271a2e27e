//! The live stream of a background command, read from the file it writes.

use std::{
    convert::Infallible,
    fs::File,
    os::unix::fs::FileExt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use sandkeep_specs::execd::event::EventKind;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::{
    feed::FLUSH_AFTER,
    pieces,
    record::{Kept, Record},
    run::terminal_event,
};
use crate::stream::{FRAME_BYTES, Pings, TextEncoder, now_millis, push_event};

/// How often the file is looked at. The command writes to it directly, so nobody says when there is more.
const POLL: Duration = Duration::from_millis(10);

/// Events of a background command: its output, both streams as one, and its end.
#[derive(Debug)]
pub(super) struct Follow {
    head: Option<Vec<u8>>,
    record: Arc<Record>,
    file: File,
    position: u64,
    /// Since when an unfinished line of this length waits for its end.
    waiting: Option<(usize, Instant)>,
    ticks: Interval,
    pings: Pings,
    over: bool,
}

impl Follow {
    pub(super) fn new(head: Vec<u8>, record: Arc<Record>, file: File, position: u64) -> Self {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            head: Some(head),
            record,
            file,
            position,
            waiting: None,
            ticks,
            pings: Pings::default(),
            over: false,
        }
    }

    /// What can be sent now; empty when nothing can.
    fn gather(&mut self) -> Vec<u8> {
        // Asked before reading: what the command wrote before its end is then read.
        let outcome = self.record.outcome();
        let mut out = Vec::new();
        if matches!(&self.record.output, Kept::File(output) if output.start() > self.position) {
            // Older output was dropped while this client did not read.
            self.over = true;
            return out;
        }
        let mut text = vec![0; FRAME_BYTES];
        let count = self.file.read_at(&mut text, self.position).unwrap_or(0);
        text.truncate(count);
        let more = count == FRAME_BYTES;
        let encoder = TextEncoder::new(EventKind::Stdout, now_millis());
        let sendable = if outcome.is_some() || more { count } else { self.complete(&text) };
        let whole = outcome.is_some() && !more || sendable < count;
        let used = pieces::write(&encoder, &text[..sendable], whole, Some(self.position), &mut out);
        self.position += used as u64;
        if used > 0 {
            self.waiting = None;
        }
        if let Some(outcome) = outcome.filter(|_| count == used && !more) {
            push_event(&mut out, &terminal_event(&outcome));
            self.over = true;
        }
        out
    }

    /// How much of a text to which more will be added is ready: whole lines, or what has waited long enough.
    fn complete(&mut self, text: &[u8]) -> usize {
        let lines = pieces::whole_lines(text);
        if lines > 0 || text.is_empty() {
            return lines;
        }
        match self.waiting {
            Some((length, since)) if length == text.len() => {
                if since.elapsed() >= FLUSH_AFTER {
                    text.len()
                } else {
                    0
                }
            }
            _ => {
                self.waiting = Some((text.len(), Instant::now()));
                0
            }
        }
    }
}

impl Body for Follow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(head) = this.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head.into()))));
        }
        loop {
            if this.over {
                return Poll::Ready(None);
            }
            let out = this.gather();
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
            if !this.over && this.ticks.poll_tick(cx).is_pending() {
                return this.pings.poll(cx).map(|out| Some(Ok(Frame::data(out.into()))));
            }
        }
    }
}
