//! Measurements without waiting: use of the CPU is that since the previous one.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sandkeep_specs::execd::metrics::Metrics;

use super::{
    cgroup::Cgroup,
    machine::{self, Memory},
};
use crate::stream::now_millis;

/// Measurements closer together than this share one figure for the CPU: the kernel counts in steps of 10 ms.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

const MIB: f64 = 1024.0 * 1024.0;

/// Measures the control group where it is visible and limited, else the machine.
#[derive(Debug)]
pub struct Sampler {
    cgroup: Option<Cgroup>,
    started: Instant,
    last: Mutex<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    cpu_time: Duration,
    used_pct: f64,
}

impl Default for Sampler {
    fn default() -> Self {
        let cgroup = Cgroup::detect();
        let now = Instant::now();
        let cpu_time = cpu_time(cgroup.as_ref()).unwrap_or_default();
        Self { cgroup, started: now, last: Mutex::new(Sample { at: now, cpu_time, used_pct: 0.0 }) }
    }
}

impl Sampler {
    /// Measures now.
    pub fn measure(&self) -> io::Result<Metrics> {
        let cpus = self.cpus();
        let used_pct = self.cpu_used_pct(cpus)?;
        let memory = memory(self.cgroup.as_ref())?;
        Ok(Metrics {
            cpu_count: cpus as f32,
            cpu_used_pct: used_pct as f32,
            mem_total_mib: (memory.total as f64 / MIB) as f32,
            mem_used_mib: (memory.used as f64 / MIB) as f32,
            timestamp: now_millis(),
        })
    }

    /// Time since the daemon began.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    fn cpus(&self) -> f64 {
        let online = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
        self.cgroup.as_ref().and_then(Cgroup::cpu_limit).map_or(online, |limit| limit.min(online))
    }

    fn cpu_used_pct(&self, cpus: f64) -> io::Result<f64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let elapsed = now - last.at;
        if elapsed >= MIN_INTERVAL {
            let cpu_time = cpu_time(self.cgroup.as_ref())?;
            let spent = cpu_time.saturating_sub(last.cpu_time);
            let used_pct = (100.0 * spent.as_secs_f64() / elapsed.as_secs_f64() / cpus).min(100.0);
            *last = Sample { at: now, cpu_time, used_pct };
        }
        Ok(last.used_pct)
    }
}

fn memory(cgroup: Option<&Cgroup>) -> io::Result<Memory> {
    let whole = machine::memory()?;
    Ok(match cgroup.and_then(Cgroup::memory) {
        // A limit above what the machine has is none.
        Some((limit, used)) => Memory { total: limit.unwrap_or(u64::MAX).min(whole.total), used },
        None => whole,
    })
}

/// Bytes of memory that may still be used; none when that cannot be found out.
#[must_use]
pub fn free_memory() -> u64 {
    let free = |found: io::Result<Memory>| found.map_or(0, |found| found.total.saturating_sub(found.used));
    // Without a limit of its own a group may still use no more than the machine has left.
    free(memory(Cgroup::detect().as_ref())).min(free(machine::memory()))
}

fn cpu_time(cgroup: Option<&Cgroup>) -> io::Result<Duration> {
    cgroup.and_then(Cgroup::cpu_time).map_or_else(machine::cpu_time, Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_plausible_and_quick() {
        let sampler = Sampler::default();
        std::thread::sleep(MIN_INTERVAL);
        let first = sampler.measure().unwrap();
        assert!(first.cpu_count > 0.0 && (0.0..=100.0).contains(&first.cpu_used_pct));
        assert!(first.mem_used_mib > 0.0 && first.mem_used_mib <= first.mem_total_mib);
        let again = sampler.measure().unwrap();
        assert_eq!(again.cpu_used_pct, first.cpu_used_pct, "too soon for a new figure");
    }
}
