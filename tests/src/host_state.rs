//! What a program that had left its sandbox could have changed on the host.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{internet::Netns, paths, server::Server};

/// How much the host's clock may move against its uptime: what nobody moves is read at two moments.
const CLOCK_TOLERANCE_SECONDS: i64 = 2;
/// Where the kernel keeps what it is set to. Those of the network are of the caller's namespace.
const SETTINGS: &str = "/proc/sys";
/// Settings that count, or answer differently every time.
const COUNTERS: [&str; 9] = [
    "fs/aio-nr",
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-",
    "fs/quota/",
    "kernel/ns_last_pid",
    "kernel/perf_event_max_sample_rate",
    "kernel/pty/nr",
    "kernel/random/",
];
const SWITCHES: [&str; 6] = [
    "/proc/swaps",
    "/sys/kernel/kexec_crash_size",
    "/sys/kernel/kexec_loaded",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/kernel/uevent_helper",
    "/sys/module/kernel/parameters/panic",
];
/// What limits a control group, and what tells of its end, in version 1 and version 2.
const LIMITS: [&str; 13] = [
    "cgroup.subtree_control",
    "cpu.cfs_quota_us",
    "cpu.max",
    "cpu.shares",
    "cpu.weight",
    "cpuset.cpus",
    "devices.list",
    "memory.limit_in_bytes",
    "memory.max",
    "memory.swap.max",
    "notify_on_release",
    "pids.max",
    "release_agent",
];
/// Directories of systemd and of other servers, which work beside the test.
const OTHERS: [&str; 5] = ["sandkeep", "system", "user", "init", "machine"];
/// Mounts below these are those of tests that run beside this one.
const TEMPORARY: [&str; 2] = ["/tmp", "/run/netns"];
/// Devices that others make and remove, and what lies on file systems of its own.
const PASSING_DEVICES: [&str; 8] = ["loop", "dm-", "pts", "shm", "mqueue", "hugepages", "fd", "char"];

/// Everything seen, each thing under a name of its own.
pub type State = BTreeMap<String, String>;

/// A host to look at.
pub struct Host<'a> {
    server: &'a Server,
    network: &'a Netns,
    /// Control groups of the sandboxes.
    groups: Vec<PathBuf>,
    /// The directories that these and those of sandboxes to come are in.
    parents: Vec<PathBuf>,
    started: i64,
}

impl<'a> Host<'a> {
    /// The host of a server with these sandboxes, whose control groups are looked at.
    pub fn of(server: &'a Server, network: &'a Netns, sandboxes: &[&str]) -> Result<Self> {
        let (mut groups, mut parents) = (Vec::new(), Vec::new());
        for sandbox in sandboxes {
            let file = server.state().join("sandboxes").join(sandbox).join("config.json");
            let config: Value =
                serde_json::from_slice(&fs::read(&file).with_context(|| format!("{file:?}"))?)?;
            let path = config["linux"]["cgroupsPath"].as_str().context("a control group")?.trim_matches('/');
            for root in hierarchies()? {
                let group = root.join(path);
                if group.is_dir() {
                    parents.extend(group.parent().map(Path::to_owned));
                    groups.push(group);
                }
            }
        }
        ensure!(!groups.is_empty(), "the sandboxes have no control groups");
        Ok(Self { server, network, groups, parents, started: started()? })
    }

    /// What can be looked at after every single attempt.
    pub fn glance(&self) -> Result<State> {
        let mut state = State::new();
        for directory in ["kernel", "vm", "fs"] {
            settings(&Path::new(SETTINGS).join(directory), &mut state);
        }
        for file in SWITCHES {
            state.insert(file.to_owned(), read(Path::new(file)));
        }
        mounts(&mut state)?;
        keys(&mut state);
        for line in read(Path::new("/proc/modules")).lines() {
            state.insert(format!("module {}", first(line)), String::new());
        }
        for group in &self.groups {
            group_state(group, &mut state);
            state.insert(format!("control groups in {}", group.display()), children(group).join(" "));
        }
        for parent in &self.parents {
            group_state(parent, &mut state);
            // The server makes those of sandboxes ahead.
            let mut within = children(parent);
            within.retain(|name| name.parse::<u16>().is_err());
            state.insert(format!("control groups in {}", parent.display()), within.join(" "));
        }
        for file in [self.server.config(), paths::dist("execd")?] {
            let known = fs::metadata(&file)?;
            let told = format!(
                "{} bytes, mode {:o}, {}.{}",
                known.len(),
                known.mode(),
                known.mtime(),
                known.mtime_nsec()
            );
            state.insert(file.display().to_string(), told);
        }
        let server = read(&PathBuf::from(format!("/proc/{}/stat", self.server.pid()?)));
        state
            .insert("start of the server".to_owned(), server.split(' ').nth(21).unwrap_or("none").to_owned());
        let moved = (started()? - self.started).abs() > CLOCK_TOLERANCE_SECONDS;
        state.insert("the clock".to_owned(), (if moved { "moved" } else { "right" }).to_owned());
        Ok(state)
    }

