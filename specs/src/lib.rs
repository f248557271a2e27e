//! Wire types of every Sandkeep API.

pub mod execd;
pub mod lifecycle;
