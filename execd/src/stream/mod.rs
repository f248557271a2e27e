//! Event streams: how events look on the wire, and bodies that carry them.

mod channel;
mod encode;
mod pings;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use bytes::Bytes;

pub use channel::{EventBody, EventSender, Gone, channel};
pub use encode::{TextEncoder, push_escaped, push_event};
pub use pings::Pings;

/// How often a stream says that it is alive.
pub const PING_INTERVAL: Duration = Duration::from_secs(3);

/// A frame handed to the connection is ended once it is this long.
pub const FRAME_BYTES: usize = 64 * 1024;

/// Unix milliseconds.
#[must_use]
pub fn now_millis() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// The response that carries an event stream.
pub fn response<B>(body: B) -> Response
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
