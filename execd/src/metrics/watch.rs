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
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Sampler;

/// Time between two measurements.
const INTERVAL: Duration = Duration::from_secs(1);

/// Body that measures at once and then every second.
#[derive(Debug)]
pub struct Watch {
    sampler: Arc<Sampler>,
    ticks: Interval,
}

impl Watch {
    /// A stream of this sampler's measurements.
    #[must_use]
    pub fn new(sampler: Arc<Sampler>) -> Self {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { sampler, ticks }
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
