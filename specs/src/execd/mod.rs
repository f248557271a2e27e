//! The API of execd, the daemon inside every sandbox.

pub mod code;
pub mod command;
pub mod error;
pub mod event;
pub mod files;
pub mod handover;
pub mod isolated;
pub mod metrics;
pub mod pty;
pub mod session;

/// Request header that carries the access token.
pub const ACCESS_TOKEN_HEADER: &str = "x-execd-access-token";

/// Response header of `GET /command/{id}/logs`: the byte offset to ask for next.
pub const LOG_CURSOR_HEADER: &str = "execd-commands-tail-cursor";

/// Response header of an isolated run's logs: the byte offset to ask for next.
pub const ISOLATED_CURSOR_HEADER: &str = "execd-isolated-tail-cursor";
