//! What a server holds on the host, counted by kind, so that a test can show that nothing stays behind.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::server::Server;

/// Cleaning goes on in the background for this long at most.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(40);
/// Two equal counts this far apart are taken as settled.
const SETTLE_PAUSE: Duration = Duration::from_millis(700);
/// Every kind of interface, cgroup and table a server makes carries its tag, of this many characters.
const TAG_LENGTH: usize = 4;
const INTERFACE_PREFIX: &str = "sk";
const CGROUP_PREFIX: &str = "sandkeep-";

/// Counts by kind; the names are there for the message of a failed comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdings(BTreeMap<&'static str, usize>);

/// Watches one server's holdings.
pub struct Watch<'a> {
    server: &'a Server,
    state: PathBuf,
    tag: String,
}

impl<'a> Watch<'a> {
    /// Learns the server's tag from a sandbox made and deleted for the purpose; the server is warm afterwards.
    pub async fn new(server: &'a Server) -> Result<Self> {
        let sandbox = server.api().create(json!({})).await?;
        let tag = tag(server.subnet)?;
        sandbox.delete().await?;
        Ok(Self { server, state: fs::canonicalize(server.state())?, tag })
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

    /// Waits until exactly as much is held as in `baseline`.
    pub async fn returns_to(&self, baseline: &Holdings) -> Result<()> {
        let since = Instant::now();
        loop {
            let now = self.settled().await?;
            if now == *baseline {
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

fn tag(subnet: u8) -> Result<String> {
    let routes = routes(subnet)?;
    let interface = routes.iter().find_map(|name| name.strip_prefix(INTERFACE_PREFIX));
    let tag = interface.and_then(|rest| rest.get(..TAG_LENGTH));
    tag.map(str::to_owned).with_context(|| format!("a running sandbox has a route of its own: {routes:?}"))
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
