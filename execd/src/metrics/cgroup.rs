//! Figures and limits of our own control group, where its files can be seen.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::machine::Memory;

const MOUNT: &str = "/sys/fs/cgroup";

/// The files of our control group, in either version's layout.
#[derive(Debug, Clone)]
pub(super) enum Cgroup {
    V2(PathBuf),
    V1 { cpu: PathBuf, usage: PathBuf, memory: PathBuf },
}

impl Cgroup {
    /// Our control group, when it limits something: otherwise the machine's figures say more.
    pub(super) fn detect() -> Option<Self> {
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

    /// CPUs the group may use.
    pub(super) fn cpu_limit(&self) -> Option<f64> {
        let (quota, period) = match self {
            Self::V2(group) => {
                let text = fs::read_to_string(group.join("cpu.max")).ok()?;
                let (quota, period) = text.trim().split_once(' ')?;
                (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?)
            }
            Self::V1 { cpu, .. } => (
                number(&cpu.join("cpu.cfs_quota_us"))? as f64,
                number(&cpu.join("cpu.cfs_period_us"))? as f64,
            ),
        };
        (quota > 0.0 && period > 0.0).then(|| quota / period)
    }

    /// CPU time the group has spent.
    pub(super) fn cpu_time(&self) -> Option<Duration> {
        match self {
            Self::V2(group) => field(&group.join("cpu.stat"), "usage_usec").map(Duration::from_micros),
            Self::V1 { usage, .. } => number(&usage.join("cpuacct.usage")).map(Duration::from_nanos),
        }
    }

    /// Memory limit and use of the group; caches that can be dropped at once do not count as used.
    pub(super) fn memory(&self) -> Option<Memory> {
        let (total, (used, idle)) = (
            self.memory_limit()?,
            match self {
                Self::V2(group) => (
                    number(&group.join("memory.current"))?,
                    field(&group.join("memory.stat"), "inactive_file"),
                ),
                Self::V1 { memory, .. } => {
                    let idle = field(&memory.join("memory.stat"), "total_inactive_file");
                    (number(&memory.join("memory.usage_in_bytes"))?, idle)
                }
            },
        );
        Some(Memory { total, used: used.saturating_sub(idle.unwrap_or(0)) })
    }

    fn memory_limit(&self) -> Option<u64> {
        // Version 1 says "no limit" by a number beyond any machine's memory.
        const NO_LIMIT: u64 = 1 << 60;
        match self {
            Self::V2(group) => number(&group.join("memory.max")),
            Self::V1 { memory, .. } => {
                number(&memory.join("memory.limit_in_bytes")).filter(|limit| *limit < NO_LIMIT)
            }
        }
    }
}

/// The group's directory; inside a container its path may not lead anywhere, and the mount itself is the group.
fn existing(mount: &Path, path: &str) -> PathBuf {
    let group = mount.join(path.trim_start_matches('/'));
    if group.is_dir() { group } else { mount.to_owned() }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn field(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
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
        assert_eq!(group.memory(), Some(Memory { total: 1_048_576, used: 500_000 }));
        write(root.path(), &[("box/cpu.max", "max 100000\n"), ("box/memory.max", "max\n")]);
        assert_eq!((group.cpu_limit(), group.memory()), (None, None));
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
        assert_eq!(group.memory(), Some(Memory { total: 1000, used: 800 }));
        write(
            root.path(),
            &[("cpu/cpu.cfs_quota_us", "-1"), ("memory/memory.limit_in_bytes", "9223372036854771712")],
        );
        assert_eq!((group.cpu_limit(), group.memory()), (None, None));
    }
}
