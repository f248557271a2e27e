//! Wire types of every Sandkeep API.

pub mod egress;
pub mod execd;
pub mod lifecycle;
