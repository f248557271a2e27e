//! The Sandkeep lifecycle server.

pub mod api;
pub mod config;
pub mod image;
pub mod proxy;
pub mod runtime;
pub mod sandbox;
pub mod store;
