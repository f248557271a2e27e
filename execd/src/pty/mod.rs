//! Interactive programs on terminals or pipes, attached to over WebSocket.

pub mod api;
mod client;
pub(crate) mod frame;
mod process;
mod pump;
mod registry;
pub(crate) mod replay;
mod terminal;

pub use registry::Terminals;
