//! The running daemon: listening, the duties of a first process, and the end.

mod clone3;
mod forward;
mod init;
mod log;
mod prelude;
mod server;
mod setup;
mod sink;
pub(crate) mod standby;
mod trust;

pub use setup::{StartFailure, start};
