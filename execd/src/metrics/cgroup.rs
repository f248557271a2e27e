//! Figures and limits of our own control group, from files handed to us or where they can be seen.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::gauges::{self, Gauges};

const MOUNT: &str = "/sys/fs/cgroup";

/// The files of our control group.
#[derive(Debug)]
pub(super) enum Cgroup {
    /// Opened by whoever started us.
    Handed(Arc<Gauges>),
    /// Version 2: one directory.
    V2(PathBuf),
    /// Version 1: a directory for each controller.
    V1 { cpu: PathBuf, usage: PathBuf, memory: PathBuf },
}

impl Cgroup {
    /// Our control group, when it limits something: otherwise the machine's figures say more.
    pub(super) fn detect() -> Option<Self> {
        if let Some(handed) = gauges::handed() {
            return Some(Self::Handed(handed));
        }
        let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
        let found = Self::locate(Path::new(MOUNT), &membership)?;
        (found.memory_limit().is_some() || found.cpu_limit().is_some()).then_some(found)
    }

    fn locate(mount: &Path, membership: &str) -> Option<Self> {
        if mount.join("cgroup.controllers").exists() {
            let path = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
            return Some(Self::V2(existing(mount, path)));
        }
        let controller = |name: &str| {
            let line = membership.lines().find(|line| {
                line.split(':').nth(1).is_some_and(|names| names.split(',').any(|listed| listed == name))
            })?;
            let root = mount.join(name);
            root.is_dir().then(|| existing(&root, line.splitn(3, ':').nth(2).unwrap_or("/")))
        };
        Some(Self::V1 {
            cpu: controller("cpu")?,
            usage: controller("cpuacct")?,
            memory: controller("memory")?,
        })
    }

    /// What a file says; each name belongs to one of the two versions, but for `memory.stat`.
    fn read(&self, name: &str) -> Option<String> {
        let directory = match self {
            Self::Handed(gauges) => return gauges.read(name),
            Self::V2(group) => group,
            Self::V1 { usage, .. } if name == "cpuacct.usage" => usage,
            Self::V1 { cpu, .. } if name.starts_with("cpu.cfs_") => cpu,
            Self::V1 { memory, .. } if name.starts_with("memory.") => memory,
            Self::V1 { .. } => return None,
        };
        fs::read_to_string(directory.join(name)).ok()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.read(name)?.trim().parse().ok()
    }

    /// CPUs the group may use.
    pub(super) fn cpu_limit(&self) -> Option<f64> {
        let (quota, period) = match self.read("cpu.max") {
            Some(text) => {
                let (quota, period) = text.trim().split_once(' ')?;
                (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?)
            }
            None => (self.number("cpu.cfs_quota_us")? as f64, self.number("cpu.cfs_period_us")? as f64),
        };
        (quota > 0.0 && period > 0.0).then(|| quota / period)
    }

    /// CPU time the group has spent.
    pub(super) fn cpu_time(&self) -> Option<Duration> {
        match self.read("cpu.stat").and_then(|text| field(&text, "usage_usec")) {
            Some(micros) => Some(Duration::from_micros(micros)),
            None => self.number("cpuacct.usage").map(Duration::from_nanos),
        }
    }

    /// Memory use of the group, and its limit if it has one; caches that can be dropped at once do not count as used.
    pub(super) fn memory(&self) -> Option<(Option<u64>, u64)> {
        let used = self.number("memory.current").or_else(|| self.number("memory.usage_in_bytes"))?;
        // The first name, which counts what is below as well, is of version 1 only.
        let stat = self.read("memory.stat").unwrap_or_default();
        let idle = field(&stat, "total_inactive_file").or_else(|| field(&stat, "inactive_file"));
        Some((self.memory_limit(), used.saturating_sub(idle.unwrap_or(0))))
    }

    fn memory_limit(&self) -> Option<u64> {
        // Version 1 says "no limit" by a number beyond any machine's memory.
        const NO_LIMIT: u64 = 1 << 60;
        let limit = self.number("memory.max").or_else(|| self.number("memory.limit_in_bytes"))?;
        (limit < NO_LIMIT).then_some(limit)
    }
}

/// The group's directory; inside a container its path may not lead anywhere, and the mount itself is the group.
fn existing(mount: &Path, path: &str) -> PathBuf {
    let group = mount.join(path.trim_start_matches('/'));
    if group.is_dir() { group } else { mount.to_owned() }
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn version_2() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("cgroup.controllers", "cpu memory"),
                ("box/cpu.max", "150000 100000\n"),
                ("box/cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
                ("box/memory.max", "1048576\n"),
                ("box/memory.current", "600000\n"),
                ("box/memory.stat", "anon 1\ninactive_file 100000\n"),
            ],
        );
        let group = Cgroup::locate(root.path(), "1:name=systemd:/x\n0::/box\n").unwrap();
        assert_eq!(group.cpu_limit(), Some(1.5));
        assert_eq!(group.cpu_time(), Some(Duration::from_millis(2500)));
        assert_eq!(group.memory(), Some((Some(1_048_576), 500_000)));
        write(root.path(), &[("box/cpu.max", "max 100000\n"), ("box/memory.max", "max\n")]);
        assert_eq!((group.cpu_limit(), group.memory_limit()), (None, None));
    }

    #[test]
    fn version_1_with_the_group_at_the_mount() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("cpu/cpu.cfs_quota_us", "50000"),
                ("cpu/cpu.cfs_period_us", "100000"),
                ("cpuacct/cpuacct.usage", "1000000000"),
                ("memory/memory.limit_in_bytes", "1000"),
                ("memory/memory.usage_in_bytes", "900"),
                ("memory/memory.stat", "total_inactive_file 100\n"),
            ],
        );
        let group = Cgroup::locate(root.path(), "3:cpu,cpuacct:/gone\n2:memory:/gone\n").unwrap();
        assert_eq!(group.cpu_limit(), Some(0.5));
        assert_eq!(group.cpu_time(), Some(Duration::from_secs(1)));
        assert_eq!(group.memory(), Some((Some(1000), 800)));
        write(
            root.path(),
            &[("cpu/cpu.cfs_quota_us", "-1"), ("memory/memory.limit_in_bytes", "9223372036854771712")],
        );
        assert_eq!((group.cpu_limit(), group.memory_limit()), (None, None));
    }

    #[test]
    fn files_handed_over() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            ("cpu.cfs_quota_us", "50000"),
            ("cpu.cfs_period_us", "100000"),
            ("cpu.stat", "usage_usec 7\n"),
            ("memory.limit_in_bytes", "1000"),
            ("memory.usage_in_bytes", "900"),
            ("memory.stat", "inactive_file 1\ntotal_inactive_file 100\n"),
        ];
        write(root.path(), &files);
        let open = |(name, _): &(&str, &str)| {
            ((*name).to_owned(), fs::File::open(root.path().join(name)).unwrap().into())
        };
        let group = Cgroup::Handed(Arc::new(Gauges::new(files.iter().map(open))));
        for _ in 0..2 {
            assert_eq!((group.cpu_limit(), group.cpu_time()), (Some(0.5), Some(Duration::from_micros(7))));
            assert_eq!(group.memory(), Some((Some(1000), 800)));
        }
    }
}
