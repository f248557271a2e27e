//! The records of this server: the store has them for the next start, memory for every reader.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, atomic::AtomicU64},
};

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    activity::Activity,
    error::ServiceError,
    expiry::Expiry,
    journal::Journal,
    note::Note,
    record::{Record, Status},
    state::Event,
};
use crate::store::{KeyRow, Store};

pub(super) struct Book {
    pub(super) store: Store,
    pub(super) journal: Arc<Journal>,
    pub(super) expiry: Expiry,
    entries: RwLock<HashMap<String, Arc<Entry>>>,
    /// Held while an owner's room is measured and taken.
    pub(super) admission: tokio::sync::Mutex<()>,
    /// Parent of every entry's cancellation.
    stopping: CancellationToken,
}

/// One sandbox.
pub(super) struct Entry {
    /// What readers see, and what those who follow it are told of.
    record: watch::Sender<Arc<Record>>,
    /// Whether anybody uses the sandbox.
    pub(super) activity: Activity,
    /// Held while the sandbox changes.
    pub(super) gate: Arc<tokio::sync::Mutex<()>>,
    /// Ends a launch under way.
    pub(super) cancel: CancellationToken,
    /// How often it was started again under this server.
    pub(super) runs: AtomicU64,
}

impl Entry {
    fn new(record: Record, cancel: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            record: watch::Sender::new(Arc::new(record)),
            activity: Activity::default(),
            gate: Arc::default(),
            cancel,
            runs: AtomicU64::new(0),
        })
    }

    pub(super) fn record(&self) -> Arc<Record> {
        Arc::clone(&self.record.borrow())
    }

    /// The record now and whenever it changes.
    pub(super) fn follow(&self) -> watch::Receiver<Arc<Record>> {
        self.record.subscribe()
    }
}

impl Book {
    pub(super) fn new(store: Store, journal: Arc<Journal>, stopping: CancellationToken) -> Self {
        Self {
            store,
            journal,
            expiry: Expiry::default(),
            entries: RwLock::default(),
            admission: tokio::sync::Mutex::default(),
            stopping,
        }
    }

