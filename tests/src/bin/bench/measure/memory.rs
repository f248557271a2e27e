//! What it all weighs.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sandkeep_tests::paths;

use crate::sandbox::{Bench, MULTITUDE};

/// Idle means: nothing was asked for this long.
pub(super) const SETTLE: Duration = Duration::from_secs(2);

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

/// The server with a thousand sandboxes.
pub(crate) async fn server_with_1000(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    bench.multitude().await?;
    server(bench, n).await
}

/// What each of a thousand idle sandboxes costs the host, kernel and server included.
pub(crate) async fn host(bench: &Bench, _: usize) -> Result<Vec<f64>> {
    let before = available()?;
    bench.multitude().await?;
    tokio::time::sleep(SETTLE).await;
    Ok(vec![(before - available()?) / MULTITUDE as f64])
}

/// Megabytes of memory that programs can still have.
fn available() -> Result<f64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).context("the host has memory")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
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
pub(super) fn resident(pid: u32) -> Result<f64> {
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
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", sandbox_init(id)?))?;
    let file = memory_file(&groups).context("the sandbox has no memory group")?;
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    Ok(text.trim().parse::<f64>()? / 1e6)
}

/// Where a process's memory is counted, by its `/proc/PID/cgroup`.
fn memory_file(groups: &str) -> Option<String> {
    let lines = || groups.lines().filter_map(|line| line.splitn(3, ':').collect::<Vec<_>>().try_into().ok());
    let own =
        lines().find(|[_, controllers, _]: &[&str; 3]| controllers.split(',').any(|name| name == "memory"));
    if let Some([_, _, path]) = own {
        return Some(format!("/sys/fs/cgroup/memory{path}/memory.usage_in_bytes"));
    }
    let [_, _, path] = lines().find(|[_, controllers, _]| controllers.is_empty())?;
    Some(format!("/sys/fs/cgroup{path}/memory.current"))
}

/// The host's number for PID 1 of a sandbox: of the processes that bear its id, the one whose parent does not.
pub(super) fn sandbox_init(id: &str) -> Result<u32> {
    let mark = format!("OPENSANDBOX_ID={id}");
    let bears = |pid: u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let parent = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok())
    };
    let processes = fs::read_dir("/proc")?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let init = pids.find(|pid| bears(*pid) && parent(*pid).is_some_and(|parent| !bears(parent)));
    init.with_context(|| format!("the sandbox {id} has no process"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups_are_found() {
        let hybrid = "5:memory:/sandkeep-abcd/7\n2:cpu,cpuacct:/sandkeep-abcd/7\n0::/sandkeep-abcd/7\n";
        assert_eq!(
            memory_file(hybrid).unwrap(),
            "/sys/fs/cgroup/memory/sandkeep-abcd/7/memory.usage_in_bytes"
        );
        assert_eq!(
            memory_file("0::/sandkeep-abcd/7\n").unwrap(),
            "/sys/fs/cgroup/sandkeep-abcd/7/memory.current"
        );
        assert_eq!(memory_file("2:pids:/x\n"), None);
    }
}
