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

pub(crate) use directory::start_directory;
pub use error::SessionError;
pub(crate) use family::{Family, MARKER};
pub use registry::Sessions;
pub(crate) use script::check as check_text;
