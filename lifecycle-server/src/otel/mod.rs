//! Traces and metrics sent to an OpenTelemetry collector, where the configuration wants it: OTLP over HTTP, protobuf.
//!
//! Nothing of the log leaves this way: of a request its method, route, ids, duration and status, of a start its phases,
//! and numbers. A collector that is away, slow or refuses costs a bounded queue and a line in the log.

mod collector;
mod encode;
mod export;
mod measures;
mod trace;
mod traceparent;

pub use export::{Export, Running};
pub use measures::Measures;
pub(crate) use trace::{Answer, about, answering, carried, inject, start};
pub use trace::{RequestSpan, Tracer};

/// What exported signals are said to come from.
const SCOPE: &str = "sandkeep";
