//! Wire types of the egress sidecar.

pub mod audit;
mod cidr;
pub mod policy;
pub mod settings;
pub mod vault;

pub use cidr::Cidr;
