//! Coming back to a command's stream.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    body::CommandBody,
    follow::Follow,
    record::Kept,
    registry::Commands,
    request::CommandError,
    run::{head, terminal_event},
};
use crate::stream::push_event;

/// Clients that may be attached at the same time.
const MAX_ATTACHED: usize = 256;

static ATTACHED: Semaphore = Semaphore::const_new(MAX_ATTACHED);

/// A command's events from some byte of its output on.
#[derive(Debug)]
pub struct Attached {
    source: Source,
    _place: SemaphorePermit<'static>,
}

#[derive(Debug)]
enum Source {
    /// All is known.
    Whole(Option<Vec<u8>>),
    Feed(Box<CommandBody>),
    File(Box<Follow>),
}

impl Commands {
    /// The stream of a command, running or ended, from a byte offset of its output on.
    pub fn attach(&self, id: &str, offset: u64) -> Result<Attached, CommandError> {
        let record = self.get(id)?;
        let place = ATTACHED.try_acquire().map_err(|_| CommandError::TooManyStreams(MAX_ATTACHED))?;
        let mut head = head(id);
        let within = |(start, end): (u64, u64)| match (start..=end).contains(&offset) {
            true => Ok(()),
            false => Err(CommandError::Offset { id: id.to_owned(), offset, start, end }),
        };
        let source = match &record.output {
            Kept::Nothing => {
                within((0, 0))?;
                if let Some(outcome) = record.outcome() {
                    push_event(&mut head, &terminal_event(&outcome));
                }
                Source::Whole(Some(head))
            }
            Kept::Feed(feed) => {
                within(feed.range())?;
                Source::Feed(Box::new(CommandBody::attached(head, feed.reader(offset))))
            }
            Kept::File(output) => {
                let file = std::fs::File::open(&output.path)
                    .map_err(|error| CommandError::System(format!("the output of command {id}: {error}")))?;
                let end = file.metadata().map_or(0, |found| found.len());
                within((output.start(), end))?;
                Source::File(Box::new(Follow::new(head, Arc::clone(&record), file, offset)))
            }
        };
        Ok(Attached { source, _place: place })
    }
}

impl Body for Attached {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.get_mut().source {
            Source::Whole(events) => Poll::Ready(events.take().map(|events| Ok(Frame::data(events.into())))),
            Source::Feed(body) => Pin::new(body.as_mut()).poll_frame(cx),
            Source::File(body) => Pin::new(body.as_mut()).poll_frame(cx),
        }
    }
}
