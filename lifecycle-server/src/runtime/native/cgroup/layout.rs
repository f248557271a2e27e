//! Where a host has its hierarchies of control groups, and which controllers are in which.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Controllers that sandboxes are limited with.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// Where each controller is mounted on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The version 2 hierarchy, with or without controllers of ours.
    pub unified: Option<PathBuf>,
    /// Version 1 mount point by controller.
    pub legacy: BTreeMap<&'static str, PathBuf>,
    /// Version 1 freezer.
    pub freezer: Option<PathBuf>,
}

impl Layout {
    /// Reads `/proc/self/mountinfo`.
    pub(crate) fn detect() -> io::Result<Self> {
        Ok(Self::parse(&fs::read_to_string("/proc/self/mountinfo")?))
    }

    pub(crate) fn parse(mountinfo: &str) -> Self {
        let mut layout = Self { unified: None, legacy: BTreeMap::new(), freezer: None };
        for line in mountinfo.lines() {
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let Some(mount_point) = before.split(' ').nth(4).map(PathBuf::from) else { continue };
            let mut after = after.split(' ');
            let (kind, options) = (after.next().unwrap_or_default(), after.nth(1).unwrap_or_default());
            match kind {
                "cgroup2" if layout.unified.is_none() => layout.unified = Some(mount_point),
                "cgroup" => {
                    if options.split(',').any(|option| option == "freezer") {
                        layout.freezer.get_or_insert_with(|| mount_point.clone());
                    }
                    for controller in CONTROLLERS {
                        if options.split(',').any(|option| option == controller) {
                            layout.legacy.entry(controller).or_insert_with(|| mount_point.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        layout
    }

    /// Controllers that version 2 must provide because no version 1 hierarchy does.
    pub(super) fn unified_controllers(&self) -> impl Iterator<Item = &'static str> {
        CONTROLLERS.into_iter().filter(|controller| !self.legacy.contains_key(controller))
    }

    /// Distinct version 1 mount points (`cpu,cpuacct` is one hierarchy for two controllers).
    pub(super) fn legacy_roots(&self) -> Vec<&Path> {
        // Version 2 freezes without a controller; its absence is the only reason to join version 1's freezer.
        let freezer = self.freezer.as_ref().filter(|_| self.unified.is_none());
        let mut roots: Vec<&Path> = self.legacy.values().chain(freezer).map(PathBuf::as_path).collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const HYBRID: &str = "\
30 24 0:26 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw
31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
32 24 0:28 / /sys/fs/cgroup/memory rw shared:11 - cgroup cgroup rw,memory
33 24 0:29 / /sys/fs/cgroup/pids rw shared:12 - cgroup cgroup rw,pids
34 24 0:30 / /sys/fs/cgroup/cpuset rw shared:13 - cgroup cgroup rw,cpuset
";
    pub(in super::super) const PURE: &str =
        "30 24 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn version_2_provides_what_version_1_lacks() {
        assert_eq!(Layout::parse(HYBRID).unified_controllers().count(), 0);
        assert_eq!(Layout::parse(PURE).unified_controllers().collect::<Vec<_>>(), CONTROLLERS);
        let partly = HYBRID.lines().filter(|line| !line.contains("pids")).collect::<Vec<_>>().join("\n");
        assert_eq!(Layout::parse(&partly).unified_controllers().collect::<Vec<_>>(), ["pids"]);
    }

    #[test]
    fn a_hierarchy_with_two_controllers_is_joined_once() {
        let both = "31 24 0:27 / /cg rw - cgroup cgroup rw,cpu,memory,pids\n";
        assert_eq!(Layout::parse(both).legacy_roots(), [Path::new("/cg")]);
    }

    #[test]
    fn the_version_1_freezer_is_joined_only_without_version_2() {
        let freezer = "35 24 0:31 / /cg/freezer rw - cgroup cgroup rw,freezer\n";
        let hybrid = Layout::parse(&format!("{HYBRID}{freezer}"));
        assert!(hybrid.freezer.is_some() && !hybrid.legacy_roots().contains(&Path::new("/cg/freezer")));
        assert_eq!(Layout::parse(freezer).legacy_roots(), [Path::new("/cg/freezer")]);
    }
}
