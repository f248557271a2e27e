//! Use of CPU and memory.

mod cgroup;
mod gauges;
mod machine;
mod prometheus;
mod sampler;
mod watch;

pub use gauges::{Gauges, hand_over};
pub use prometheus::{Labels, prometheus};
pub use sampler::{Sampler, free_memory};
pub use watch::Watch;
