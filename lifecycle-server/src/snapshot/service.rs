//! Accepts, finds, restores and removes snapshots.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;
use uuid::Uuid;

use super::{Filter, LEASE_PREFIX, Snapshot, SnapshotError, SnapshotState, image_name, owner, record::now};
use crate::{
    fault,
    image::{ImageError, ImageStore},
    otel,
    sandbox::{CreateSpec, Owner, PageRequest, Record, Scope, Service},
    store::Store,
};

/// Snapshots made at once; each keeps a processor and the disk busy.
pub(super) const PARALLEL: usize = 2;
/// Snapshots that may be under way or wait for their turn.
const MAX_UNDER_WAY: usize = 64;

/// The snapshots of this server. Cheap to clone.
#[derive(Clone)]
pub struct Snapshots {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) sandboxes: Service,
    pub(super) images: ImageStore,
    pub(super) store: Store,
    pub(super) making: Semaphore,
    pub(super) tasks: TaskTracker,
    /// What callers wait for, and what goes on if they go away.
    calls: TaskTracker,
    pub(super) stopping: CancellationToken,
}

/// An image kept for a restore.
struct Kept {
    image: String,
    owner: String,
}

/// A part of the list, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    pub items: Vec<Snapshot>,
    pub total_items: u64,
}

impl Snapshots {
    /// Finishes or undoes what an earlier server left half done.
    pub async fn start(sandboxes: Service, images: ImageStore, store: Store) -> Result<Self, SnapshotError> {
        let snapshots = Self::idle(sandboxes, images, store);
        snapshots.inner.recover().await?;
        Ok(snapshots)
    }

    /// Leaves alone what an earlier server left.
    pub fn idle(sandboxes: Service, images: ImageStore, store: Store) -> Self {
        let inner = Arc::new(Inner {
            sandboxes,
            images,
            store,
            making: Semaphore::new(PARALLEL),
            tasks: TaskTracker::new(),
            calls: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        Self { inner }
    }

    /// Promises a snapshot of a sandbox; it is made in the background.
    pub async fn create(
        &self,
        owner: Option<Owner>,
        sandbox_id: &str,
        name: Option<String>,
    ) -> Result<Snapshot, SnapshotError> {
        let (inner, id) = (Arc::clone(&self.inner), sandbox_id.to_owned());
        self.owned(async move { inner.promise(owner, &id, name).await }).await
    }

    pub async fn get(&self, scope: &Scope, id: &str) -> Result<Snapshot, SnapshotError> {
        self.inner.converged(self.inner.find(scope, id).await?).await
    }

    pub async fn list(&self, filter: &Filter, page: PageRequest) -> Result<Page, SnapshotError> {
        let size = i64::try_from(page.page_size).unwrap_or(i64::MAX);
        let skipped = i64::try_from(page.page.saturating_sub(1)).unwrap_or(i64::MAX).saturating_mul(size);
        let (found, total_items) = self.inner.store.snapshots(filter, skipped, size).await?;
        let mut items = Vec::with_capacity(found.len());
        for snapshot in found {
            items.push(self.inner.converged(snapshot).await?);
        }
        Ok(Page { items, total_items })
    }

    /// Starts a sandbox, from a snapshot if that is what was asked for.
    pub async fn create_sandbox(&self, spec: CreateSpec) -> Result<Arc<Record>, SnapshotError> {
        let Some(id) = spec.snapshot_id.clone() else {
            return Ok(self.inner.sandboxes.create(spec).await?);
        };
        let inner = Arc::clone(&self.inner);
        self.owned(async move { inner.restore(spec, &id).await }).await
    }

    /// Removes a snapshot and its image.
    pub async fn delete(&self, scope: &Scope, id: &str) -> Result<(), SnapshotError> {
        self.inner.find(scope, id).await?;
        let (inner, id) = (Arc::clone(&self.inner), id.to_owned());
        self.owned(async move { inner.delete(&id).await }).await
    }

    /// Runs `work` to its end even if the caller goes away.
    async fn owned<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, SnapshotError>> + Send + 'static,
    ) -> Result<T, SnapshotError> {
        self.inner
            .calls
            .spawn(otel::carried(work).in_current_span())
            .await
            .map_err(|_| SnapshotError::ShuttingDown)?
    }

    /// Gives up what is under way; the next start tidies up.
    pub async fn shutdown(&self) {
        self.inner.stopping.cancel();
        for tasks in [&self.inner.calls, &self.inner.tasks] {
            tasks.close();
            tasks.wait().await;
        }
    }
}

/// Reason of a snapshot whose image somebody took away.
const MISSING_IMAGE: &str = "snapshot_runtime_missing_image";

impl Inner {
    /// The snapshot, if it exists for `scope`.
    async fn find(&self, scope: &Scope, id: &str) -> Result<Snapshot, SnapshotError> {
        let found = self.store.snapshot(id).await?.filter(|found| scope.covers(found.tenant.as_deref()));
        found.ok_or_else(|| SnapshotError::NotFound(id.to_owned()))
    }

    /// The snapshot as it really is: without its image it has failed.
    async fn converged(&self, mut snapshot: Snapshot) -> Result<Snapshot, SnapshotError> {
        let (SnapshotState::Ready, Some(image)) = (snapshot.state, &snapshot.image_id) else {
            return Ok(snapshot);
        };
        if self.store.is_own(&snapshot.owner) && self.images.find(image).await?.is_none() {
            let message = "the snapshot's image is no longer there".to_owned();
            snapshot.enter(SnapshotState::Failed, MISSING_IMAGE, Some(message));
            self.store.update_snapshot(&snapshot, SnapshotState::Ready).await?;
        }
        Ok(snapshot)
    }

