//! From a request as it came to a wish the domain can trust. Pure: no I/O, no clock.

mod ahead;
mod create;
mod egress;
mod entrypoint;
mod env;
mod extensions;
mod filter;
mod hooks;
mod labels;
mod ossfs;
mod platform;
mod pod;
mod pool;
mod resources;
mod sidecar;
mod snapshot;
mod source;
mod template;
mod timeout;
mod volumes;

pub(super) use create::{Rules, create};
pub(super) use egress::{Guarding, check_rules};
pub(super) use extensions::{echoed, renew_extension};
pub(super) use filter::metadata_filter;
pub(super) use labels::patch as metadata_patch;
pub(super) use platform::host as host_platform;
pub(super) use pool::{capacity as pool_capacity, pool};
pub(super) use snapshot::snapshot_name;
pub(super) use source::{pull, push};
pub(super) use template::template;
