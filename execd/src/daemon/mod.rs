//! The running daemon: listening, the duties of a first process, and the end.

mod forward;
mod init;
mod log;
mod memory;
mod server;
mod setup;
mod sink;

pub use setup::{StartFailure, start};
