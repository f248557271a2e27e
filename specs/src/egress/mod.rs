//! Wire types of the egress sidecar.

pub mod audit;
pub mod policy;
pub mod vault;
