//! Bash sessions: one live shell each, whose state lasts from run to run.

pub mod api;
mod directory;
mod error;
mod family;
mod output;
mod registry;
mod request;
mod script;
mod shell;
mod worker;

pub use error::SessionError;
pub use registry::Sessions;
