//! The measurements, by subject.

pub(crate) mod bulk;
pub(crate) mod code;
pub(crate) mod commands;
pub(crate) mod egress;
pub(crate) mod files;
pub(crate) mod intercept;
pub(crate) mod lifecycle;
pub(crate) mod memory;
pub(crate) mod pause;
pub(crate) mod pools;
pub(crate) mod sdk;

use std::time::Instant;

/// Unmeasured tries before the first sample.
const WARM_UP: usize = 3;

/// Milliseconds since `start`.
fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
