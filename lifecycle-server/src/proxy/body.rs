//! A request body that shows whether it moves.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use crate::sandbox::Visit;

/// Whether anything of a body went by since the last look.
#[derive(Debug, Clone, Default)]
pub(super) struct Movement(Arc<AtomicBool>);

impl Movement {
    /// Looks, and starts anew.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// A body whose movement is seen from outside.
pub(super) struct Watched {
    body: Body,
    movement: Movement,
}

impl Watched {
    pub(super) fn new(body: Body) -> (Self, Movement) {
        let movement = Movement::default();
        (Self { body, movement: movement.clone() }, movement)
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_ready() {
            self.movement.0.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that counts as a use of its sandbox until it has ended or is dropped.
pub(super) struct Held<B> {
    body: Pin<Box<B>>,
    visit: Option<Visit>,
}

impl<B> Held<B> {
    pub(super) fn new(body: B, visit: Visit) -> Self {
        Self { body: Box::pin(body), visit: Some(visit) }
    }
}

impl<B: HttpBody> HttpBody for Held<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = self.body.as_mut().poll_frame(context);
        if matches!(polled, Poll::Ready(None)) {
            self.visit = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
