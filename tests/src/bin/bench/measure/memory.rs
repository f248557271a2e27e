//! What it all weighs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sandkeep_tests::paths;

use crate::sandbox::Bench;

/// Idle means: nothing was asked for this long.
const SETTLE: Duration = Duration::from_secs(2);

/// How deep below the mount of a controller a sandbox's own group may lie.
const GROUP_DEPTH: usize = 4;

/// The server with its helper processes, doing nothing.
pub(crate) async fn server(bench: &Bench, _: usize) -> Result<Vec<f64>> {
    tokio::time::sleep(SETTLE).await;
    Ok(vec![family(bench.server().pid()?)?])
}

/// The same with forty-eight sandboxes.
pub(crate) async fn server_with_48(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    bench.crowd().await?;
    server(bench, n).await
}

/// What each of forty-eight idle sandboxes is charged for.
pub(crate) async fn sandboxes(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let crowd = bench.crowd().await?;
    tokio::time::sleep(SETTLE).await;
    crowd.iter().take(n).map(|id| charged(id)).collect()
}

/// execd in idle sandboxes.
pub(crate) async fn execd(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let crowd = bench.crowd().await?;
    tokio::time::sleep(SETTLE).await;
    crowd.iter().take(n).map(|id| resident(sandbox_init(id)?)).collect()
}

/// The file that is put into every sandbox.
pub(crate) async fn execd_binary(_: &Bench, _: usize) -> Result<Vec<f64>> {
    Ok(vec![fs::metadata(paths::dist("execd")?)?.len() as f64 / 1e6])
}

/// Megabytes of memory a process and the processes of the same program it started hold.
fn family(pid: u32) -> Result<f64> {
    let program = |pid: u32| fs::read_link(format!("/proc/{pid}/exe"));
    let own = program(pid)?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let helpers = children.split_whitespace().filter_map(|child| child.parse().ok());
    let helpers = helpers.filter(|child| program(*child).is_ok_and(|exe| exe == own));
    helpers.map(resident).try_fold(resident(pid)?, |sum, size| Ok(sum + size?))
}

/// Megabytes of memory a process holds now.
fn resident(pid: u32) -> Result<f64> {
    status(pid, "VmRSS:")
}

/// The most it has held since [`reset_peak`].
pub(super) fn peak_resident(pid: u32) -> Result<f64> {
    status(pid, "VmHWM:")
}

/// Lets the kernel forget how much memory a process held at most.
pub(super) fn reset_peak(pid: u32) -> Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

fn status(pid: u32, field: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)).context("the process has memory")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// Megabytes a sandbox's control group is charged for.
fn charged(id: &str) -> Result<f64> {
    let names = ["memory.current", "memory.usage_in_bytes"];
    let file = groups(id)
        .into_iter()
        .flat_map(|group| names.map(|name| group.join(name)))
        .find(|file| file.exists());
    let text = fs::read_to_string(file.context("the sandbox has no memory group")?)?;
    Ok(text.trim().parse::<f64>()? / 1e6)
}

/// The host's number for PID 1 of a sandbox: the one process of its groups whose parent is outside.
pub(super) fn sandbox_init(id: &str) -> Result<u32> {
    let groups = groups(id);
    let members = groups.iter().filter_map(|group| fs::read_to_string(group.join("cgroup.procs")).ok());
    let pids: Vec<u32> = members
        .flat_map(|text| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>())
        .collect();
    let parent = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok())
    };
    let init = pids.iter().copied().find(|pid| parent(*pid).is_some_and(|parent| !pids.contains(&parent)));
    ensure!(!pids.is_empty(), "the sandbox {id} has no process");
    init.context("every process of the sandbox has its parent inside")
}

/// The control groups named after a sandbox, of every controller.
fn groups(id: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(Path::new("/sys/fs/cgroup"), id, GROUP_DEPTH, &mut found);
    found
}

fn collect(dir: &Path, id: &str, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if entry.file_name().to_string_lossy().contains(id) {
            found.push(entry.path());
        } else if depth > 0 {
            collect(&entry.path(), id, depth - 1, found);
        }
    }
}
