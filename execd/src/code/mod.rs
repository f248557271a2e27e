//! Code contexts.

pub mod api;
