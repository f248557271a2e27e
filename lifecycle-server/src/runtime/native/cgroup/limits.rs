//! The limits of a slot, and what it is guaranteed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::Cgroups;
use crate::runtime::Limits;

const MEMORY_LOW: &str = "memory.low";
/// Accounting period of the cpu controller, in microseconds.
const CPU_PERIOD: u64 = 100_000;
/// The kernel accepts no smaller share of a period, in microseconds.
const MIN_CPU_QUOTA: u64 = 1_000;
/// Weight of one CPU, and so of a sandbox that asks for none, in version 1 and version 2.
const CPU_SHARES: u64 = 1024;
const CPU_WEIGHT: u64 = 100;

impl Cgroups {
    /// Files and values that bring the limits about. Those marked optional may be missing in a kernel without swap
    /// accounting.
    fn limit_files(&self, slot: u16, limits: &Limits) -> Vec<(PathBuf, String, bool)> {
        let mut files = Vec::new();
        let mut put =
            |controller: &str, legacy: &str, unified: &str, old: String, new: String, optional: bool| {
                if let Some((directory, is_unified)) = self.controller_dir(controller, slot) {
                    let (name, value) = if is_unified { (unified, new) } else { (legacy, old) };
                    files.push((directory.join(name), value, optional));
                }
            };
        if let Some(millis) = limits.cpu_millis {
            let quota = millis.saturating_mul(CPU_PERIOD / 1000).max(MIN_CPU_QUOTA);
            put(
                "cpu",
                "cpu.cfs_quota_us",
                "cpu.max",
                quota.to_string(),
                format!("{quota} {CPU_PERIOD}"),
                false,
            );
        }
        // Beside others each counts with what it is guaranteed, or else with all it may have.
        if let Some(millis) = limits.guaranteed.cpu_millis.or(limits.cpu_millis) {
            let part = |one: u64| millis.saturating_mul(one) / 1000;
            let (shares, weight) = (part(CPU_SHARES).clamp(2, 262_144), part(CPU_WEIGHT).clamp(1, 10_000));
            put("cpu", "cpu.shares", "cpu.weight", shares.to_string(), weight.to_string(), true);
        }
        if let Some(bytes) = limits.guaranteed.memory_bytes {
            let bytes = bytes.to_string();
            put("memory", "memory.soft_limit_in_bytes", MEMORY_LOW, bytes.clone(), bytes, true);
        }
        if let Some(bytes) = limits.memory_bytes {
            let bytes = bytes.to_string();
            put("memory", "memory.limit_in_bytes", "memory.max", bytes.clone(), bytes.clone(), false);
            // No way round the limit through swap.
            put("memory", "memory.memsw.limit_in_bytes", "memory.swap.max", bytes, "0".into(), true);
        }
        if let Some(pids) = limits.pids {
            put("pids", "pids.max", "pids.max", pids.to_string(), pids.to_string(), false);
        }
        files
    }

    pub(crate) fn limit(&self, slot: u16, limits: &Limits) -> io::Result<()> {
        for (path, value, optional) in self.limit_files(slot, limits) {
            match fs::write(&path, &value) {
                Err(error) if optional && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if optional && error.raw_os_error() == Some(libc::EACCES) => {}
                Err(error) => {
                    return Err(io::Error::new(
                        error.kind(),
                        format!("{} = {value}: {error}", path.display()),
                    ));
                }
                Ok(()) => {}
            }
        }
        if limits.guaranteed.memory_bytes.is_some() { self.protect() } else { Ok(()) }
    }

