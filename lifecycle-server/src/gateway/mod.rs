//! Ports of sandboxes under addresses of their own: by host name, by path or by header, with signatures that expire.
//!
//! What is here only reads and writes addresses; who may pass is judged where requests come in.

mod route;
mod signature;

pub use route::{Malformed, Mode, Route, from_label, from_path};
pub use signature::{SigningKeys, Stamp, Verdict, base36};
