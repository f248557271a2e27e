//! HTTP as both daemons speak it: headers, limits, errors, streams of frames.

mod frames;
mod http;
mod limits;
mod refusal;

pub(crate) use frames::{Frames, Framing};
pub(crate) use http::{Http, add_header};
pub use limits::Timeouts;
pub(crate) use limits::{Stalled, within};
