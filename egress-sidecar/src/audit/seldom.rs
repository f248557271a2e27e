//! Keeps repetitions and floods from filling logs.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// The same thing again and again is told this often.
const REPEAT: Duration = Duration::from_secs(60);
/// Things remembered for that.
const REMEMBERED: usize = 1024;
/// Lines in each period of [`WINDOW`]; a flood of made-up things must not fill the disk.
const LINES: u32 = 200;
const WINDOW: Duration = Duration::from_secs(10);

/// Decides how much is told.
#[derive(Debug)]
pub(super) struct Quota {
    since: Instant,
    lines: u32,
    unsaid: u64,
}

impl Quota {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, lines: 0, unsaid: 0 }
    }

    /// Whether there may be another line, and how many there might not since the last one.
    pub(super) fn take(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.since) >= WINDOW {
            (self.since, self.lines) = (now, 0);
        }
        if self.lines >= LINES {
            self.unsaid += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// Decides what is told.
#[derive(Debug)]
pub(crate) struct Seldom {
    told: HashMap<Box<str>, Instant>,
    quota: Quota,
}

impl Seldom {
    pub(crate) fn new(now: Instant) -> Self {
        Self { told: HashMap::new(), quota: Quota::new(now) }
    }

    /// Whether this gets a line, and how many other things did not since the last one.
    pub(crate) fn tell(&mut self, what: &str, now: Instant) -> Option<u64> {
        if self.told.get(what).is_some_and(|told| now.saturating_duration_since(*told) < REPEAT) {
            return None;
        }
        let unsaid = self.quota.take(now)?;
        if self.told.len() >= REMEMBERED {
            self.told.clear();
        }
        self.told.insert(what.into(), now);
        Some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_lines_in_a_while() {
        let now = Instant::now();
        let mut quota = Quota::new(now);
        let told = (0..LINES + 7).filter(|_| quota.take(now).is_some()).count();
        assert_eq!(told, LINES as usize);
        assert_eq!(quota.take(now + WINDOW), Some(7));
        assert_eq!(quota.take(now + WINDOW), Some(0));
    }

    #[test]
    fn repetitions_and_floods_are_not_told() {
        let now = Instant::now();
        let mut seldom = Seldom::new(now);
        assert_eq!(seldom.tell("a", now), Some(0));
        assert_eq!(seldom.tell("a", now), None);
        assert_eq!(seldom.tell("a", now + REPEAT), Some(0));
        for name in 0..LINES * 2 {
            seldom.tell(&name.to_string(), now + REPEAT);
        }
        let later = now + REPEAT + WINDOW;
        assert_eq!(seldom.tell("b", later), Some(u64::from(LINES) + 1));
    }
}
