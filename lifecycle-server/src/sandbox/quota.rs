//! Holds what tenants make against what they may have.

use tokio::sync::MutexGuard;

use super::{
    error::ServiceError,
    owner::{Limited, Owner, Scope},
    record::{CreateSpec, Record},
    service::{Inner, Service},
    state::State,
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
        let stored = self.stored_here(owner).await;
        let guard = self.book.admission.lock().await;
        let present = self.holdings(owner, stored, None).await?;
        Ok((guard, present))
    }

    /// What `owner` has on all servers of the database, without the sandbox `except`; `stored` is what he keeps here.
    async fn holdings(
        &self,
        owner: &Owner,
        stored: u64,
        except: Option<&str>,
    ) -> Result<Holdings, ServiceError> {
        let store = &self.book.store;
        let snapshots = self.snapshots_of(owner).await?;
        let mut sandboxes: Vec<Limited> =
            self.members_of(&owner.scope()).into_iter().map(Limited::from).collect();
        let mut records: Vec<_> = self.book.entries().values().map(|entry| entry.record()).collect();
        if store.is_shared() {
            records.extend(store.others_records().await?);
            let pools = store.others_pools().await?.into_iter();
            let own =
                pools.filter(|pool| pool.row.owner.as_ref().is_some_and(|of| of.tenant == owner.tenant));
            sandboxes.extend(own.flat_map(|pool| {
                std::iter::repeat_n(pool.row.recipe.limits, pool.members).map(Limited::from)
            }));
        }
        records.retain(|record| counts(record, &owner.tenant) && except != Some(&*record.id));
        sandboxes.extend(records.iter().map(|record| Limited::from(record.plan.limits())));
        let stopped = records.iter().filter(|record| record.status.state == State::Stopped);
        let stored = stopped.map(|record| record.kept_bytes).fold(stored, u64::saturating_add);
        Ok(Holdings { sandboxes, stored: stored.saturating_add(snapshots) })
    }

    /// Looks again at the quota of a new sandbox that is on record. Servers that took the last place at the same time see
    /// each other now: none goes beyond the quota, and perhaps none gets the place.
    pub(super) async fn confirm_quota(&self, spec: &CreateSpec, id: &str) -> Result<(), ServiceError> {
        let limited = spec.owner.as_ref().filter(|owner| !owner.quota.is_unlimited());
        let Some(owner) = limited.filter(|_| self.book.store.is_shared()) else { return Ok(()) };
        let stored = self.stored_here(owner).await;
        let present = self.holdings(owner, stored, Some(id)).await?;
        Ok(owner.quota.admit(&present.sandboxes, present.stored, &spec.limits.into())?)
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
