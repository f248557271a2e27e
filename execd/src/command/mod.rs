//! Commands: checked, started, watched, recorded, and their output passed on.

mod background;
mod body;
mod drain;
pub mod env;
mod expand;
mod lines;
mod logs;
mod record;
mod registry;
mod request;
mod run;

pub use logs::Logs;
pub use record::Outcome;
pub use registry::Commands;
pub use request::CommandError;
pub use run::Started;