    pub(super) fn entries(&self) -> RwLockReadGuard<'_, HashMap<String, Arc<Entry>>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn entry(&self, id: &str) -> Result<Arc<Entry>, ServiceError> {
        self.entries().get(id).cloned().ok_or_else(|| ServiceError::NotFound(id.to_owned()))
    }

    /// The record behind a gate that was waited for: meanwhile the sandbox may have gone.
    pub(super) fn still_there(&self, entry: &Arc<Entry>) -> Result<Record, ServiceError> {
        let record = entry.record();
        let current = self.entry(&record.id)?;
        if !Arc::ptr_eq(&current, entry) {
            return Err(ServiceError::NotFound(record.id.clone()));
        }
        Ok(Record::clone(&record))
    }

    pub(super) fn insert(&self, record: Record) -> Arc<Entry> {
        let id = record.id.clone();
        self.expiry.set(&id, record.expires_at);
        let entry = Entry::new(record, self.stopping.child_token());
        self.entries.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&entry));
        entry
    }

    /// Stores a new record and shows it to readers.
    pub(super) async fn add(&self, record: Record) -> Result<Arc<Entry>, ServiceError> {
        let noted = self.store.insert(&record).await?;
        let entry = self.insert(record);
        self.journal.committed(noted);
        Ok(entry)
    }

    /// Records a pool's member that is about to get its owner, and the key of the request with it.
    pub(super) async fn assign(&self, entry: &Entry, key: Option<KeyRow>) -> Result<(), ServiceError> {
        let record = entry.record();
        let noted = self.store.assign_member(&record, &Note::state(&record, None), key.as_ref()).await;
        let noted = noted.map_err(|error| match key {
            // Another server has answered the same request in the meantime.
            Some(key) if error.is_taken() => ServiceError::Repeated(key.sandbox_id),
            _ => error.into(),
        })?;
        self.journal.committed(noted);
        Ok(())
    }

    /// Shows readers a sandbox that runs, before the store knows: whether it does, a later start can find out by itself.
    pub(super) fn show_running(&self, entry: &Entry) -> Result<Arc<Record>, ServiceError> {
        let mut record = Record::clone(&entry.record());
        record.status = Status::after(record.status.state.apply(&Event::Started)?, now());
        let record = Arc::new(record);
        entry.record.send_replace(Arc::clone(&record));
        Ok(record)
    }

    /// Writes down what readers have been shown. What cannot be written the store learns of with the next change.
    pub(super) async fn write_down(&self, record: &Record, details: Value) {
        match self.store.update(record, Some(&Note::state(record, Some(details)))).await {
            Ok(noted) => noted.into_iter().for_each(|id| self.journal.committed(id)),
            Err(error) => {
                tracing::warn!(sandbox.id = %record.id, %error, state = %record.status.state, "a state is not on record");
            }
        }
    }

    /// Removes a record for good; `why` if nobody asked for that.
    pub(super) async fn erase(&self, record: &Record, why: Option<&str>) -> Result<(), ServiceError> {
        let noted = self.store.delete(&Note::deleted(record, now(), why)).await?;
        self.remove(&record.id);
        self.journal.committed(noted);
        Ok(())
    }

    /// Writes down what changes no record. What cannot be written is only logged: the sandbox is more important.
    pub(super) async fn note(&self, note: &Note) {
        match self.store.note(note).await {
            Ok(id) => self.journal.committed(id),
            Err(error) => tracing::warn!(sandbox.id = %note.sandbox, %error, "an event is lost"),
        }
    }

    pub(super) fn remove(&self, id: &str) {
        self.expiry.set(id, None);
        self.entries.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Stores the record and shows it to readers, in this order.
    pub(super) async fn commit(&self, entry: &Entry, record: Record) -> Result<Arc<Record>, ServiceError> {
        self.commit_with(entry, record, None).await
    }

    async fn commit_with(
        &self,
        entry: &Entry,
        record: Record,
        details: Option<Value>,
    ) -> Result<Arc<Record>, ServiceError> {
        let is_news = entry.record().status != record.status;
        let note = is_news.then(|| Note::state(&record, details));
        let noted = self.store.update(&record, note.as_ref()).await?;
        let record = Arc::new(record);
        entry.record.send_replace(Arc::clone(&record));
        if let Some(id) = noted {
            self.journal.committed(id);
        }
        Ok(record)
    }

    pub(super) async fn advance(
        &self,
        entry: &Entry,
        record: Record,
        event: &Event,
    ) -> Result<Arc<Record>, ServiceError> {
        self.advance_with(entry, record, event, event.details()).await
    }

    /// Like [`advance`](Self::advance), for what has happened whether the store has room for it or not: without, readers
    /// see it, and the store learns of it with the next change.
    pub(super) async fn advance_anyway(
        &self,
        entry: &Entry,
        record: Record,
        event: &Event,
    ) -> Result<Arc<Record>, ServiceError> {
        self.advance_anyway_with(entry, record, event, event.details()).await
    }

    /// Like [`advance_anyway`](Self::advance_anyway), with figures of one's own to be noted.
    pub(super) async fn advance_anyway_with(
        &self,
        entry: &Entry,
        record: Record,
        event: &Event,
        details: Option<Value>,
    ) -> Result<Arc<Record>, ServiceError> {
        let transition = record.status.state.apply(event)?;
        match self.advance_with(entry, record.clone(), event, details).await {
            Err(error) if error.is_full() => {
                tracing::warn!(sandbox.id = %record.id, %error, state = %transition.state, "a state is not on record");
                let record = Arc::new(Record { status: Status::after(transition, now()), ..record });
                entry.record.send_replace(Arc::clone(&record));
                Ok(record)
            }
            done => done,
        }
    }

    /// Like [`advance`](Self::advance), with figures of one's own to be noted.
    pub(super) async fn advance_with(
        &self,
        entry: &Entry,
        mut record: Record,
        event: &Event,
        details: Option<Value>,
    ) -> Result<Arc<Record>, ServiceError> {
        let transition = record.status.state.apply(event)?;
        record.status = Status::after(transition, now());
        self.commit_with(entry, record, details).await
    }
}

/// The present instant, as precise as the store keeps it.
pub(super) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
