//! Notices when sandboxes run into their limits: the kernel only counts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    book::{Entry, now},
    note::Note,
    service::Inner,
    state::State,
};
use crate::runtime::Usage;

/// Time between two looks at all running sandboxes.
const INTERVAL: Duration = Duration::from_secs(15);
/// A disk with less room than this is as good as full.
const FULL_BELOW: u64 = 64 * 1024;

/// What was counted at the last look, by sandbox.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<String, Counted>>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counted {
    oom_kills: u64,
    pids_refused: u64,
    disk_full: bool,
}

impl Counted {
    fn of(usage: &Usage) -> Self {
        Self {
            oom_kills: usage.oom_kills,
            pids_refused: usage.pids_refused,
            disk_full: usage.disk_free_bytes.is_some_and(|free| free < FULL_BELOW),
        }
    }

    /// What is new since `before`, in words and figures.
    fn news(self, before: Self) -> Vec<(String, Value)> {
        let mut news = Vec::new();
        let kills = self.oom_kills.saturating_sub(before.oom_kills);
        if kills > 0 {
            let text = format!("{kills} processes were killed at the memory limit");
            news.push((text, json!({"limit": "memory", "count": kills, "total": self.oom_kills})));
        }
        let refused = self.pids_refused.saturating_sub(before.pids_refused);
        if refused > 0 {
            let text = format!("{refused} processes or threads could not start at the limit of pids");
            news.push((text, json!({"limit": "pids", "count": refused, "total": self.pids_refused})));
        }
        if self.disk_full && !before.disk_full {
            news.push(("the disk of the sandbox is full".to_owned(), json!({"limit": "disk"})));
        }
        news
    }
}

impl Seen {
    /// Remembers the counts; what was remembered before, `None` at the first look.
    fn replace(&self, id: &str, counted: Counted) -> Option<Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), counted)
    }

    fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| keep(id));
    }
}

impl Inner {
    pub(super) async fn watch_limits(&self) {
        loop {
            let running: Vec<Arc<Entry>> = {
                let entries = self.book.entries();
                entries
                    .values()
                    .filter(|entry| entry.record().status.state == State::Running)
                    .cloned()
                    .collect()
            };
            for entry in running {
                self.look_at_limits(&entry).await;
            }
            self.seen.retain(|id| self.book.entry(id).is_ok());
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Notes what the sandbox ran into since the last look.
    pub(super) async fn look_at_limits(&self, entry: &Entry) {
        let record = entry.record();
        if record.status.state != State::Running {
            return;
        }
        let Ok(usage) = self.runtime.usage(&record.id).await else { return };
        let counted = Counted::of(&usage);
        // Counts of sandboxes that an earlier server started were reported by that one, or happened unseen; the time
        // they would get here would be wrong either way.
        let is_older = record.created_at < self.started_at;
        let before = self.seen.replace(&record.id, counted);
        let before = before.unwrap_or(if is_older { counted } else { Counted::default() });
        for (text, figures) in counted.news(before) {
            tracing::info!(sandbox.id = %record.id, "{text}");
            self.book.note(&Note::limit(&record, now(), &text, figures)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(oom_kills: u64, pids_refused: u64, disk_free: u64) -> Counted {
        let usage = Usage { oom_kills, pids_refused, disk_free_bytes: Some(disk_free), ..Usage::default() };
        Counted::of(&usage)
    }

    #[test]
    fn only_what_is_new_is_told() {
        let calm = counted(0, 0, 1 << 30);
        assert!(calm.news(Counted::default()).is_empty());
        let hit = counted(2, 7, 0);
        let kinds: Vec<_> = hit.news(calm).into_iter().map(|(_, figures)| figures["limit"].clone()).collect();
        assert_eq!(kinds, ["memory", "pids", "disk"]);
        assert!(hit.news(hit).is_empty());
        let more = counted(3, 7, 0).news(hit);
        assert_eq!(
            (more.len(), more[0].1["count"].clone(), more[0].1["total"].clone()),
            (1, json!(1), json!(3))
        );
        assert_eq!(counted(3, 7, 0).news(counted(3, 7, 1 << 30)).len(), 1);
    }
}
