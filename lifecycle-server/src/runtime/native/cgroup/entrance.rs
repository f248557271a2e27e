//! How a process comes into a slot's control groups, and what a sandbox may read of them.

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::OwnedFd,
    path::PathBuf,
};

use super::Cgroups;

/// Descriptors that put a new process into a slot's cgroups.
pub(crate) struct Entrance {
    /// Version 2 directory for `CLONE_INTO_CGROUP`.
    pub unified: Option<OwnedFd>,
    /// Version 1 `tasks` files.
    pub tasks: Vec<OwnedFd>,
    /// Files that say what the slot may use and uses, open for reading, and their names.
    pub gauges: Vec<OwnedFd>,
    pub gauge_names: Vec<&'static str>,
}

/// Files that say what a slot may use and uses: controller, and names in version 1 and version 2.
const GAUGES: [(&str, &[&str], &[&str]); 2] = [
    ("cpu", &["cpu.cfs_quota_us", "cpu.cfs_period_us"], &["cpu.max"]),
    (
        "memory",
        &["memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"],
        &["memory.max", "memory.current", "memory.stat"],
    ),
];

impl Cgroups {
    pub(crate) fn entrance(&self, slot: u16) -> io::Result<Entrance> {
        let unified = self.unified_dir(slot).map(File::open).transpose()?.map(OwnedFd::from);
        let tasks = self
            .layout
            .legacy_roots()
            .into_iter()
            .map(|root| {
                OpenOptions::new()
                    .write(true)
                    .open(root.join(&self.parent).join(slot.to_string()).join("tasks"))
            })
            .map(|file| file.map(OwnedFd::from))
            .collect::<Result<_, _>>()?;
        let (gauge_names, gauges) = self.gauges(slot).into_iter().unzip();
        Ok(Entrance { unified, tasks, gauges, gauge_names })
    }

    /// Files into which a process writes 0 to enter a slot's cgroups.
    pub(crate) fn doors(&self, slot: u16) -> io::Result<Vec<OwnedFd>> {
        let unified = self.unified_dir(slot).map(|directory| directory.join("cgroup.procs"));
        let legacy = self.layout.legacy_roots().into_iter();
        let legacy = legacy.map(|root| root.join(&self.parent).join(slot.to_string()).join("tasks"));
        let open = |path: PathBuf| OpenOptions::new().write(true).open(path).map(OwnedFd::from);
        unified.into_iter().chain(legacy).map(open).collect()
    }

    /// The gauges of a slot, as far as this kernel has them. Only files are handed out and only for reading: from a
    /// directory the sandbox could walk to its neighbours.
    fn gauges(&self, slot: u16) -> Vec<(&'static str, OwnedFd)> {
        let mut wanted = Vec::new();
        for (controller, legacy, unified) in GAUGES {
            if let Some((directory, is_unified)) = self.controller_dir(controller, slot) {
                let names = if is_unified { unified } else { legacy };
                wanted.extend(names.iter().map(|name| (directory.clone(), *name)));
            }
        }
        // As for the server's own figures: version 2 counts in every directory.
        match self.unified_dir(slot) {
            Some(directory) => wanted.push((directory, "cpu.stat")),
            None => wanted.extend(self.controller_dir("cpu", slot).map(|(cpu, _)| (cpu, "cpuacct.usage"))),
        }
        let open = |(directory, name): (PathBuf, &'static str)| {
            Some((name, OwnedFd::from(File::open(directory.join(name)).ok()?)))
        };
        wanted.into_iter().filter_map(open).collect()
    }
}
