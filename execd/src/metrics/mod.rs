//! Use of CPU and memory.

mod cgroup;
mod machine;
mod prometheus;
mod sampler;
mod watch;

pub use prometheus::prometheus;
pub use sampler::{Sampler, free_memory};
pub use watch::Watch;
