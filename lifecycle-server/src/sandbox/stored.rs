//! What a tenant keeps on the disk beside its sandboxes' own file systems, as its quota counts it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use super::{error::ServiceError, owner::Owner, record::Record, service::Inner, state::State};
use crate::volume::{Size, Source};

/// Bytes of the memory of stopped sandboxes, with the time of the stop: it stays the same as long as they are stopped.
#[derive(Debug, Default)]
pub(super) struct KeptMemory(Mutex<HashMap<String, (DateTime<Utc>, u64)>>);

impl KeptMemory {
    fn all(&self) -> MutexGuard<'_, HashMap<String, (DateTime<Utc>, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, record: &Record) -> Option<u64> {
        let (stopped, bytes) = *self.all().get(&record.id)?;
        (stopped == record.status.last_transition_at).then_some(bytes)
    }

    fn set(&self, record: &Record, bytes: u64) {
        self.all().insert(record.id.clone(), (record.status.last_transition_at, bytes));
    }

    pub(super) fn forget(&self, id: &str) {
        self.all().remove(id);
    }
}

impl Inner {
    /// Bytes of an owner's named volumes and of the memory of its stopped sandboxes here, if the quota counts them.
    pub(super) async fn stored_here(&self, owner: &Owner) -> u64 {
        if owner.quota.disk_bytes.is_none() {
            return 0;
        }
        let own: Vec<Arc<Record>> = {
            let entries = self.book.entries();
            let records = entries.values().map(|entry| entry.record());
            records.filter(|record| record.plan.tenant.as_deref() == Some(&*owner.tenant)).collect()
        };
        let may_write = |record: &Arc<Record>| {
            let rests = record.status.state.is_final() || record.status.state == State::Stopped;
            !rests && record.plan.volumes.iter().any(|volume| matches!(volume.source, Source::Named { .. }))
        };
        let mut bytes = self.volumes_of(owner, own.iter().any(may_write)).await;
        for record in own.iter().filter(|record| record.status.state == State::Stopped) {
            bytes = bytes.saturating_add(self.memory_of(record).await);
        }
        bytes
    }

    async fn volumes_of(&self, owner: &Owner, written: bool) -> u64 {
        let volumes = &self.options.volumes;
        match volumes.known_size(&owner.tenant, written) {
            Size::Known(bytes) => bytes,
            Size::Aging(bytes) => {
                let (volumes, tenant) = (volumes.clone(), Arc::clone(&owner.tenant));
                self.tasks.spawn(async move { volumes.measure(&tenant, written).await });
                bytes
            }
            Size::Unknown => volumes.measure(&owner.tenant, written).await,
        }
    }

    async fn memory_of(&self, record: &Record) -> u64 {
        if let Some(known) = self.kept_memory.get(record) {
            return known;
        }
        let bytes = self.runtime.kept_memory(&record.id).await;
        self.kept_memory.set(record, bytes);
        bytes
    }

    /// Bytes of an owner's snapshots on all servers, if the quota counts them.
    pub(super) async fn snapshots_of(&self, owner: &Owner) -> Result<u64, ServiceError> {
        match owner.quota.disk_bytes {
            Some(_) => Ok(self.book.store.snapshot_bytes(&owner.tenant).await?),
            None => Ok(0),
        }
    }
}
