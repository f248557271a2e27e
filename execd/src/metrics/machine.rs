//! Figures of the whole machine, from `/proc`.

use std::{fs, io, time::Duration};

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) total: u64,
    pub(super) used: u64,
}

/// CPU time spent by all processes on all CPUs since the machine started.
pub(super) fn cpu_time() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    parse_stat(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/stat is not readable"))
}

/// Memory of the machine; what can be reclaimed does not count as used.
pub(super) fn memory() -> io::Result<Memory> {
    let text = fs::read_to_string("/proc/meminfo")?;
    parse_meminfo(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/meminfo is not readable"))
}

/// Sums the busy columns of the first line: user, nice, system, irq, softirq and steal, in hundredths of a second.
fn parse_stat(text: &str) -> Option<Duration> {
    let columns: Vec<u64> =
        text.strip_prefix("cpu ")?.lines().next()?.split_whitespace().map_while(|c| c.parse().ok()).collect();
    let busy: u64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|&column| columns.get(column)).sum();
    (columns.len() >= 4).then(|| Duration::from_millis(busy * 10))
}

fn parse_meminfo(text: &str) -> Option<Memory> {
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    };
    let total = field("MemTotal")?;
    Some(Memory { total, used: total.saturating_sub(field("MemAvailable").or_else(|| field("MemFree"))?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_leaves_out_idle_and_waiting() {
        let text = "cpu  100 20 30 9999 888 4 5 6 70 80\ncpu0 1 2 3\n";
        assert_eq!(parse_stat(text), Some(Duration::from_millis(1650)));
        assert_eq!(parse_stat("intr 1"), None);
        assert_eq!(parse_stat("cpu  x"), None);
    }

    #[test]
    fn reclaimable_memory_is_not_used() {
        let text = "MemTotal:       2000 kB\nMemFree:         100 kB\nMemAvailable:    500 kB\n";
        assert_eq!(parse_meminfo(text), Some(Memory { total: 2_048_000, used: 1_536_000 }));
        assert_eq!(parse_meminfo("MemFree: 1 kB"), None);
    }

    #[test]
    fn this_machine_has_figures() {
        assert!(cpu_time().unwrap() > Duration::ZERO);
        assert!(memory().unwrap().used > 0);
    }
}
