//! What a slot uses and has run into.

use std::fs;

use super::Cgroups;
use crate::runtime::Usage;

impl Cgroups {
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

/// The number after `key` in a file of `key value` lines.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_their_whole_name() {
        assert_eq!(keyed("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "oom_kill"), Some(3));
        assert_eq!(keyed("usage_usec 12\n", "oom_kill"), None);
    }
}
