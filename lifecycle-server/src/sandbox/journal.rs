//! Notes on their way to readers.
//!
//! The store is the truth: a note is committed together with what it tells of, and readers get what was committed, in
//! that order, whatever happened to the server in between. Here is only the newest of it, so that many readers cost
//! one query; whoever reads too slowly for that reads from the store. Nobody waits for a reader.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{error::ServiceError, note::Noted};
use crate::store::{Keep, Store, StoreError};

/// Bounds of what the store keeps for readers that were away.
const KEEP: Keep = Keep { rows: 10_000, bytes: 64 << 20, per_sandbox: 100 };
/// Notes between two looks at those bounds.
const TRIM_EVERY: i64 = 256;
/// Notes held in memory.
const RECENT: usize = 512;
/// Time between two looks for notes of other servers on the same database, while anybody reads.
const LOOK: Duration = Duration::from_millis(250);
/// Notes handed on at once.
const BATCH: usize = 64;

/// Tells readers of new notes.
pub(super) struct Journal {
    store: Store,
    /// Number of the newest committed note.
    committed: watch::Sender<i64>,
    /// Number up to which `recent` has followed.
    published: watch::Sender<i64>,
    recent: Mutex<Recent>,
    /// Ends all readers.
    closing: CancellationToken,
}

/// The newest notes, without gaps: every note with a number above `base` and up to the published one is here.
#[derive(Default)]
struct Recent {
    base: i64,
    notes: VecDeque<Arc<Noted>>,
}

impl Recent {
    fn forget_up_to(&mut self, id: i64) {
        self.notes.clear();
        self.base = id;
    }

    fn push(&mut self, note: Noted) {
        self.notes.push_back(Arc::new(note));
        while self.notes.len() > RECENT
            && let Some(oldest) = self.notes.pop_front()
        {
            self.base = oldest.id;
        }
    }

    /// What follows `cursor`; `None` if that reaches further back than this does.
    fn after(&self, cursor: i64) -> Option<Vec<Arc<Noted>>> {
        if cursor < self.base {
            return None;
        }
        let first = self.notes.partition_point(|noted| noted.id <= cursor);
        Some(self.notes.range(first..).take(BATCH).cloned().collect())
    }
}

impl Journal {
    pub(super) async fn open(store: Store) -> Result<Arc<Self>, StoreError> {
        let last = store.last_note().await?;
        store.trim_notes(KEEP).await?;
        let recent = Mutex::new(Recent { base: last, notes: VecDeque::new() });
        let (committed, published) = (watch::Sender::new(last), watch::Sender::new(last));
        Ok(Arc::new(Self { store, committed, published, recent, closing: CancellationToken::new() }))
    }

    /// A note with this number was committed.
    pub(super) fn committed(&self, id: i64) {
        self.committed.send_if_modified(|newest| {
            let is_newer = id > *newest;
            *newest = id.max(*newest);
            is_newer
        });
    }

    /// Follows the store for as long as the server runs.
    pub(super) async fn follow(&self) {
        let mut committed = self.committed.subscribe();
        let mut trimmed = *committed.borrow();
        loop {
            let newest = *committed.borrow_and_update();
            if let Err(error) = self.publish(newest).await {
                tracing::error!(%error, "new events could not be read; readers take them from the store");
                self.recent().forget_up_to(newest);
                self.published.send_replace(newest);
            }
            if newest - trimmed >= TRIM_EVERY {
                trimmed = newest;
                if let Err(error) = self.store.trim_notes(KEEP).await {
                    tracing::warn!(%error, "old events could not be removed");
                }
            }
            tokio::select! {
                changed = committed.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK), if self.store.is_shared() => self.look_at_others().await,
            }
        }
    }

    /// Other servers write notes too.
    async fn look_at_others(&self) {
        if self.published.receiver_count() == 0 {
            return;
        }
        match self.store.last_note().await {
            Ok(last) => self.committed(last),
            Err(error) => tracing::warn!(%error, "events of other servers come late"),
        }
    }

    async fn publish(&self, newest: i64) -> Result<(), StoreError> {
        if self.published.receiver_count() == 0 {
            self.recent().forget_up_to(newest);
            self.published.send_replace(newest);
            return Ok(());
        }
        loop {
            let last = *self.published.borrow();
            let notes = self.store.notes_after(last, BATCH as i64).await?;
            let Some(last) = notes.last().map(|noted| noted.id) else { return Ok(()) };
            let mut recent = self.recent();
            notes.into_iter().for_each(|note| recent.push(note));
            drop(recent);
            self.published.send_replace(last);
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all readers, now and later.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }
}

/// One reader. It holds a number, and nothing else grows while it does not read.
pub struct Subscription {
    journal: Arc<Journal>,
    published: watch::Receiver<i64>,
    cursor: i64,
    /// Some notes between the reader's place and the present are gone.
    missed: bool,
}

impl Subscription {
    /// Reads on after note `after`, or from now on.
    pub(super) async fn new(journal: &Arc<Journal>, after: Option<i64>) -> Result<Self, ServiceError> {
        let published = journal.published.subscribe();
        if journal.store.is_shared() {
            journal.committed(journal.store.last_note().await?);
        }
        let newest = *journal.committed.borrow();
        let (cursor, missed) = match after {
            None => (newest, false),
            // Another database's number: what came before is not known, what comes now is.
            Some(after) if after > newest => (newest, true),
            Some(after) => (after, after < journal.store.notes_floor().await?),
        };
        Ok(Self { journal: Arc::clone(journal), published, cursor, missed })
    }

