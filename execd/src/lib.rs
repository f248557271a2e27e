//! execd: runs inside every sandbox and does there what clients ask for over HTTP.

pub mod api;
pub mod cli;
pub mod code;
pub mod command;
pub mod daemon;
pub mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod hooks;
pub mod id;
pub mod isolated;
pub mod metrics;
pub mod process;
pub mod proxy;
pub mod pty;
pub mod reason;
pub mod session;
pub mod settings;
pub mod state;
pub mod stream;
pub mod users;
