//! Files and directories.

pub(crate) mod actor;
pub mod api;
mod archive;
mod attributes;
mod beneath;
mod body;
mod changes;
mod conditions;
mod credentials;
mod download;
mod entry;
mod error;
mod glob;
mod lines;
mod multipart;
mod names;
pub(crate) mod path;
mod query;
mod remove;
pub(crate) mod staged;
mod upload;
mod walk;
mod watch;
