//! What is counted while the sidecar works, and how a collector gets it.
//!
//! Counting is one addition that waits for nobody. Each count has one writer at a time, so that it needs no locked
//! instruction, which would hold up the name server: its thread counts questions, and whoever holds the lock of the kernel's
//! rules counts changes of those.

mod encode;
mod export;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

pub use self::export::Exporting;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// An allowed question was answered from memory.
    CacheHit,
    /// An allowed question had to be asked outside.
    CacheMiss,
    /// A question was refused by the policy: for its name, an alias of it, or its address.
    Denied,
    /// No name server gave an answer that can be read.
    UpstreamError,
    /// A name server answered with an error code, and none with an answer.
    ErrorCode,
    /// The kernel took a policy, or addresses of a name.
    Update,
    /// The kernel did not take a policy.
    ApplyFailed,
    /// Addresses of an allowed name are not let pass.
    AddFailed,
}

const COUNTS: usize = Count::AddFailed as usize + 1;

/// Bounds of groups of times, in seconds. A question may take the timeout of many name servers, one after the other.
const BOUNDS: [f64; 19] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0,
    300.0, 600.0,
];

/// Everything counted since the sidecar started. On lines of the cache that hold nothing else.
#[derive(Debug)]
#[repr(align(64))]
pub struct Metrics {
    counts: [AtomicU64; COUNTS],
    /// Questions asked outside, by how long that took; the last group has no upper bound.
    times: [AtomicU64; BOUNDS.len() + 1],
    /// Nanoseconds that all of them took.
    nanos: AtomicU64,
    /// Rules of the policy the kernel took last.
    rules: AtomicU64,
    since: SystemTime,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            counts: Default::default(),
            times: Default::default(),
            nanos: AtomicU64::default(),
            rules: AtomicU64::default(),
            since: SystemTime::now(),
        }
    }
}

impl Metrics {
    /// It has happened once more.
    pub fn count(&self, what: Count) {
        add(&self.counts[what as usize], 1);
    }

    /// A question was asked outside, with or without success.
    pub fn asked(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let group = BOUNDS.partition_point(|bound| *bound < seconds);
        add(&self.times[group], 1);
        add(&self.nanos, took.as_nanos() as u64);
    }

    /// The kernel took a policy of so many rules.
    pub fn in_force(&self, rules: usize) {
        self.rules.store(rules as u64, Ordering::Relaxed);
        self.count(Count::Update);
    }

    fn read(&self, what: Count) -> u64 {
        self.counts[what as usize].load(Ordering::Relaxed)
    }
}

/// For one writer at a time; readers see the sum of before or after.
fn add(sum: &AtomicU64, more: u64) {
    sum.store(sum.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_group_whose_bound_they_do_not_exceed() {
        let metrics = Metrics::default();
        for (nanos, group) in
            [(0, 0), (1_000_000, 0), (1_000_001, 1), (600_000_000_000, 18), (u64::MAX / 2, 19)]
        {
            let before = metrics.times[group].load(Ordering::Relaxed);
            metrics.asked(Duration::from_nanos(nanos));
            assert_eq!(metrics.times[group].load(Ordering::Relaxed), before + 1, "{nanos}");
        }
    }
}
