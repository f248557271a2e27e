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

/// Decides what is told.
#[derive(Debug)]
pub(crate) struct Seldom {
    told: HashMap<Box<str>, Instant>,
    since: Instant,
    lines: u32,
    unsaid: u64,
}

impl Seldom {
    pub(crate) fn new(now: Instant) -> Self {
        Self { told: HashMap::new(), since: now, lines: 0, unsaid: 0 }
    }

    /// Whether this gets a line, and how many other things did not since the last one.
    pub(crate) fn tell(&mut self, what: &str, now: Instant) -> Option<u64> {
        if self.told.get(what).is_some_and(|told| now.saturating_duration_since(*told) < REPEAT) {
            return None;
        }
        if now.saturating_duration_since(self.since) >= WINDOW {
            (self.since, self.lines) = (now, 0);
        }
        if self.lines >= LINES {
            self.unsaid += 1;
            return None;
        }
        self.lines += 1;
        if self.told.len() >= REMEMBERED {
            self.told.clear();
        }
        self.told.insert(what.into(), now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