    /// Version 2 protects no more of a directory's memory than of its parent's: the server's own gets what all in it
    /// have together.
    pub(super) fn protect(&self) -> io::Result<()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let unified = self.layout.unified.as_ref().filter(|_| !self.layout.legacy.contains_key("memory"));
        let Some(parent) = unified.map(|root| root.join(&self.parent)) else { return Ok(()) };
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let children = fs::read_dir(&parent)?.flatten();
        let sum = children.map(|child| low_of(&child.path())).fold(0, u64::saturating_add);
        match fs::write(parent.join(MEMORY_LOW), sum.to_string()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Memory that version 2 protects of a directory; none where that is not said.
pub(super) fn low_of(directory: &Path) -> u64 {
    let text = fs::read_to_string(directory.join(MEMORY_LOW)).unwrap_or_default();
    text.trim().parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::runtime::{
        Guaranteed,
        native::cgroup::{
            Layout,
            layout::tests::{HYBRID, PURE},
        },
    };

    const LIMITS: Limits = Limits {
        cpu_millis: Some(500),
        memory_bytes: Some(1 << 29),
        pids: Some(64),
        disk_bytes: None,
        guaranteed: Guaranteed { cpu_millis: Some(250), memory_bytes: Some(1 << 28) },
    };

    fn planned(mountinfo: &str) -> Vec<(String, String)> {
        let cgroups = Cgroups { layout: Layout::parse(mountinfo), parent: "sandkeep-abcd".into() };
        let files = cgroups.limit_files(7, &LIMITS);
        files.into_iter().map(|(path, value, _)| (path.display().to_string(), value)).collect()
    }

    #[test]
    fn version_1_limits() {
        let at = |path: &str, value: &str| (format!("/sys/fs/cgroup/{path}"), value.to_owned());
        assert_eq!(
            planned(HYBRID),
            [
                at("cpu,cpuacct/sandkeep-abcd/7/cpu.cfs_quota_us", "50000"),
                at("cpu,cpuacct/sandkeep-abcd/7/cpu.shares", "256"),
                at("memory/sandkeep-abcd/7/memory.soft_limit_in_bytes", "268435456"),
                at("memory/sandkeep-abcd/7/memory.limit_in_bytes", "536870912"),
                at("memory/sandkeep-abcd/7/memory.memsw.limit_in_bytes", "536870912"),
                at("pids/sandkeep-abcd/7/pids.max", "64"),
            ]
        );
    }

    #[test]
    fn version_2_limits() {
        let at =
            |file: &str, value: &str| (format!("/sys/fs/cgroup/sandkeep-abcd/7/{file}"), value.to_owned());
        assert_eq!(
            planned(PURE),
            [
                at("cpu.max", "50000 100000"),
                at("cpu.weight", "25"),
                at("memory.low", "268435456"),
                at("memory.max", "536870912"),
                at("memory.swap.max", "0"),
                at("pids.max", "64")
            ]
        );
    }

    #[test]
    fn without_a_request_the_limit_is_the_weight() {
        let cgroups = Cgroups { layout: Layout::parse(PURE), parent: "p".into() };
        let files = cgroups.limit_files(1, &Limits { cpu_millis: Some(2000), ..Limits::default() });
        assert_eq!(files[1].1, "200");
        assert!(cgroups.limit_files(1, &Limits::default()).is_empty());
    }

    #[test]
    fn version_2_protects_together_what_is_guaranteed_to_each() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { unified: Some(root.path().into()), legacy: BTreeMap::new(), freezer: None };
        let cgroups = Cgroups { layout, parent: "p".into() };
        let parent = root.path().join("p");
        fs::create_dir_all(parent.join("1")).unwrap();
        fs::create_dir_all(parent.join("2")).unwrap();
        let guaranteed = |bytes| {
            let guaranteed = Guaranteed { memory_bytes: Some(bytes), ..Guaranteed::NOTHING };
            Limits { guaranteed, ..Limits::default() }
        };
        cgroups.limit(1, &guaranteed(4096)).unwrap();
        cgroups.limit(2, &guaranteed(8192)).unwrap();
        assert_eq!(low_of(&parent), 12288);
        // The kernel takes the files away with their directory.
        fs::remove_file(parent.join("1/memory.low")).unwrap();
        cgroups.limit(2, &guaranteed(8192)).unwrap();
        assert_eq!(low_of(&parent), 8192);
    }

    #[test]
    fn a_tiny_cpu_share_is_rounded_up_to_what_the_kernel_takes() {
        let cgroups = Cgroups { layout: Layout::parse(HYBRID), parent: "p".into() };
        let files = cgroups.limit_files(1, &Limits { cpu_millis: Some(1), ..Limits::default() });
        assert_eq!(files[0].1, "1000");
    }
}
