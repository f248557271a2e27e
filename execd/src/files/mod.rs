//! Files and directories.

pub mod api;
