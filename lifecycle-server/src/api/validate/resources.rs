//! Resource limits.

use std::collections::BTreeMap;

use crate::{
    api::error::ApiError,
    config::quantity::{self, QuantityError},
    runtime::{Guaranteed, Limits},
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
    refuse_gpu(map, "resourceLimits")?;
    let read = |name, parse, least, shown| read(map, "resourceLimits", name, parse, least, shown);
    Ok(Limits {
        cpu_millis: read("cpu", quantity::cpu_millis, LEAST_CPU_MILLIS, "10m")?,
        memory_bytes: read("memory", quantity::bytes, LEAST_MEMORY, "8Mi")?,
        pids: read("pids", quantity::count, LEAST_PIDS, "16")?,
        disk_bytes: read("disk", quantity::bytes, LEAST_DISK, "1Mi")?,
        guaranteed: Guaranteed::NOTHING,
    })
}

/// Guaranteed shares by name, none of them more than its limit, which is the `default` one where none was asked for.
pub(super) fn requests(
    map: &BTreeMap<String, String>,
    limits: &Limits,
    default: &Limits,
) -> Result<Guaranteed, ApiError> {
    refuse_gpu(map, "resourceRequests")?;
    if let Some(name) = map.keys().find(|name| !["cpu", "memory"].contains(&name.as_str())) {
        let problem = "cannot be guaranteed; this server guarantees cpu and memory";
        return Err(ApiError::not_supported(format_args!("resourceRequests.{name}"), problem));
    }
    let cpu_millis = read(map, "resourceRequests", "cpu", quantity::cpu_millis, 1, "1m")?;
    let memory_bytes = read(map, "resourceRequests", "memory", quantity::bytes, 1, "1")?;
    let bound = |own: Option<u64>, default: Option<u64>| own.or(default.filter(|limit| *limit > 0));
    for (name, wanted, limit) in [
        ("cpu", cpu_millis, bound(limits.cpu_millis, default.cpu_millis)),
        ("memory", memory_bytes, bound(limits.memory_bytes, default.memory_bytes)),
    ] {
        if wanted.zip(limit).is_some_and(|(wanted, limit)| wanted > limit) {
            let problem = format!("is more than resourceLimits.{name} or its default allows");
            return Err(ApiError::invalid(format_args!("resourceRequests.{name}"), problem));
        }
    }
    Ok(Guaranteed { cpu_millis, memory_bytes })
}

fn refuse_gpu(map: &BTreeMap<String, String>, member: &str) -> Result<(), ApiError> {
    let Some(gpu) = map.get("gpu") else { return Ok(()) };
    let problem = format!("this host offers no GPUs to sandboxes, {gpu:?} asked for");
    Err(ApiError::not_supported(format_args!("{member}.gpu"), problem))
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
