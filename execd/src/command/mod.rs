//! Commands: checked, started, watched, recorded, and their output passed on.

mod attach;
mod background;
mod body;
mod drain;
pub mod env;
pub(crate) mod expand;
mod feed;
mod follow;
mod input;
mod kept;
pub(crate) mod lines;
mod logs;
mod output;
mod pieces;
mod record;
mod registry;
mod request;
mod run;
mod stdin;
mod window;

pub use attach::Attached;
pub(crate) use feed::FLUSH_AFTER;
pub use logs::Logs;
pub use record::{End, Outcome};
pub use registry::Commands;
pub use request::CommandError;
pub use run::Started;
pub(crate) use run::{head, terminal_event};
pub use stdin::StdinWriter;
