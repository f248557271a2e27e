//! Limits and measurements through cgroups: version 1, version 2, and hosts with some controllers in each.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::runtime::{Limits, Usage};

/// Controllers that sandboxes are limited with.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
const MEMORY_LOW: &str = "memory.low";
/// Directory beside those of the sandboxes, with one for the sidecar of each that has one.
const SIDECARS: &str = "egress";
/// Accounting period of the cpu controller, in microseconds.
const CPU_PERIOD: u64 = 100_000;
/// The kernel accepts no smaller share of a period, in microseconds.
const MIN_CPU_QUOTA: u64 = 1_000;
/// Weight of one CPU, and so of a sandbox that asks for none, in version 1 and version 2.
const CPU_SHARES: u64 = 1024;
const CPU_WEIGHT: u64 = 100;

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
    fn unified_controllers(&self) -> impl Iterator<Item = &'static str> {
        CONTROLLERS.into_iter().filter(|controller| !self.legacy.contains_key(controller))
    }

    /// Distinct version 1 mount points (`cpu,cpuacct` is one hierarchy for two controllers).
    fn legacy_roots(&self) -> Vec<&Path> {
        // Version 2 freezes without a controller; its absence is the only reason to join version 1's freezer.
        let freezer = self.freezer.as_ref().filter(|_| self.unified.is_none());
        let mut roots: Vec<&Path> = self.legacy.values().chain(freezer).map(PathBuf::as_path).collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }
}

