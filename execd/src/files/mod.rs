//! Files and directories.

mod accounts;
pub mod api;
mod body;
mod changes;
mod conditions;
mod download;
mod entry;
mod error;
mod glob;
mod lines;
mod multipart;
pub(crate) mod path;
mod query;
mod remove;
pub(crate) mod staged;
mod upload;
mod walk;
