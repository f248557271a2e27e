//! What a server holds on the host, counted by kind, so that a test can show that nothing stays behind.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{internet::Netns, server::Server};

/// Cleaning goes on in the background for this long at most.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(40);
/// Two equal counts this far apart are taken as settled.
const SETTLE_PAUSE: Duration = Duration::from_millis(700);
// The tag of a server follows each of these.
const TABLE_PREFIX: &str = "sandkeep_";
const INTERFACE_PREFIX: &str = "sk";
const CGROUP_PREFIX: &str = "sandkeep-";
const TAG_LENGTH: usize = 4;
const TAG_DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// Counts by kind; the names are there for the message of a failed comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdings(BTreeMap<&'static str, usize>);

impl Holdings {
    fn kept(&self, baseline: &Self) -> bool {
        baseline.0.iter().all(|(kind, before)| match self.0.get(kind) {
            Some(now) if *kind == "processes" => now <= before,
            now => now == Some(before),
        })
    }

    /// Kinds of which there are more here than in `other`.
    pub fn beyond(&self, other: &Self) -> Vec<&'static str> {
        let count = |kind| other.0.get(kind).copied().unwrap_or_default();
        self.0.iter().filter(|(kind, held)| **held > count(*kind)).map(|(kind, _)| *kind).collect()
    }
}

/// Watches one server's holdings.
pub struct Watch<'a> {
    server: &'a Server,
    state: PathBuf,
    tag: String,
}

impl<'a> Watch<'a> {
    /// Watches a server that has made and deleted a first sandbox.
    pub async fn new(server: &'a Server) -> Result<Self> {
        server.api().create(json!({})).await?.delete().await?;
        Ok(Self { server, state: fs::canonicalize(server.state())?, tag: tag(server)? })
    }

    /// What is held right now.
    pub fn now(&self) -> Result<Holdings> {
        let inside = |path: &Path| path.starts_with(&self.state);
        let cgroup = format!("{CGROUP_PREFIX}{}", self.tag);
        let mut cgroups = 0;
        count_cgroups(Path::new("/sys/fs/cgroup"), &cgroup, false, &mut cgroups);
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let state = self.state.to_string_lossy();
        let interface = format!("{INTERFACE_PREFIX}{}", self.tag);
        let rows: serde_json::Value =
            serde_json::from_str(&self.server.call("GET", "/v1/sandboxes?pageSize=1")?.body)?;
        let counts = BTreeMap::from([
            ("mounts", mounts.lines().filter(|line| line.contains(&*state)).count()),
            ("network namespaces", namespaces(&cgroup)?),
            (
                "interfaces",
                names("/sys/class/net")?.iter().filter(|name| name.starts_with(&interface)).count(),
            ),
            ("cgroups", cgroups),
            ("processes", processes_in(&cgroup)?.len()),
            ("loop devices", loop_devices().filter(|file| inside(file)).count()),
            ("sandbox directories", names(self.state.join("sandboxes")).unwrap_or_default().len()),
            ("trash", names(self.state.join("trash")).unwrap_or_default().len()),
            ("routes", routes(self.server.subnet)?.len()),
            (
                "rows",
                usize::try_from(
                    rows["pagination"]["totalItems"].as_u64().context("a list counts its items")?,
                )?,
            ),
        ]);
        Ok(Holdings(counts))
    }

    /// Waits until the counts stand still.
    pub async fn settled(&self) -> Result<Holdings> {
        let since = Instant::now();
        let mut before = self.now()?;
        loop {
            tokio::time::sleep(SETTLE_PAUSE).await;
            let now = self.now()?;
            if now == before {
                return Ok(now);
            }
            ensure!(since.elapsed() < SETTLE_TIMEOUT, "the host never comes to rest: {before:?} {now:?}");
            before = now;
        }
    }

    /// Waits until exactly as much is held as in `baseline`; processes may be fewer, since the baseline may have met
    /// one that was just ending.
    pub async fn returns_to(&self, baseline: &Holdings) -> Result<()> {
        let since = Instant::now();
        loop {
            let now = self.settled().await?;
            if now.kept(baseline) {
                return Ok(());
            }
            ensure!(since.elapsed() < SETTLE_TIMEOUT, "leaked: before {baseline:?}, now {now:?}");
        }
    }

    /// Ids of the processes of all the server's sandboxes.
    pub fn processes(&self) -> Result<Vec<u32>> {
        processes_in(&format!("{CGROUP_PREFIX}{}", self.tag))
    }
}

/// First processes of a sandbox on this host.
pub fn first_processes(id: &str) -> Result<usize> {
    let variable = format!("OPENSANDBOX_ID={id}");
    let ours = |pid: &str| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let environment = read("environ");
        read("comm") == b"execd\n"
            && environment.split(|byte| *byte == 0).any(|one| one == variable.as_bytes())
    };
    let pids = names("/proc")?.into_iter();
    Ok(pids.filter(|name| name.parse::<u32>().is_ok() && ours(name)).count())
}