/// This server's cgroups.
#[derive(Debug, Clone)]
pub(crate) struct Cgroups {
    layout: Layout,
    parent: String,
}

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
    /// Makes the server's directories and hands controllers down to them.
    pub(crate) fn new(layout: Layout, parent: String) -> io::Result<Self> {
        let cgroups = Self { layout, parent };
        for root in cgroups.roots() {
            make_dir(&root.join(&cgroups.parent))?;
        }
        if let Some(root) = &cgroups.layout.unified {
            for controller in cgroups.layout.unified_controllers() {
                for directory in [root.clone(), root.join(&cgroups.parent)] {
                    let control = directory.join("cgroup.subtree_control");
                    fs::write(&control, format!("+{controller}")).map_err(|error| {
                        let text = format!(
                            "cannot enable the {controller} controller in {}: {error}",
                            control.display()
                        );
                        io::Error::new(error.kind(), text)
                    })?;
                }
            }
        }
        Ok(cgroups)
    }

    /// The cgroups of the sandboxes' sidecars, which are numbered like those of the sandboxes.
    pub(crate) fn sidecars(&self) -> Self {
        Self { layout: self.layout.clone(), parent: format!("{}/{SIDECARS}", self.parent) }
    }

    /// Makes the directories of [`Cgroups::sidecars`].
    pub(crate) fn with_sidecars(self) -> io::Result<Self> {
        let sidecars = self.sidecars();
        Self::new(sidecars.layout, sidecars.parent)?;
        Ok(self)
    }

    /// Controllers a host has in neither version.
    pub(crate) fn missing(layout: &Layout) -> Vec<&'static str> {
        let offered = layout.unified.as_ref().map(|root| fs::read_to_string(root.join("cgroup.controllers")));
        let offered = offered.and_then(Result::ok).unwrap_or_default();
        layout
            .unified_controllers()
            .filter(|wanted| !offered.split_whitespace().any(|name| name == *wanted))
            .collect()
    }

    fn roots(&self) -> Vec<&Path> {
        self.layout.unified.as_deref().into_iter().chain(self.layout.legacy_roots()).collect()
    }

    /// A slot's directory in every hierarchy, version 2 first.
    fn directories(&self, slot: u16) -> Vec<PathBuf> {
        self.roots().into_iter().map(|root| root.join(&self.parent).join(slot.to_string())).collect()
    }

    /// Path of a slot below each hierarchy's root, as OCI runtimes take it.
    pub(crate) fn relative_path(&self, slot: u16) -> String {
        format!("/{}/{slot}", self.parent)
    }

    pub(super) fn unified_dir(&self, slot: u16) -> Option<PathBuf> {
        Some(self.layout.unified.as_ref()?.join(&self.parent).join(slot.to_string()))
    }

    /// A slot's directory in version 1's freezer; there only if somebody put the slot into that.
    pub(super) fn legacy_freezer(&self, slot: u16) -> Option<PathBuf> {
        Some(self.layout.freezer.as_ref()?.join(&self.parent).join(slot.to_string()))
    }

    /// The directory where a controller of a slot is found, and whether that is version 2.
    fn controller_dir(&self, controller: &str, slot: u16) -> Option<(PathBuf, bool)> {
        match self.layout.legacy.get(controller) {
            Some(root) => Some((root.join(&self.parent).join(slot.to_string()), false)),
            None => self.unified_dir(slot).map(|directory| (directory, true)),
        }
    }

    pub(crate) fn create(&self, slot: u16) -> io::Result<()> {
        self.directories(slot).iter().try_for_each(|directory| make_dir(directory))
    }

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
    fn protect(&self) -> io::Result<()> {
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

    /// Kills every process of a slot and its sidecar, at once where version 2 is mounted. Killing the first process of a sandbox takes
    /// the others with it in any case; this one also reaches processes that are no longer its descendants.
    pub(crate) fn kill(&self, slot: u16) {
        if let Some(directory) = self.unified_dir(slot) {
            let _ = fs::write(directory.join("cgroup.kill"), "1");
        }
        self.kill_listed(slot);
        self.sidecars().kill_listed(slot);
        super::freezer::let_end(self, slot);
    }

    /// Kills the processes of a slot one by one. Unlike after [`Cgroups::kill`], a new process can be started in the
    /// same cgroup: kernels take a clone into one that was once killed for a latecomer, and kill it too.
    pub(crate) fn kill_listed(&self, slot: u16) {
        for directory in self.directories(slot) {
            let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            for pid in listed.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Removes a slot's directories and its sidecar's; an error means that one is still in use.
    pub(crate) fn remove(&self, slot: u16) -> io::Result<()> {
        let memory = self.controller_dir("memory", slot).filter(|(_, is_unified)| *is_unified);
        let was_protected = memory.is_some_and(|(directory, _)| low_of(&directory) > 0);
        for directory in self.sidecars().directories(slot).into_iter().chain(self.directories(slot)) {
            match fs::remove_dir(&directory) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if was_protected { self.protect() } else { Ok(()) }
    }

    /// Removes the server's own directories; those with sandboxes in them stay.
    pub(crate) fn remove_parents(&self) {
        for root in self.roots() {
            let parent = root.join(&self.parent);
            let _ = fs::remove_dir(parent.join(SIDECARS));
            let _ = fs::remove_dir(parent);
        }
    }

    /// Slots that have a directory in any hierarchy, or whose sidecar has.
    pub(crate) fn present(&self) -> Vec<u16> {
        let mut slots: Vec<u16> = self
            .roots()
            .into_iter()
            .flat_map(|root| [root.join(&self.parent), root.join(&self.parent).join(SIDECARS)])
            .filter_map(|parent| fs::read_dir(parent).ok())
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Bytes of memory that are no copies of files.
    pub(crate) fn own_memory(&self, slot: u16) -> u64 {
        let text = self.controller_dir("memory", slot);
        let text = text.and_then(|(directory, _)| fs::read_to_string(directory.join("memory.stat")).ok());
        let text = text.unwrap_or_default();
        let parts = [["anon", "total_rss"], ["shmem", "total_shmem"]];
        parts.iter().filter_map(|names| names.iter().find_map(|name| keyed(&text, name))).sum()
    }

    /// What the sandbox uses; members the host does not account stay zero.
    pub(crate) fn usage(&self, slot: u16) -> Usage {
        let read = |controller: &str, legacy: &str, unified: &str| {
            let (directory, is_unified) = self.controller_dir(controller, slot)?;
            fs::read_to_string(directory.join(if is_unified { unified } else { legacy })).ok()
        };
        let number = |text: Option<String>| text.and_then(|text| text.trim().parse::<u64>().ok());
        Usage {
            cpu_micros: self.cpu_micros(slot).unwrap_or_default(),
            memory_bytes: number(read("memory", "memory.usage_in_bytes", "memory.current"))
                .unwrap_or_default(),
            memory_peak_bytes: number(read("memory", "memory.max_usage_in_bytes", "memory.peak")),
            pids: number(read("pids", "pids.current", "pids.current")).unwrap_or_default(),
            oom_kills: self.oom_kills(slot),
            pids_refused: read("pids", "pids.events", "pids.events")
                .and_then(|text| keyed(&text, "max"))
                .unwrap_or_default(),
            disk_bytes: None,
            disk_free_bytes: None,
        }
    }

    fn cpu_micros(&self, slot: u16) -> Option<u64> {
        // Version 2 counts CPU time in every directory, controller or not.
        if let Some(directory) = self.unified_dir(slot) {
            let stat = fs::read_to_string(directory.join("cpu.stat")).ok()?;
            return keyed(&stat, "usage_usec");
        }
        let (directory, _) = self.controller_dir("cpu", slot)?;
        let nanos: u64 = fs::read_to_string(directory.join("cpuacct.usage")).ok()?.trim().parse().ok()?;
        Some(nanos / 1000)
    }

    /// Processes the memory limit has killed.
    pub(crate) fn oom_kills(&self, slot: u16) -> u64 {
        let Some((directory, is_unified)) = self.controller_dir("memory", slot) else { return 0 };
        let file = directory.join(if is_unified { "memory.events" } else { "memory.oom_control" });
        fs::read_to_string(file).ok().and_then(|text| keyed(&text, "oom_kill")).unwrap_or_default()
    }
}

/// Memory that version 2 protects of a directory; none where that is not said.
fn low_of(directory: &Path) -> u64 {
    let text = fs::read_to_string(directory.join(MEMORY_LOW)).unwrap_or_default();
    text.trim().parse().unwrap_or_default()
}

/// The number after `key` in a file of `key value` lines.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

fn make_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Guaranteed;

    const HYBRID: &str = "\
30 24 0:26 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw
31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
32 24 0:28 / /sys/fs/cgroup/memory rw shared:11 - cgroup cgroup rw,memory
33 24 0:29 / /sys/fs/cgroup/pids rw shared:12 - cgroup cgroup rw,pids
34 24 0:30 / /sys/fs/cgroup/cpuset rw shared:13 - cgroup cgroup rw,cpuset
";
    const PURE: &str = "30 24 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
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

    #[test]
    fn a_tiny_cpu_share_is_rounded_up_to_what_the_kernel_takes() {
        let cgroups = Cgroups { layout: Layout::parse(HYBRID), parent: "p".into() };
        let files = cgroups.limit_files(1, &Limits { cpu_millis: Some(1), ..Limits::default() });
        assert_eq!(files[0].1, "1000");
    }

    #[test]
    fn counters_are_found_by_their_whole_name() {
        assert_eq!(keyed("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "oom_kill"), Some(3));
        assert_eq!(keyed("usage_usec 12\n", "oom_kill"), None);
    }
}
