//! Framework of the end-to-end tests: real binaries, a real image, real sandboxes.
//!
//! Needs root, `cargo xtask build` and `cargo xtask images`; a missing prerequisite fails the test and says so.

pub mod api;
pub mod attempts;
pub mod backend;
pub mod browser;
pub mod collector;
pub mod connect_proxy;
pub mod execd;
pub mod guarded;
pub mod host_state;
pub mod intercepted;
pub mod internet;
pub mod layout;
pub mod leaks;
pub mod names;
pub mod node;
pub mod old_records;
pub mod outside;
pub mod paths;
pub mod postgresql;
pub mod python;
pub mod registry;
pub mod server;
pub mod site;
pub mod small_disk;
mod subnet;
pub mod systemd;
pub mod traces;
pub mod web;
pub mod wire;