    /// Whether notes after the place asked for are gone; says so once.
    pub fn take_missed(&mut self) -> bool {
        std::mem::take(&mut self.missed)
    }

    /// Number of the last note handed out, or the place reading began at.
    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    /// Waits for the next notes and answers some of them; nothing once the server stops. May be given up and called
    /// again without losing any.
    pub async fn next(&mut self) -> Result<Vec<Arc<Noted>>, ServiceError> {
        loop {
            self.published.borrow_and_update();
            let known = self.journal.recent().after(self.cursor);
            let notes = match known {
                Some(notes) => notes,
                None => match self.read_store().await? {
                    notes if notes.is_empty() => continue,
                    notes => notes,
                },
            };
            if let Some(last) = notes.last() {
                self.cursor = last.id;
                return Ok(notes);
            }
            tokio::select! {
                () = self.journal.closing.cancelled() => return Ok(Vec::new()),
                changed = self.published.changed() => {
                    if changed.is_err() {
                        return Ok(Vec::new());
                    }
                }
            }
        }
    }

    /// What memory no longer has. A reader that was overtaken by the removal of old notes is told.
    async fn read_store(&mut self) -> Result<Vec<Arc<Noted>>, ServiceError> {
        let notes = self.journal.store.notes_after(self.cursor, BATCH as i64).await?;
        if self.journal.store.notes_floor().await? > self.cursor
            && notes.first().is_none_or(|first| first.id > self.cursor + 1)
        {
            self.missed = true;
        }
        if notes.is_empty() {
            self.cursor = self.cursor.max(self.journal.recent().base);
        }
        Ok(notes.into_iter().map(Arc::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::sandbox::{Note, record_for_tests};

    async fn note(journal: &Journal, message: &str) -> i64 {
        let record = record_for_tests("a", Utc::now());
        let id = journal.store.note(&Note::image(&record, Utc::now(), message, None)).await.unwrap();
        journal.committed(id);
        id
    }

    async fn journal() -> Arc<Journal> {
        let journal = Journal::open(Store::in_memory().await.unwrap()).await.unwrap();
        let followed = Arc::clone(&journal);
        tokio::spawn(async move { followed.follow().await });
        journal
    }

    /// Reads until number `last` has come; all numbers.
    async fn read_to(reader: &mut Subscription, last: i64) -> Vec<i64> {
        let mut ids: Vec<i64> = Vec::new();
        while ids.last().is_none_or(|id| *id < last) {
            ids.extend(reader.next().await.unwrap().iter().map(|noted| noted.id));
        }
        ids
    }

    #[tokio::test]
    async fn a_reader_gets_everything_from_where_it_was_each_once_and_in_order() {
        let journal = journal().await;
        for n in 0..5 {
            note(&journal, &n.to_string()).await;
        }
        let mut from_start = Subscription::new(&journal, Some(0)).await.unwrap();
        let mut from_two = Subscription::new(&journal, Some(2)).await.unwrap();
        let mut from_now = Subscription::new(&journal, None).await.unwrap();
        for n in 5..200 {
            note(&journal, &n.to_string()).await;
        }
        assert_eq!(read_to(&mut from_start, 200).await, (1..=200).collect::<Vec<_>>());
        assert_eq!(read_to(&mut from_two, 200).await, (3..=200).collect::<Vec<_>>());
        assert_eq!(read_to(&mut from_now, 200).await, (6..=200).collect::<Vec<_>>());
        assert!(!from_start.take_missed());
    }

    #[tokio::test]
    async fn a_reader_that_slept_reads_on_from_the_store() {
        let journal = journal().await;
        let mut awake = Subscription::new(&journal, None).await.unwrap();
        let mut asleep = Subscription::new(&journal, None).await.unwrap();
        let last = RECENT as i64 + 300;
        for n in 1..=last {
            note(&journal, &n.to_string()).await;
            if n % 50 == 0 {
                read_to(&mut awake, n).await;
            }
        }
        assert!(journal.recent().base > 0, "memory holds everything, so this proves nothing");
        assert_eq!(read_to(&mut asleep, last).await, (1..=last).collect::<Vec<_>>());
        assert!(!asleep.take_missed());
    }

    #[tokio::test]
    async fn a_reader_is_told_when_notes_are_gone() {
        let journal = journal().await;
        for n in 0..10 {
            note(&journal, &n.to_string()).await;
        }
        journal.store.trim_notes(Keep { rows: 4, bytes: 1 << 20, per_sandbox: 0 }).await.unwrap();
        let mut late = Subscription::new(&journal, Some(2)).await.unwrap();
        assert!(late.take_missed() && !late.take_missed());
        assert_eq!(read_to(&mut late, 10).await, [7, 8, 9, 10]);
        let mut stranger = Subscription::new(&journal, Some(4711)).await.unwrap();
        assert!(stranger.take_missed());
        let next = note(&journal, "next").await;
        assert_eq!(read_to(&mut stranger, next).await, [next]);
    }

    #[tokio::test]
    async fn readers_end_with_the_server() {
        let journal = journal().await;
        let mut reader = Subscription::new(&journal, None).await.unwrap();
        let waits = tokio::spawn(async move { reader.next().await.unwrap().len() });
        tokio::task::yield_now().await;
        journal.close();
        let ended = tokio::time::timeout(Duration::from_secs(5), waits).await;
        assert_eq!(ended.unwrap().unwrap(), 0);
    }
}