    /// All there is to look at.
    pub fn look(&self) -> Result<State> {
        let mut state = self.glance()?;
        settings(Path::new(SETTINGS), &mut state);
        devices(Path::new("/dev"), &mut state);
        for root in hierarchies()? {
            for name in children(&root) {
                if !OTHERS.iter().any(|other| name.starts_with(other)) {
                    state.insert(format!("control group {}", root.join(name).display()), String::new());
                }
            }
            state.insert(root.join("release_agent").display().to_string(), read(&root.join("release_agent")));
        }
        for line in [
            "ip -o link",
            "ip -o address",
            "ip -4 route show table all",
            "ip -6 route show table all",
            "ip rule",
            "nft --stateless list ruleset",
        ] {
            let mut words = line.split(' ');
            let output = self.network.command(words.next().unwrap_or_default()).args(words).output()?;
            ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout)?;
            // The sandboxes' own interfaces settle in the background, as link-local addresses do, and connections are
            // counted for them; everything else of this network is the test's own.
            let settled = |line: &&str| {
                let mut words = line.split([' ', '"']);
                !words.any(|word| {
                    ["sk", "fe80:", "ff00:", "ff02:"].iter().any(|start| word.starts_with(start))
                        || word == "elements"
                })
            };
            state.insert(line.to_owned(), text.lines().filter(settled).collect::<Vec<_>>().join("\n"));
        }
        Ok(state)
    }
}

/// How two states differ, one line for each thing.
pub fn differences(before: &State, now: &State) -> Vec<String> {
    let gone = before.keys().filter(|name| !now.contains_key(*name)).map(|name| format!("{name} is gone"));
    let changed = now.iter().filter_map(|(name, now)| match before.get(name) {
        Some(was) if was == now => None,
        Some(was) => Some(format!("{name} was {was:.2000} and is {now:.2000}")),
        None => Some(format!("{name} is new: {now:.2000}")),
    });
    gone.chain(changed).collect()
}

/// Seconds since the epoch at which this host was started, as its clock says now.
fn started() -> Result<i64> {
    let uptime: f64 = first(&read(Path::new("/proc/uptime"))).parse().context("an uptime")?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64();
    Ok((now - uptime).round() as i64)
}

/// A file that may be unreadable, or not there at all: that is a state, too.
fn read(file: &Path) -> String {
    match fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
        Err(error) => format!("({})", error.kind()),
    }
}

fn first(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

fn children(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<_> =
        directories.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn settings(directory: &Path, state: &mut State) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.strip_prefix(SETTINGS).unwrap_or(&path).to_string_lossy().into_owned();
        let of_sandbox = entry.file_name().to_string_lossy().starts_with("sk");
        if of_sandbox
            || name.contains("conntrack_count")
            || COUNTERS.iter().any(|counter| name.starts_with(counter))
        {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => settings(&path, state),
            _ => drop(state.insert(path.display().to_string(), read(&path))),
        }
    }
}

fn mounts(state: &mut State) -> Result<()> {
    let workspace = paths::workspace();
    for line in fs::read_to_string("/proc/self/mountinfo")?.lines() {
        let mut words = line.split(' ');
        let (root, place) = (words.nth(3).unwrap_or_default(), words.next().unwrap_or_default());
        let path = Path::new(place);
        if path.starts_with(&workspace) || TEMPORARY.iter().any(|other| path.starts_with(other)) {
            continue;
        }
        let rest = line.split_once(" - ").map(|(_, rest)| rest).unwrap_or_default();
        let options = words.next().unwrap_or_default();
        // The same place may have several, one over the other.
        let told = state.entry(format!("mount {place}")).or_default();
        *told = format!("{told}[{root} {options} {rest}]");
    }
    Ok(())
}

/// Keys that somebody made; the kernel makes and forgets keyrings of users as they come and go.
fn keys(state: &mut State) {
    for line in read(Path::new("/proc/keys")).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [serial, _, _, _, permissions, user, group, kind, description, ..] = words[..] {
            let of_kernel = kind == "keyring" && description.starts_with(['_', '.']);
            if !of_kernel {
                state.insert(
                    format!("key {serial}"),
                    format!("{permissions} {user} {group} {kind} {description}"),
                );
            }
        }
    }
}

fn devices(directory: &Path, state: &mut State) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(known) = entry.metadata() else { continue };
        if PASSING_DEVICES.iter().any(|passing| name.starts_with(passing)) {
            continue;
        }
        match known.is_dir() {
            true => devices(&entry.path(), state),
            false => {
                let told = format!("mode {:o}, device {}", known.mode(), known.rdev());
                state.insert(entry.path().display().to_string(), told);
            }
        }
    }
}

/// Roots of all hierarchies of control groups.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let of_groups = mounts.lines().filter(|line| line.contains(" - cgroup"));
    Ok(of_groups.filter_map(|line| line.split(' ').nth(4).map(PathBuf::from)).collect())
}

fn group_state(group: &Path, state: &mut State) {
    for limit in LIMITS {
        let file = group.join(limit);
        if let Ok(value) = fs::read_to_string(&file) {
            state.insert(file.display().to_string(), value.trim_end().to_owned());
        }
    }
}
