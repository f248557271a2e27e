//! Bodies on their way through.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap,
    body::{Body, Frame, Incoming, SizeHint},
};
use tokio::{
    sync::futures::OwnedNotified,
    time::{Sleep, sleep},
};

use super::{
    guard::Guard,
    unpack::{Unpacked, Unpacker},
    upstream::Busy,
};
use crate::vault::{
    redact::{Frames, Stream, TICK},
    substitute::BodyReplacer,
};

/// What is spoken on both sides of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Protocol {
    H1,
    H2,
}

/// What a body fails with.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body on its way out. Sent in a box: every connection has room for dozens of requests.
pub(super) enum RequestBody {
    /// As it comes.
    Plain(Incoming),
    /// As it comes, once the upstream asks for it.
    Asked { inner: Incoming, asked: Pin<Box<dyn Future<Output = ()> + Send>>, waiting: bool },
    /// With marks replaced.
    Replaced(Replaced),
    /// Known in full.
    Whole { data: Bytes, trailers: Option<HeaderMap> },
}

/// A body in which marks are replaced as it comes.
pub(super) struct Replaced {
    inner: Incoming,
    replacer: BodyReplacer,
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl RequestBody {
    pub(super) fn replaced(inner: Incoming, replacer: BodyReplacer) -> Self {
        Self::Replaced(Replaced { inner, replacer, trailers: None, ended: false })
    }

    /// A body that is not read before `asked` is done.
    pub(super) fn asked(inner: Incoming, asked: OwnedNotified, patience: std::time::Duration) -> Self {
        let asked = Box::pin(async move {
            // An upstream that does not answer to the question gets the body all the same.
            let _ = tokio::time::timeout(patience, asked).await;
        });
        Self::Asked { inner, asked, waiting: true }
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        match self.get_mut() {
            Self::Plain(inner) => Pin::new(inner).poll_frame(cx).map_err(Into::into),
            Self::Asked { inner, asked, waiting } => {
                if *waiting {
                    ready!(asked.as_mut().poll(cx));
                    *waiting = false;
                }
                Pin::new(inner).poll_frame(cx).map_err(Into::into)
            }
            Self::Replaced(replaced) => replaced.poll(cx),
            Self::Whole { data, .. } if !data.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(data)))))
            }
            Self::Whole { trailers, .. } => Poll::Ready(trailers.take().map(|all| Ok(Frame::trailers(all)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Plain(inner) | Self::Asked { inner, .. } => inner.is_end_stream(),
            Self::Replaced(replaced) => replaced.ended && replaced.trailers.is_none(),
            Self::Whole { data, trailers } => data.is_empty() && trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(inner) | Self::Asked { inner, .. } => inner.size_hint(),
            Self::Replaced(_) => SizeHint::default(),
            Self::Whole { data, .. } => SizeHint::with_exact(data.len() as u64),
        }
    }
}

impl Replaced {
    fn poll(&mut self, cx: &mut Context<'_>) -> Polled {
        loop {
            if self.ended {
                return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            let data = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.replacer.push(&data),
                    // The marks' rest comes before them.
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok();
                        self.ended = true;
                        self.replacer.finish()
                    }
                },
                None => {
                    self.ended = true;
                    self.replacer.finish()
                }
            };
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }
}

/// An answer's body on its way in.
pub(super) enum ResponseBody {
    /// As it comes.
    Plain(Incoming, #[expect(dead_code, reason = "counts as long as it lives")] Busy),
    /// With secrets overwritten.
    Cleaned(Box<Cleaned>),
    /// One of our own.
    Whole(Full<Bytes>),
}

impl ResponseBody {
    pub(super) fn text(text: String) -> Self {
        Self::Whole(Full::new(Bytes::from(text)))
    }

    pub(super) fn cleaned(
        inner: Incoming,
        unpacker: Option<Unpacker>,
        frames: Frames,
        guard: Guard,
        busy: Busy,
    ) -> Self {
        let stream = Stream::new(frames);
        let inner = match unpacker {
            Some(unpacker) => Source::Packed(Box::new(Unpacked::new(inner, unpacker))),
            None => Source::Plain(inner),
        };
        Self::Cleaned(Box::new(Cleaned {
            inner,
            guard,
            stream,
            timer: None,
            trailers: None,
            ended: false,
            _busy: busy,
        }))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        match self.get_mut() {
            Self::Plain(inner, _) => Pin::new(inner).poll_frame(cx).map_err(Into::into),
            Self::Cleaned(cleaned) => cleaned.poll(cx),
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Plain(inner, _) => inner.is_end_stream(),
            Self::Cleaned(cleaned) => cleaned.is_end(),
            Self::Whole(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(inner, _) => inner.size_hint(),
            Self::Cleaned(cleaned) => cleaned.size_hint(),
            Self::Whole(body) => body.size_hint(),
        }
    }
}

/// What a body is read from.
enum Source {
    Plain(Incoming),
    Packed(Box<Unpacked>),
}

impl Source {
    fn poll(&mut self, cx: &mut Context<'_>) -> Polled {
        match self {
            Self::Plain(inner) => Pin::new(inner).poll_frame(cx).map_err(Into::into),
            Self::Packed(unpacked) => unpacked.poll(cx),
        }
    }

    /// Whether it is known that nothing else comes.
    fn is_end(&self) -> bool {
        matches!(self, Self::Plain(inner) if inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(inner) => inner.size_hint(),
            Self::Packed(_) => SizeHint::default(),
        }
    }
}

/// A body in which secrets are overwritten; its length stays the same, but for one that comes packed.
pub(super) struct Cleaned {
    inner: Source,
    guard: Guard,
    stream: Stream,
    /// Until the next tick, while something waits for its rest.
    timer: Option<Pin<Box<Sleep>>>,
    trailers: Option<HeaderMap>,
    ended: bool,
    _busy: Busy,
}

impl Cleaned {
    fn poll(&mut self, cx: &mut Context<'_>) -> Polled {
        loop {
            if self.ended {
                return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            let frame = match self.inner.poll(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => return self.poll_timer(cx),
            };
            let redactions = self.guard.redactions();
            let data = match frame {
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        let clean = self.stream.push(data, redactions);
                        self.ended = self.inner.is_end();
                        match self.ended && self.stream.waiting() > 0 {
                            true => [clean, self.stream.finish(redactions)].concat().into(),
                            false => clean,
                        }
                    }
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok().map(|mut trailers| {
                            redactions.clean_headers(&mut trailers);
                            trailers
                        });
                        self.ended = true;
                        self.stream.finish(redactions)
                    }
                },
                None => {
                    self.ended = true;
                    self.stream.finish(redactions)
                }
            };
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    /// Gives out what was kept back when the rest of it does not come.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Polled {
        while self.stream.waiting() > 0 {
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(TICK)));
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            let data = self.stream.tick(self.guard.redactions());
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
        self.timer = None;
        Poll::Pending
    }

    fn is_end(&self) -> bool {
        (self.ended && self.trailers.is_none()) || (self.inner.is_end() && self.stream.waiting() == 0)
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.stream.waiting() as u64;
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + held);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}
