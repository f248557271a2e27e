//! Commands tied to the sandbox's life: one before the entrypoint, others on schedules.

mod clock;
mod output;
mod periodic;
mod plan;
mod run;

pub use periodic::repeat;
pub use plan::{Hook, Hooks, Periodic};
pub use run::{Problem, Surroundings};
