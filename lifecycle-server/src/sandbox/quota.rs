//! Holds what tenants make against what they may have.

use tokio::sync::MutexGuard;

use super::{
    error::ServiceError,
    owner::{Limited, Owner, Scope},
    record::Record,
    service::{Inner, Service},
};
use crate::runtime::Limits;

/// What one owner has at one moment.
struct Holdings {
    sandboxes: Vec<Limited>,
    /// Bytes of what is stored beside sandboxes.
    stored: u64,
}

/// A sandbox counts with the limits it was created with until its program has ended or it is gone.
fn counts(record: &Record, tenant: &str) -> bool {
    record.plan.tenant.as_deref() == Some(tenant) && !record.status.state.is_final()
}

impl Inner {
    /// Refuses a sandbox of these limits its owner has no room for. Hold what this returns until the sandbox counts:
    /// two at once must not both take the last place.
    pub(super) async fn admit(
        &self,
        owner: Option<&Owner>,
        wanted: Limits,
    ) -> Result<Option<MutexGuard<'_, ()>>, ServiceError> {
        let Some(owner) = owner.filter(|owner| !owner.quota.is_unlimited()) else { return Ok(None) };
        let (guard, present) = self.alone_with(owner).await?;
        owner.quota.admit(&present.sandboxes, present.stored, &wanted.into())?;
        Ok(Some(guard))
    }

    /// Everything `owner` has, and nothing is added to it while the guard is held.
    async fn alone_with(&self, owner: &Owner) -> Result<(MutexGuard<'_, ()>, Holdings), ServiceError> {
        // Measured before others have to wait: it may take a while, and changes all the time anyway.
        let measures = owner.quota.disk_bytes.is_some();
        let volumes = if measures { self.options.volumes.size_of(&owner.tenant).await } else { 0 };
        let guard = self.book.admission.lock().await;
        let snapshots = if measures { self.book.store.snapshot_bytes(&owner.tenant).await? } else { 0 };
        let mut sandboxes: Vec<Limited> =
            self.members_of(&owner.scope()).into_iter().map(Limited::from).collect();
        let records: Vec<_> = self.book.entries().values().map(|entry| entry.record()).collect();
        let own = records.iter().filter(|record| counts(record, &owner.tenant));
        sandboxes.extend(own.map(|record| Limited::from(record.plan.limits())));
        Ok((guard, Holdings { sandboxes, stored: volumes.saturating_add(snapshots) }))
    }
}

impl Service {
    /// Takes `bytes` of an owner's disk for something beside sandboxes; `keep` makes them count.
    pub async fn take_disk<E: From<ServiceError>>(
        &self,
        owner: Option<&Owner>,
        bytes: u64,
        keep: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let limited = owner.filter(|owner| owner.quota.disk_bytes.is_some());
        let _guard = match limited {
            Some(owner) => {
                let (guard, present) = self.inner.alone_with(owner).await?;
                let fits = owner.quota.admit_bytes(&present.sandboxes, present.stored, bytes);
                fits.map_err(ServiceError::from)?;
                Some(guard)
            }
            None => None,
        };
        keep.await
    }

    /// Whether the sandbox exists for `scope`.
    pub fn get_in(&self, scope: &Scope, id: &str) -> Result<std::sync::Arc<Record>, ServiceError> {
        let record = self.get(id)?;
        match scope.covers(record.plan.tenant.as_deref()) {
            true => Ok(record),
            false => Err(ServiceError::NotFound(id.to_owned())),
        }
    }
}
