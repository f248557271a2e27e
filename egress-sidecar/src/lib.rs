//! egress-sidecar: shares a sandbox's network namespace, decides what it reaches, and lends it credentials.

pub mod api;
pub mod config;
pub mod daemon;
pub mod state;
