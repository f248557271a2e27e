//! The Sandkeep lifecycle server.

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
mod fault;
pub mod gateway;
pub mod image;
pub mod library;
pub mod otel;
pub mod proxy;
pub mod runtime;
pub mod sandbox;
pub mod snapshot;
pub mod store;
pub mod tenant;
pub mod volume;
