//! Files and directories.

pub(crate) mod actor;
pub mod api;
pub(crate) mod archive;
mod attributes;
mod batch;
pub(crate) mod beneath;
mod body;
mod changes;
pub(crate) mod conditions;
mod credentials;
mod download;
mod entry;
pub(crate) mod error;
pub(crate) mod glob;
pub(crate) mod lines;
pub(crate) mod multipart;
mod names;
pub(crate) mod path;
mod query;
mod remove;
pub(crate) mod staged;
mod upload;
mod walk;
mod watch;
