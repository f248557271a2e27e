//! What a tenant keeps on the disk beside its sandboxes' own file systems, as its quota counts it.

use std::sync::Arc;

use super::{book::Entry, error::ServiceError, owner::Owner, record::Record, service::Inner, state::State};
use crate::volume::{Size, Source};

impl Inner {
    /// Bytes of an owner's named volumes here, if the quota counts them.
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
        self.volumes_of(owner, own.iter().any(may_write)).await
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

    /// Puts right what a stopped sandbox's memory takes: the server that stopped it may have been too old to say.
    pub(super) async fn recount_kept(&self, entry: &Entry) {
        let record = entry.record();
        let kept_bytes = self.runtime.kept_memory(&record.id).await;
        if kept_bytes == record.kept_bytes {
            return;
        }
        let counted = Record { kept_bytes, ..Record::clone(&record) };
        if let Err(error) = self.book.commit(entry, counted).await {
            tracing::warn!(sandbox.id = %record.id, %error, "what a kept memory takes is not on record");
        }
    }

    /// Bytes of an owner's snapshots on all servers, if the quota counts them.
    pub(super) async fn snapshots_of(&self, owner: &Owner) -> Result<u64, ServiceError> {
        match owner.quota.disk_bytes {
            Some(_) => Ok(self.book.store.snapshot_bytes(&owner.tenant).await?),
            None => Ok(0),
        }
    }
}
