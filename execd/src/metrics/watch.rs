//! A stream of measurements.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Interval, MissedTickBehavior, interval},
};

use super::Sampler;

/// Time between two measurements.
const INTERVAL: Duration = Duration::from_secs(1);

/// Clients that may watch at the same time.
const MAX_WATCHERS: usize = 64;

static WATCHERS: Semaphore = Semaphore::const_new(MAX_WATCHERS);

/// Body that measures at once and then every second.
#[derive(Debug)]
pub struct Watch {
    sampler: Arc<Sampler>,
    ticks: Interval,
    _place: SemaphorePermit<'static>,
}

impl Watch {
    /// A stream of this sampler's measurements; the error is the number of streams that there may be.
    pub fn new(sampler: Arc<Sampler>) -> Result<Self, usize> {
        let place = WATCHERS.try_acquire().map_err(|_| MAX_WATCHERS)?;
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { sampler, ticks, _place: place })
    }
}

impl Body for Watch {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        ready!(this.ticks.poll_tick(cx));
        let json = match this.sampler.measure().map(|measured| serde_json::to_string(&measured)) {
            Ok(Ok(json)) => json,
            Ok(Err(error)) => serde_json::json!({ "error": error.to_string() }).to_string(),
            Err(error) => serde_json::json!({ "error": error.to_string() }).to_string(),
        };
        Poll::Ready(Some(Ok(Frame::data(format!("data: {json}\n\n").into()))))
    }
}
