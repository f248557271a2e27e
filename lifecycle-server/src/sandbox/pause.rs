//! Freezing a sandbox where it is, and letting it go on.
//!
//! The freezer changes first and the record follows, both behind the gate: nobody ever sees a sandbox half-way. A server
//! that is killed in between finds the record unchanged, and recovery sets the freezer to what the record says.

use std::sync::Arc;

use super::{
    book::Entry,
    error::ServiceError,
    record::Record,
    service::{Inner, Service},
    state::{Event, State},
};
use crate::fault;

impl Service {
    /// Freezes every process of a running sandbox; returns once all of them are.
    ///
    /// # Errors
    /// `Denied` unless the sandbox runs.
    pub async fn pause(&self, id: &str) -> Result<Arc<Record>, ServiceError> {
        let entry = self.inner.book.entry(id)?;
        let inner = Arc::clone(&self.inner);
        self.owned(async move { inner.pause(&entry).await }).await
    }

    /// Lets a paused sandbox go on.
    ///
    /// # Errors
    /// `Denied` unless the sandbox is paused.
    pub async fn resume(&self, id: &str) -> Result<Arc<Record>, ServiceError> {
        let entry = self.inner.book.entry(id)?;
        let inner = Arc::clone(&self.inner);
        self.owned(async move { inner.resume(&entry).await }).await
    }
}

impl Inner {
    pub(super) async fn pause(&self, entry: &Arc<Entry>) -> Result<Arc<Record>, ServiceError> {
        // Also before the gate: a start may hold it for hours, and its sandbox cannot be paused anyway. But one on record
        // as paused may be about to run: who got an answer from it knows before the record does.
        let state = entry.record().status.state;
        if state != State::Paused {
            state.apply(&Event::Paused)?;
        }
        let _gate = entry.gate.lock().await;
        let record = self.book.still_there(entry)?;
        record.status.state.apply(&Event::Paused)?;
        self.freeze(entry, record).await
    }

    /// From running to paused; the gate is held by the caller.
    pub(super) async fn freeze(
        &self,
        entry: &Arc<Entry>,
        record: Record,
    ) -> Result<Arc<Record>, ServiceError> {
        let id = record.id.clone();
        // What arrives from here on wakes a sandbox that is to be woken, however the two cross.
        entry.activity.look();
        self.runtime.freeze(&id).await?;
        fault::point("pause.frozen");
        let paused = self.book.advance(entry, record, &Event::Paused).await;
        fault::point("pause.recorded");
        match &paused {
            Ok(_) => tracing::info!(sandbox.id = %id, "sandbox paused"),
            Err(_) => self.undo(&id, self.runtime.thaw(&id).await),
        }
        paused
    }

    pub(super) async fn resume(&self, entry: &Arc<Entry>) -> Result<Arc<Record>, ServiceError> {
        entry.record().status.state.apply(&Event::Resumed)?;
        let _gate = entry.gate.lock().await;
        let record = self.book.still_there(entry)?;
        record.status.state.apply(&Event::Resumed)?;
        let id = record.id.clone();
        self.runtime.thaw(&id).await?;
        fault::point("resume.thawed");
        let resumed = self.book.advance(entry, record, &Event::Resumed).await;
        fault::point("resume.recorded");
        match &resumed {
            Ok(_) => {
                entry.activity.touch();
                tracing::info!(sandbox.id = %id, "sandbox resumed");
            }
            Err(_) => self.undo(&id, self.runtime.freeze(&id).await),
        }
        resumed
    }

    /// The record could not follow: the freezer goes back, and what went wrong first is what the caller hears of.
    fn undo(&self, id: &str, undone: Result<(), crate::runtime::RuntimeError>) {
        if let Err(error) = undone {
            tracing::error!(sandbox.id = %id, %error, "freezer and record disagree until the next start");
        }
    }
}
