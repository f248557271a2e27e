//! Commands: checked, started, watched, recorded, and their output passed on.

mod background;
mod body;
mod drain;
pub mod env;
pub(crate) mod expand;
pub(crate) mod lines;
mod logs;
mod record;
mod registry;
mod request;
mod run;

pub(crate) use body::FLUSH_AFTER;
pub use logs::Logs;
pub use record::{End, Outcome};
pub use registry::Commands;
pub use request::CommandError;
pub use run::Started;
pub(crate) use run::{head, terminal_event};
