//! egress-sidecar: shares a sandbox's network namespace, decides what it reaches, and lends it credentials.

pub mod api;
pub mod audit;
pub mod config;
pub mod daemon;
pub mod denials;
pub mod dns;
pub mod engine;
pub mod firewall;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod intercept;
pub mod memory;
pub mod metrics;
pub mod policy;
mod post;
pub mod roots;
pub mod sockets;
pub mod state;
pub mod vault;
