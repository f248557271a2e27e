//! execd: runs inside every sandbox and does there what clients ask for over HTTP.

pub mod api;
pub mod code;
pub mod files;
pub mod process;
pub mod settings;
pub mod state;
pub mod stream;
