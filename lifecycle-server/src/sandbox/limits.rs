//! Notices when sandboxes run into their limits: the kernel only counts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    book::{Entry, now},
    note::Note,
    service::Inner,
    state::State,
};
use crate::runtime::{Exit, Usage};

/// Time between two looks at all running sandboxes.
const INTERVAL: Duration = Duration::from_secs(15);
/// A disk with less room than this is as good as full.
const FULL_BELOW: u64 = 64 * 1024;

/// Status of a program that was killed.
const KILLED: i32 = 137;
/// A look may come between a kill for memory and the news of the end that it brought about.
const SAME_KILL: Duration = INTERVAL;

/// What was counted at the last look, by sandbox.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<String, Look>>);

#[derive(Debug, Clone, Copy)]
struct Look {
    counted: Counted,
    /// When a look last found more processes killed for memory than the one before.
    killed_at: Option<Instant>,
}

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
    fn looks(&self) -> MutexGuard<'_, HashMap<String, Look>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the counts; what was remembered before, `first` at the first look.
    fn replace(&self, id: &str, counted: Counted, first: Counted, now: Instant) -> Counted {
        let mut looks = self.looks();
        let before = looks.get(id).copied().unwrap_or(Look { counted: first, killed_at: None });
        let killed_at =
            if counted.oom_kills > before.counted.oom_kills { Some(now) } else { before.killed_at };
        looks.insert(id.to_owned(), Look { counted, killed_at });
        before.counted
    }

    fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.looks().retain(|id, _| keep(id));
    }

    /// The next run of a sandbox counts anew.
    pub(super) fn forget(&self, id: &str) {
        self.looks().remove(id);
    }

    /// Whether a program ended because of the memory limit. The kernel counts whatever it kills in a sandbox: a kill is
    /// the program's own end only if that was one too, and just now.
    pub(super) fn blames_memory(&self, exit: &Exit, now: Instant) -> bool {
        let was_killed = exit.code.is_none_or(|code| code == KILLED);
        let look = self.looks().get(&exit.id).copied();
        let is_new = exit.oom_kills > look.map_or(0, |look| look.counted.oom_kills);
        let killed_at = look.and_then(|look| look.killed_at);
        was_killed && (is_new || killed_at.is_some_and(|at| now.saturating_duration_since(at) < SAME_KILL))
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
        let first = if is_older { counted } else { Counted::default() };
        let before = self.seen.replace(&record.id, counted, first, Instant::now());
        for (text, figures) in counted.news(before) {
            tracing::info!(sandbox.id = %record.id, "{text}");
            self.book.note(&Note::limit(&record, now(), &text, figures)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Run;

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

    #[test]
    fn memory_is_blamed_only_for_an_end_that_it_brought_about() {
        let exit = |code, oom_kills| Exit { id: "a".to_owned(), run: Run::default(), code, oom_kills };
        let (seen, start) = (Seen::default(), Instant::now());
        assert!(seen.blames_memory(&exit(Some(137), 1), start) && seen.blames_memory(&exit(None, 1), start));
        assert!(
            !seen.blames_memory(&exit(Some(0), 1), start) && !seen.blames_memory(&exit(Some(3), 1), start)
        );
        assert!(!seen.blames_memory(&exit(Some(137), 0), start));

        seen.replace("a", counted(1, 0, 1 << 30), Counted::default(), start);
        assert!(seen.blames_memory(&exit(Some(137), 1), start), "looked at between kill and end");
        let later = start + SAME_KILL;
        assert!(!seen.blames_memory(&exit(Some(137), 1), later), "that was a command's");
        assert!(seen.blames_memory(&exit(Some(137), 2), later));
        seen.forget("a");
        assert!(seen.blames_memory(&exit(Some(137), 1), later), "another run");
    }
}
