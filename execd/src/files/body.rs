//! Answers made piece by piece: while one piece is sent, the next is prepared off the event loop.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::actor::{Actor, joined};
use super::error::FileError;

/// Buffers kept for reuse by one answer; more are never in flight unless the client reads slowly.
const POOLED_BUFFERS: usize = 4;

/// Something that produces an answer in pieces.
pub(crate) trait Source: Send + Unpin + 'static {
    /// Appends the next piece to `out`, which is empty; false when nothing follows. May block.
    fn read(&mut self, out: &mut Vec<u8>) -> io::Result<bool>;

    /// The same without ever blocking; `None` when that cannot be done now.
    fn try_read(&mut self, _out: &mut Vec<u8>) -> Option<io::Result<bool>> {
        None
    }
}

/// What one read off the event loop gave.
struct Piece<S> {
    source: S,
    data: Vec<u8>,
    outcome: io::Result<bool>,
}

enum State<S> {
    Idle(S),
    Reading(JoinHandle<Result<Piece<S>, FileError>>),
    Done,
}

struct SourceBody<S> {
    actor: Actor,
    state: State<S>,
    first: Vec<u8>,
    pool: Pool,
    left: Option<u64>,
}

/// Answer made of `first`, then of what `rest` produces. `length` is that of the whole, if it is known; an answer that
/// turns out shorter breaks the connection. What may block is done by `actor`.
pub(crate) fn body<S: Source>(actor: Actor, first: Vec<u8>, rest: Option<S>, length: Option<u64>) -> Body {
    match rest {
        None => Body::from(first),
        Some(rest) => {
            let pool = Pool::default();
            Body::new(SourceBody { actor, state: State::Idle(rest), first, pool, left: length })
        }
    }
}

/// Prepares the answer of a source that has no known length: its first piece is made at once, so the caller acts for
/// `actor`; it makes the others.
///
/// # Errors
/// When the first piece cannot be made.
pub(crate) fn start<S: Source>(actor: Actor, mut source: S) -> io::Result<Body> {
    let mut first = Vec::new();
    let more = source.read(&mut first)?;
    Ok(body(actor, first, more.then_some(source), None))
}

impl<S: Source> SourceBody<S> {
    /// Starts reading the next piece on a thread that may block.
    fn prepare(&mut self, mut source: S) {
        let mut data = self.pool.take();
        self.state = State::Reading(self.actor.spawn(move || {
            let outcome = source.read(&mut data);
            Ok(Piece { source, data, outcome })
        }));
    }

    /// The next piece, empty at the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        loop {
            let data = match std::mem::replace(&mut self.state, State::Done) {
                State::Done => return Poll::Ready(Ok(Vec::new())),
                State::Idle(mut source) => {
                    let mut data = self.pool.take();
                    let Some(outcome) = source.try_read(&mut data) else {
                        self.pool.give(data);
                        self.prepare(source);
                        continue;
                    };
                    if outcome? {
                        self.state = State::Idle(source);
                    }
                    data
                }
                State::Reading(mut task) => {
                    let Poll::Ready(done) = Pin::new(&mut task).poll(cx) else {
                        self.state = State::Reading(task);
                        return Poll::Pending;
                    };
                    let piece = joined(done).map_err(io::Error::other)?;
                    if piece.outcome? {
                        self.prepare(piece.source);
                    }
                    piece.data
                }
            };
            if !data.is_empty() {
                return Poll::Ready(Ok(data));
            }
        }
    }
}

impl<S: Source> HttpBody for SourceBody<S> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let data = if self.first.is_empty() {
            std::task::ready!(self.poll_piece(cx))?
        } else {
            std::mem::take(&mut self.first)
        };
        if data.is_empty() {
            // Something shrank under us: a broken connection tells the client that it has not got everything.
            let short = self.left.is_some_and(|left| left > 0);
            return Poll::Ready(short.then(|| Err(io::ErrorKind::UnexpectedEof.into())));
        }
        self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
        Poll::Ready(Some(Ok(Frame::data(self.pool.bytes(data)))))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }
}

/// Buffers that come back once they have been sent: fresh ones would cost a page fault for every 4 KiB.
#[derive(Clone, Default)]
struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < POOLED_BUFFERS {
            kept.push(buffer);
        }
    }

    /// The buffer as bytes that return it here when they are dropped.
    fn bytes(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Pooled { buffer, pool: self.clone() })
    }
}

struct Pooled {
    buffer: Vec<u8>,
    pool: Pool,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    /// Counts down, every other piece without blocking.
    struct Countdown(u8);

    impl Source for Countdown {
        fn read(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
            out.push(self.0);
            self.0 -= 1;
            Ok(self.0 > 0)
        }

        fn try_read(&mut self, out: &mut Vec<u8>) -> Option<io::Result<bool>> {
            self.0.is_multiple_of(2).then(|| self.read(out))
        }
    }

    #[tokio::test]
    async fn pieces_keep_their_order() {
        let all =
            body(Actor::own(), vec![9], Some(Countdown(6)), Some(7)).collect().await.unwrap().to_bytes();
        assert_eq!(all.as_ref(), [9, 6, 5, 4, 3, 2, 1]);
        let all = start(Actor::own(), Countdown(1)).unwrap().collect().await.unwrap().to_bytes();
        assert_eq!(all.as_ref(), [1]);
    }

    #[tokio::test]
    async fn a_short_answer_is_an_error() {
        assert!(body(Actor::own(), Vec::new(), Some(Countdown(2)), Some(3)).collect().await.is_err());
    }
}
