//! Whether the host has memory and process ids left for another sandbox.

use std::{fs, path::Path};

use super::config::Reserve;
use crate::runtime::RuntimeError;

const MEMORY: &str = "/proc/meminfo";
const LOAD: &str = "/proc/loadavg";
/// Both bound the number of tasks on this host.
const TASK_LIMITS: [&str; 2] = ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"];
/// Limits of the container we may be in ourselves, and what counts against them; the host itself has none.
const CONTAINER_MEMORY: [[&str; 3]; 2] = [
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"],
    [
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ],
];
const CONTAINER_TASKS: [[&str; 2]; 2] = [
    ["/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids.current"],
    ["/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/pids/pids.current"],
];

/// What is left of something, and of how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    free: u64,
    total: u64,
}

/// Refuses another sandbox when less would be left than the reserve, with `taken` bytes of memory beyond what is in use,
/// or `guaranteed` ones in use. What cannot be read does not count.
pub(crate) fn check(reserve: &Reserve, taken: u64, guaranteed: u64) -> Result<(), RuntimeError> {
    let memory = [host_memory()].into_iter().chain(CONTAINER_MEMORY.map(container_memory));
    let memory: Vec<Left> = memory.flatten().collect();
    let tasks = [host_tasks()].into_iter().chain(CONTAINER_TASKS.map(container_tasks));
    judge(reserve, taken, memory.iter().copied(), tasks.flatten())?;
    judge_guaranteed(reserve, guaranteed, memory)
}

impl Reserve {
    /// Bytes to be kept of `total`.
    fn of(&self, total: u64) -> u64 {
        self.memory_bytes.max(total / 100 * u64::from(self.memory_percent))
    }
}

fn judge_guaranteed(
    reserve: &Reserve,
    guaranteed: u64,
    memory: impl IntoIterator<Item = Left>,
) -> Result<(), RuntimeError> {
    let Some(most) = memory.into_iter().map(|left| left.total.saturating_sub(reserve.of(left.total))).min()
    else {
        return Ok(());
    };
    if guaranteed > most {
        return Err(RuntimeError::Exhausted(format!(
            "the memory requests of all sandboxes would be {} MiB together; this host can guarantee {} MiB of memory",
            guaranteed >> 20,
            most >> 20
        )));
    }
    Ok(())
}

fn judge(
    reserve: &Reserve,
    taken: u64,
    memory: impl IntoIterator<Item = Left>,
    tasks: impl IntoIterator<Item = Left>,
) -> Result<(), RuntimeError> {
    for Left { free, total } in memory {
        let kept = reserve.of(total).saturating_add(taken);
        if free < kept {
            return Err(RuntimeError::Exhausted(format!(
                "this host has {} MiB of memory available; new sandboxes need {} MiB to be",
                free >> 20,
                kept >> 20
            )));
        }
    }
    for Left { free, .. } in tasks {
        if free < reserve.tasks {
            return Err(RuntimeError::Exhausted(format!(
                "this host has room for {free} more processes and threads; new sandboxes need {} to be left",
                reserve.tasks
            )));
        }
    }
    Ok(())
}

fn host_memory() -> Option<Left> {
    parse_memory(&fs::read_to_string(MEMORY).ok()?)
}

fn parse_memory(meminfo: &str) -> Option<Left> {
    let value = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some(Left { free: value("MemAvailable:")?, total: value("MemTotal:")? })
}

fn host_tasks() -> Option<Left> {
    let most = TASK_LIMITS.iter().filter_map(number).min()?;
    let running = parse_tasks(&fs::read_to_string(LOAD).ok()?)?;
    Some(Left { free: most.saturating_sub(running), total: most })
}

/// The fourth member is `runnable/all`.
fn parse_tasks(loadavg: &str) -> Option<u64> {
    loadavg.split(' ').nth(3)?.split_once('/')?.1.parse().ok()
}

fn container_memory([limit, used, stat]: [&str; 3]) -> Option<Left> {
    let (total, used) = (number(&limit)?, number(&used)?);
    // Version 1 writes "no limit" as a number larger than any memory.
    let physical = host_memory()?.total;
    if total > physical {
        return None;
    }
    // Unused copies of files are given up as soon as somebody needs the memory.
    let stat = fs::read_to_string(stat).unwrap_or_default();
    let cached = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
    Some(Left { free: total.saturating_sub(used.saturating_sub(cached.unwrap_or(0))), total })
}

fn container_tasks([limit, used]: [&str; 2]) -> Option<Left> {
    let total = number(&limit)?;
    Some(Left { free: total.saturating_sub(number(&used)?), total })
}

/// The number a file holds; `max` is none.
fn number(path: &impl AsRef<Path>) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESERVE: Reserve = Reserve { memory_bytes: 1 << 30, memory_percent: 5, tasks: 100 };

    fn left(free: u64, total: u64) -> Left {
        Left { free, total }
    }

    #[test]
    fn the_larger_reserve_counts() {
        let judged = |free, total| judge(&RESERVE, 0, [left(free, total)], []).is_ok();
        assert!(judged(1 << 30, 4 << 30));
        assert!(!judged((1 << 30) - 1, 4 << 30));
        assert!(!judged(2 << 30, 100 << 30), "5 % of 100 GiB are more than 2 GiB");
        assert!(judged(6 << 30, 100 << 30));
    }

    #[test]
    fn a_memory_to_be_restored_counts_on_top() {
        let judged = |taken| judge(&RESERVE, taken, [left(3 << 30, 4 << 30)], []).is_ok();
        assert!(judged(2 << 30) && !judged((2 << 30) + 1) && !judged(u64::MAX));
    }

    #[test]
    fn no_more_is_guaranteed_than_there_is() {
        let judged =
            |guaranteed| judge_guaranteed(&RESERVE, guaranteed, [left(0, 4 << 30), left(0, 9 << 30)]);
        assert!(judged(3 << 30).is_ok() && judged((3 << 30) + 1).is_err());
        assert!(judge_guaranteed(&RESERVE, 1, []).is_ok());
    }

    #[test]
    fn every_bound_counts() {
        let plenty = left(8 << 30, 16 << 30);
        assert!(judge(&RESERVE, 0, [plenty, left(0, 1)], []).is_err());
        assert!(judge(&RESERVE, 0, [plenty], [left(100, 1000), left(99, 1000)]).is_err());
        assert!(judge(&RESERVE, 0, [plenty], [left(100, 1000)]).is_ok());
        assert!(judge(&RESERVE, 0, [], []).is_ok());
    }

    #[test]
    fn the_kernel_s_words_are_understood() {
        let meminfo = "MemTotal:       24683520 kB\nMemFree:  1 kB\nMemAvailable:   20240000 kB\n";
        assert_eq!(parse_memory(meminfo), Some(left(20_240_000 * 1024, 24_683_520 * 1024)));
        assert_eq!(parse_memory("MemTotal: 1 kB"), None);
        assert_eq!(parse_tasks("0.20 0.18 0.12 1/80 11206\n"), Some(80));
        assert_eq!(parse_tasks(""), None);
        assert!(host_memory().is_some_and(|left| left.free <= left.total));
        assert!(host_tasks().is_some_and(|left| left.free < left.total));
    }
}