/// The tag in the names of everything the server makes. It comes from its state directory: a subnet may still show in the
/// table of a server that is gone.
fn tag(server: &Server) -> Result<String> {
    let state = fs::canonicalize(server.state())?;
    let digest = Sha256::digest(state.as_os_str().as_bytes());
    let tag: String =
        digest.iter().take(TAG_LENGTH).map(|byte| char::from(TAG_DIGITS[usize::from(byte & 31)])).collect();
    nft(server, &["list", "table", "inet", &format!("{TABLE_PREFIX}{tag}")])?;
    Ok(tag)
}

fn nft(server: &Server, arguments: &[&str]) -> Result<String> {
    run(server.host_command("nft").args(arguments))
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a server's settings are found on its host.
pub struct HostSettings {
    tag: String,
    gateway: String,
}

impl HostSettings {
    /// Learns them from a running server.
    pub fn of(server: &Server) -> Result<Self> {
        Ok(Self { tag: tag(server)?, gateway: format!("10.{}.0.1/32", server.subnet) })
    }

    /// What of them is still there after the server has stopped.
    pub fn left(&self, server: &Server) -> Result<Vec<String>> {
        let tables = nft(server, &["list", "tables"])?;
        let mut left: Vec<String> =
            tables.lines().filter(|line| line.ends_with(&self.table())).map(str::to_owned).collect();
        let addresses = run(server.host_command("ip").args(["-4", "address", "show", "dev", "lo"]))?;
        left.extend(addresses.contains(&self.gateway).then(|| self.gateway.clone()));
        let interface = format!("{INTERFACE_PREFIX}{}", self.tag);
        left.extend(names("/sys/class/net")?.into_iter().filter(|name| name.starts_with(&interface)));
        for hierarchy in names("/sys/fs/cgroup")? {
            let cgroup = format!("/sys/fs/cgroup/{hierarchy}/{CGROUP_PREFIX}{}", self.tag);
            left.extend(Path::new(&cgroup).exists().then_some(cgroup));
        }
        Ok(left)
    }

    /// Removes what is left of them: a test's server is never started again.
    pub(crate) fn remove(&self, server: &Server) {
        // Each may be gone already, and nothing depends on any of them.
        let _ = nft(server, &["delete", "table", "inet", &self.table()]);
        // An older server, one that is measured, leaves its address.
        let _ = run(server.host_command("ip").args(["address", "del", &self.gateway, "dev", "lo"]));
        remove_cgroups(&self.tag);
    }

    fn table(&self) -> String {
        format!("{TABLE_PREFIX}{}", self.tag)
    }
}

/// Removes every empty cgroup of the server with this tag, in all hierarchies.
fn remove_cgroups(tag: &str) {
    remove_named(Path::new("/sys/fs/cgroup"), &format!("{CGROUP_PREFIX}{tag}"));
}

/// The same of the one server in a namespace of its own, which takes everything else with it.
pub fn remove_cgroups_of_server_in(netns: &Netns) -> Result<()> {
    let tables = run(netns.command("nft").args(["list", "tables"]))?;
    for tag in tables.lines().filter_map(|line| line.strip_prefix("table inet ")?.strip_prefix(TABLE_PREFIX))
    {
        remove_cgroups(tag);
    }
    Ok(())
}

fn remove_named(dir: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if entry.file_name().to_string_lossy() == name {
            // One that is not empty stays, and shows as such.
            let _ = fs::remove_dir(entry.path());
        } else {
            remove_named(&entry.path(), name);
        }
    }
}

/// Interfaces that routes into a subnet go to.
fn routes(subnet: u8) -> Result<Vec<String>> {
    let prefix = format!("{subnet:02X}0A");
    let table = fs::read_to_string("/proc/net/route")?;
    let fields = table.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    let ours = fields.filter(|fields| fields.get(1).is_some_and(|to| to.ends_with(&prefix)));
    Ok(ours.filter_map(|fields| fields.first().map(|name| (*name).to_owned())).collect())
}

fn names(dir: impl AsRef<Path>) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir)?;
    Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Counts the directories below every cgroup called `name`, in all hierarchies.
fn count_cgroups(dir: &Path, name: &str, within: bool, count: &mut usize) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let here = entry.file_name().to_string_lossy() == name;
        *count += usize::from(within);
        count_cgroups(&entry.path(), name, within || here, count);
    }
}

fn process_ids() -> Result<impl Iterator<Item = u32>> {
    Ok(names("/proc")?.into_iter().filter_map(|name| name.parse().ok()))
}

fn processes_in(cgroup: &str) -> Result<Vec<u32>> {
    let member = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .is_ok_and(|text| text.split(['/', '\n']).any(|part| part == cgroup))
    };
    Ok(process_ids()?.filter(member).collect())
}

/// Network namespaces that processes of the cgroup live in.
fn namespaces(cgroup: &str) -> Result<usize> {
    let mut found: Vec<PathBuf> = processes_in(cgroup)?
        .into_iter()
        .filter_map(|pid| fs::read_link(format!("/proc/{pid}/ns/net")).ok())
        .collect();
    found.sort_unstable();
    found.dedup();
    Ok(found.len())
}

/// Files behind the host's loop devices.
fn loop_devices() -> impl Iterator<Item = PathBuf> {
    let devices = names("/sys/block").unwrap_or_default().into_iter();
    devices.filter_map(|name| {
        let file = fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).ok()?;
        Some(PathBuf::from(file.trim_end()))
    })
}