    async fn promise(
        self: &Arc<Self>,
        owner: Option<Owner>,
        sandbox_id: &str,
        name: Option<String>,
    ) -> Result<Snapshot, SnapshotError> {
        if self.stopping.is_cancelled() {
            return Err(SnapshotError::ShuttingDown);
        }
        let scope = owner.as_ref().map_or(Scope::All, Owner::scope);
        let sandbox = self.sandboxes.get_in(&scope, sandbox_id)?;
        let state = sandbox.status.state;
        if !state.has_files() {
            return Err(SnapshotError::InvalidSource(format!(
                "sandbox {sandbox_id} is {state}: there is nothing to make a snapshot of"
            )));
        }
        if self.tasks.len() >= MAX_UNDER_WAY {
            return Err(SnapshotError::TooMany(self.tasks.len()));
        }
        let id = Uuid::new_v4().hyphenated().to_string();
        let tenant = sandbox.plan.tenant.clone();
        let snapshot = Snapshot { tenant, ..Snapshot::new(id, sandbox_id.to_owned(), name, now()) };
        // How much it takes shows later; who has nothing left is told now.
        self.sandboxes
            .take_disk(owner.as_ref(), 1, async {
                Ok::<_, SnapshotError>(self.store.insert_snapshot(&snapshot).await?)
            })
            .await?;
        fault::point("snapshot.accepted");
        let (worker, task) = (Arc::clone(self), snapshot.clone());
        self.tasks.spawn(async move { worker.make(task, owner).await }.in_current_span());
        Ok(snapshot)
    }

    async fn restore(&self, mut spec: CreateSpec, id: &str) -> Result<Arc<Record>, SnapshotError> {
        self.find(&spec.owner.as_ref().map_or(Scope::All, Owner::scope), id).await?;
        let kept = self.keep(id).await?;
        spec.image.reference.clone_from(&kept.image);
        let created = self.sandboxes.create(spec).await;
        // By now the sandbox keeps the image itself, or there is none.
        self.images.release(&kept.owner).await?;
        Ok(created?)
    }

    /// Keeps the image of a ready snapshot for a sandbox that is about to start. A deletion looks for such leases after
    /// it has said what it is up to, and this looks at the state after it has taken one: either sees the other.
    async fn keep(&self, id: &str) -> Result<Kept, SnapshotError> {
        let image = self.restorable(id).await?;
        let owner = format!("{LEASE_PREFIX}restore-{}", Uuid::new_v4().simple());
        match self.images.lease(&image, &owner).await {
            Ok(_) => {}
            Err(ImageError::NotFound(_)) => return Err(SnapshotError::MissingImage(id.to_owned())),
            Err(error) => return Err(error.into()),
        }
        match self.restorable(id).await {
            Ok(_) => Ok(Kept { image, owner }),
            Err(error) => {
                self.images.release(&owner).await?;
                Err(error)
            }
        }
    }

    async fn restorable(&self, id: &str) -> Result<String, SnapshotError> {
        let found = self.store.snapshot(id).await?;
        let snapshot = self.converged(found.ok_or_else(|| SnapshotError::NotFound(id.to_owned()))?).await?;
        if snapshot.reason == MISSING_IMAGE {
            return Err(SnapshotError::MissingImage(snapshot.id));
        }
        match (snapshot.state, snapshot.image_id) {
            (SnapshotState::Ready, Some(image)) => Ok(image),
            (SnapshotState::Ready, None) => Err(SnapshotError::MissingImage(snapshot.id)),
            (state, _) => Err(SnapshotError::NotReady { id: snapshot.id, state }),
        }
    }

    async fn delete(&self, id: &str) -> Result<(), SnapshotError> {
        let found = self.store.snapshot(id).await?;
        let mut snapshot = found.ok_or_else(|| SnapshotError::NotFound(id.to_owned()))?;
        let from = snapshot.state;
        if from == SnapshotState::Creating {
            return Err(SnapshotError::InvalidState { id: id.to_owned(), state: from });
        }
        let before = snapshot.clone();
        if from != SnapshotState::Deleting {
            snapshot.enter(SnapshotState::Deleting, "snapshot_delete_requested", None);
            self.store.update_snapshot(&snapshot, from).await?;
            fault::point("snapshot.deleting");
        }
        if let Some(image) = &snapshot.image_id
            && let Err(error) = self.refuse_if_used(id, image).await
        {
            if from != SnapshotState::Deleting {
                self.store.update_snapshot(&before, SnapshotState::Deleting).await?;
            }
            return Err(error);
        }
        self.remove(&snapshot).await?;
        tracing::info!(snapshot.id = %id, "snapshot deleted");
        Ok(())
    }

    async fn refuse_if_used(&self, id: &str, image: &str) -> Result<(), SnapshotError> {
        let own = owner(id);
        let leases = self.images.leases().await?;
        let users: Vec<_> =
            leases.into_iter().filter(|lease| lease.image_id == image && lease.owner != own).collect();
        match users.first() {
            None => Ok(()),
            Some(user) => Err(SnapshotError::InUse(format!(
                "snapshot {id} is used by {} sandbox(es), such as {}",
                users.len(),
                user.owner
            ))),
        }
    }

    /// The image, then the row: a row without an image can be deleted again, an image without a row nobody would find.
    pub(super) async fn remove(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        self.images.release(&owner(&snapshot.id)).await?;
        match self.images.remove(&image_name(&snapshot.id)).await {
            Ok(_) | Err(ImageError::NotFound(_)) => {}
            Err(ImageError::InUse(text)) => return Err(SnapshotError::InUse(text)),
            Err(error) => return Err(error.into()),
        }
        fault::point("snapshot.image_removed");
        self.store.delete_snapshot(&snapshot.id).await?;
        Ok(())
    }
}
