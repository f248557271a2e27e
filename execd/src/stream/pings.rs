//! The sign of life of streams that have nothing to say.

use std::task::{Context, Poll};

use sandkeep_specs::execd::event::{EventKind, ServerStreamEvent};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::{PING_INTERVAL, now_millis, push_event};

/// A `ping` event at every interval from the first poll on.
#[derive(Debug, Default)]
pub struct Pings(Option<Interval>);

impl Pings {
    /// The next event, when it is time for one.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
        let ticks = self.0.get_or_insert_with(|| {
            let mut ticks = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        ticks.poll_tick(cx).map(|_| {
            let mut out = Vec::new();
            push_event(&mut out, &ServerStreamEvent::new(EventKind::Ping, now_millis()).with_text("pong"));
            out
        })
    }
}
