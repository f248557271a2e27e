//! The Sandkeep lifecycle server.

pub mod image;
pub mod runtime;
