//! Wire types of the egress sidecar.

pub mod policy;
