//! Interactive programs on terminals or pipes, attached to over WebSocket.

pub mod api;
mod client;
mod frame;
mod process;
mod pump;
mod registry;
mod replay;
mod terminal;

pub use registry::Terminals;
