//! Which sandbox expires next.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

/// Longest sleep, so that a wall clock set forward is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// The instants at which sandboxes expire, each sandbox at most once.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    schedule: Mutex<Schedule>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Schedule {
    by_time: BTreeSet<(DateTime<Utc>, String)>,
    by_id: HashMap<String, DateTime<Utc>>,
}

impl Expiry {
    /// Sets, moves or (with `None`) ends the expiry of `id`.
    pub(super) fn set(&self, id: &str, at: Option<DateTime<Utc>>) {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner).set(id, at);
        self.changed.notify_one();
    }

    /// Waits until something is due and takes it.
    pub(super) async fn due(&self) -> Vec<String> {
        loop {
            let wait = {
                let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
                let due = schedule.take_due(Utc::now());
                if !due.is_empty() {
                    return due;
                }
                schedule.until_next(Utc::now())
            };
            // Timing out is the point: whatever ends the wait, the schedule is looked at again.
            let _ = tokio::time::timeout(wait.min(LONGEST_SLEEP), self.changed.notified()).await;
        }
    }
}

impl Schedule {
    fn set(&mut self, id: &str, at: Option<DateTime<Utc>>) {
        if let Some(old) = self.by_id.remove(id) {
            self.by_time.remove(&(old, id.to_owned()));
        }
        if let Some(at) = at {
            self.by_id.insert(id.to_owned(), at);
            self.by_time.insert((at, id.to_owned()));
        }
    }

    fn take_due(&mut self, now: DateTime<Utc>) -> Vec<String> {
        let mut due = Vec::new();
        while let Some((at, _)) = self.by_time.first()
            && *at <= now
        {
            if let Some((_, id)) = self.by_time.pop_first() {
                self.by_id.remove(&id);
                due.push(id);
            }
        }
        due
    }

    fn until_next(&self, now: DateTime<Utc>) -> Duration {
        self.by_time.first().map_or(LONGEST_SLEEP, |(at, _)| (*at - now).to_std().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn due_in_order_each_once_and_moved_ones_only_at_their_new_time() {
        let now = Utc::now();
        let at = |seconds| Some(now + TimeDelta::seconds(seconds));
        let mut schedule = Schedule::default();
        schedule.set("b", at(-1));
        schedule.set("a", at(-2));
        schedule.set("later", at(60));
        schedule.set("moved", at(-5));
        schedule.set("moved", at(30));
        schedule.set("ended", at(-5));
        schedule.set("ended", None);
        assert_eq!(schedule.take_due(now), ["a", "b"]);
        assert!(schedule.take_due(now).is_empty());
        assert_eq!(schedule.until_next(now), Duration::from_secs(30));
        assert_eq!(schedule.take_due(now + TimeDelta::seconds(61)), ["moved", "later"]);
    }

    #[tokio::test]
    async fn a_wait_ends_when_something_sooner_comes() {
        let expiry = Expiry::default();
        expiry.set("far", Some(Utc::now() + TimeDelta::days(1)));
        let soon = async {
            tokio::task::yield_now().await;
            expiry.set("near", Some(Utc::now()));
        };
        let (due, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(5), expiry.due()), soon);
        assert_eq!(due.unwrap(), ["near"]);
    }
}
