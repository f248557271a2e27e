//! Resource limits.

use std::collections::BTreeMap;

use crate::{
    api::error::ApiError,
    config::quantity::{self, QuantityError},
    runtime::Limits,
};

/// The kernel's quota has no finer share.
const LEAST_CPU_MILLIS: u64 = 10;
/// With less no sandbox comes up: its execd alone needs most of it.
const LEAST_MEMORY: u64 = 8 << 20;
/// Threads of execd plus a few processes.
const LEAST_PIDS: u64 = 16;
/// With less there is no room for a file system's own structures.
const LEAST_DISK: u64 = 1 << 20;

/// Limits by name; unknown names are ignored, since other servers have more kinds of resources.
pub(super) fn limits(map: &BTreeMap<String, String>) -> Result<Limits, ApiError> {
    if let Some(gpu) = map.get("gpu") {
        let problem = format!("this host offers no GPUs to sandboxes, {gpu:?} asked for");
        return Err(ApiError::not_supported("resourceLimits.gpu", problem));
    }
    let read = |name, parse, least, shown| read(map, "resourceLimits", name, parse, least, shown);
    Ok(Limits {
        cpu_millis: read("cpu", quantity::cpu_millis, LEAST_CPU_MILLIS, "10m")?,
        memory_bytes: read("memory", quantity::bytes, LEAST_MEMORY, "8Mi")?,
        pids: read("pids", quantity::count, LEAST_PIDS, "16")?,
        disk_bytes: read("disk", quantity::bytes, LEAST_DISK, "1Mi")?,
    })
}

/// Guaranteed shares: this host guarantees none beyond what is free, but a wrong one is still a mistake.
pub(super) fn check_requests(map: &BTreeMap<String, String>) -> Result<(), ApiError> {
    read(map, "resourceRequests", "cpu", quantity::cpu_millis, 1, "1m")?;
    read(map, "resourceRequests", "memory", quantity::bytes, 1, "1")?;
    Ok(())
}

fn read(
    map: &BTreeMap<String, String>,
    member: &str,
    name: &str,
    parse: fn(&str) -> Result<u64, QuantityError>,
    least: u64,
    least_shown: &str,
) -> Result<Option<u64>, ApiError> {
    let Some(text) = map.get(name) else { return Ok(None) };
    let invalid = |problem: String| ApiError::invalid(format_args!("{member}.{name}"), problem);
    let amount = parse(text).map_err(|error| invalid(error.to_string()))?;
    if amount < least {
        return Err(invalid(format!("must be at least {least_shown}, is {text:?}")));
    }
    Ok(Some(amount))
}
