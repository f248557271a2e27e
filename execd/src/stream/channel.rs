//! A stream fed by a task, for producers that have whole events.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use sandkeep_specs::execd::event::{EventKind, ServerStreamEvent};
use tokio::{
    sync::mpsc,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use super::{FRAME_BYTES, PING_INTERVAL, TextEncoder, now_millis, push_event};

/// Events that may wait for a client which reads slowly.
const CAPACITY: usize = 64;

/// A stream's two ends. The stream ends when all senders are dropped; while nothing is sent it pings.
#[must_use]
pub fn channel() -> (EventSender, EventBody) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    (EventSender(sender), EventBody { receiver, pings })
}

/// The feeding end of a stream.
#[derive(Debug, Clone)]
pub struct EventSender(mpsc::Sender<Vec<u8>>);

/// The client has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl EventSender {
    /// Sends an event, waiting while the client does not keep up.
    pub async fn send(&self, event: &ServerStreamEvent) -> Result<(), Gone> {
        let mut bytes = Vec::with_capacity(256);
        push_event(&mut bytes, event);
        self.0.send(bytes).await.map_err(|_| Gone)
    }

    /// Sends a text event of this kind, waiting while the client does not keep up.
    pub async fn send_text(&self, kind: EventKind, text: &str) -> Result<(), Gone> {
        let mut bytes = Vec::with_capacity(text.len() + 96);
        TextEncoder::new(kind, now_millis()).push_str(&mut bytes, text);
        self.0.send(bytes).await.map_err(|_| Gone)
    }

    /// Sends events already encoded, waiting while the client does not keep up. Takes them only when it sends them: it
    /// may be cancelled without loss.
    pub async fn send_encoded(&self, bytes: &mut Vec<u8>) -> Result<(), Gone> {
        let place = self.0.reserve().await.map_err(|_| Gone)?;
        place.send(std::mem::take(bytes));
        Ok(())
    }

    /// Puts events already encoded at the beginning of a stream to which nothing was sent yet.
    pub fn start_with(&self, bytes: Vec<u8>) {
        // A fresh stream has room.
        let _ = self.0.try_send(bytes);
    }

    /// Waits until the client has gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// The body that carries the events; all that wait go out in one frame.
#[derive(Debug)]
pub struct EventBody {
    receiver: mpsc::Receiver<Vec<u8>>,
    pings: Interval,
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        match this.receiver.poll_recv(cx) {
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(mut out)) => {
                while out.len() < FRAME_BYTES {
                    let Ok(more) = this.receiver.try_recv() else { break };
                    out.extend_from_slice(&more);
                }
                this.pings.reset();
                Poll::Ready(Some(Ok(Frame::data(out.into()))))
            }
            Poll::Pending => {
                ready!(this.pings.poll_tick(cx));
                let mut out = Vec::new();
                push_event(
                    &mut out,
                    &ServerStreamEvent::new(EventKind::Ping, now_millis()).with_text("pong"),
                );
                Poll::Ready(Some(Ok(Frame::data(out.into()))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn next(body: &mut EventBody) -> Option<String> {
        let frame = body.frame().await?.unwrap().into_data().unwrap();
        Some(String::from_utf8(frame.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_events_share_a_frame_and_silence_is_broken_by_pings() {
        let (sender, mut body) = channel();
        sender.send_text(EventKind::Stdout, "a").await.unwrap();
        sender.send_text(EventKind::Stderr, "b").await.unwrap();
        let frame = next(&mut body).await.unwrap();
        assert_eq!(frame.matches("data: ").count(), 2);
        let before = Instant::now();
        assert!(next(&mut body).await.unwrap().contains("\"ping\""));
        assert!(before.elapsed() >= PING_INTERVAL);
        drop(sender);
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test]
    async fn a_client_that_left_is_noticed() {
        let (sender, body) = channel();
        drop(body);
        assert_eq!(sender.send_text(EventKind::Stdout, "a").await, Err(Gone));
    }
}
