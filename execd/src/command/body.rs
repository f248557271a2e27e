//! The response body of a foreground command.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::{
    feed::{Reader, Step},
    pieces,
    run::terminal_event,
};
use crate::stream::{Pings, TextEncoder, now_millis, push_event};

/// Events of a running command.
#[derive(Debug)]
pub struct CommandBody {
    head: Option<Vec<u8>>,
    reader: Reader,
    /// Whether events say where in the output they end.
    offsets: bool,
    pings: Pings,
    over: bool,
}

impl CommandBody {
    /// The stream of a command that has just begun.
    pub(super) fn new(head: Vec<u8>, reader: Reader) -> Self {
        Self { head: Some(head), reader, offsets: false, pings: Pings::default(), over: false }
    }

    /// The stream of a client that comes back.
    pub(super) fn attached(head: Vec<u8>, reader: Reader) -> Self {
        Self { offsets: true, ..Self::new(head, reader) }
    }

    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
        let mut out = Vec::new();
        let direct = (!self.offsets).then_some(&mut out);
        let Poll::Ready(step) = self.reader.poll_next(cx, direct) else { return Poll::Pending };
        match step {
            Step::Sent => {}
            Step::Kept(piece) => {
                let encoder = TextEncoder::new(piece.kind, now_millis());
                let from = self.offsets.then_some(self.reader.position());
                let used = pieces::write(&encoder, &piece.bytes, piece.whole, from, &mut out);
                self.reader.advance(used);
            }
            Step::Over(outcome) => {
                push_event(&mut out, &terminal_event(&outcome));
                self.over = true;
            }
            Step::LeftBehind => self.over = true,
        }
        Poll::Ready(out)
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
        match this.poll_output(cx) {
            Poll::Ready(out) if out.is_empty() => Poll::Ready(None),
            Poll::Ready(out) => frame(out),
            Poll::Pending => this.pings.poll(cx).map(|out| Some(Ok(Frame::data(out.into())))),
        }
    }
}
