//! From a running, paused or stopped sandbox to an image.

use std::time::Duration;

use tokio::time::sleep;

use super::{LEASE_PREFIX, Snapshot, SnapshotError, SnapshotState, image_name, owner, service::Inner};
use crate::{
    fault,
    image::{Base, ImageError},
    sandbox::{Owner, ServiceError},
    store::StoreError,
};

/// Between two attempts to record how a snapshot ended.
const RECORD_PAUSE: Duration = Duration::from_secs(1);

impl Inner {
    /// Makes what was promised, or records why not.
    pub(super) async fn make(&self, mut snapshot: Snapshot, owner: Option<Owner>) {
        let made = tokio::select! {
            // The next start finds the row and what was made of the image.
            () = self.stopping.cancelled() => return,
            made = self.build(&mut snapshot, owner.as_ref()) => made,
        };
        match made {
            Ok(image) => {
                snapshot.image_id = Some(image);
                snapshot.enter(SnapshotState::Ready, "snapshot_runtime_ready", None);
            }
            Err(error) => {
                tracing::warn!(snapshot.id = %snapshot.id, sandbox.id = %snapshot.sandbox_id, %error, "a snapshot failed");
                self.undo(&snapshot.id).await;
                snapshot.bytes = None;
                let reason = match error {
                    SnapshotError::Image(ImageError::Stalled(_)) => "snapshot_runtime_timeout",
                    _ => "snapshot_runtime_failed",
                };
                snapshot.enter(SnapshotState::Failed, reason, Some(error.to_string()));
            }
        }
        tokio::select! {
            // Then the next start finds out what became of it.
            () = self.stopping.cancelled() => {}
            () = self.record_end(&snapshot) => {}
        }
    }

    /// Records how it ended, once the store has room for that and can be reached: what stays `Creating` cannot be deleted.
    async fn record_end(&self, snapshot: &Snapshot) {
        let mut is_told = false;
        while let Err(error) = self.store.update_snapshot(snapshot, SnapshotState::Creating).await {
            if !is_told {
                tracing::error!(snapshot.id = %snapshot.id, %error, "the end of a snapshot could not be recorded");
            }
            is_told = true;
            if !error.is_full() && !matches!(error, StoreError::Unavailable { .. }) {
                return;
            }
            sleep(RECORD_PAUSE).await;
        }
    }

    async fn build(&self, snapshot: &mut Snapshot, whose: Option<&Owner>) -> Result<String, SnapshotError> {
        let _turn = self.making.acquire().await.map_err(|_| SnapshotError::ShuttingDown)?;
        let images = self.images.clone();
        let copied = self.sandboxes.with_files(&snapshot.sandbox_id, async move |layer| {
            let captured = images.capture(layer.upper, layer.skip).await;
            fault::point("snapshot.frozen");
            captured
        });
        let captured = copied.await??;
        fault::point("snapshot.captured");
        let bytes = captured.size();
        snapshot.bytes = Some(bytes);
        let counted = async {
            self.store.update_snapshot(snapshot, SnapshotState::Creating).await?;
            Ok::<_, SnapshotError>(())
        };
        self.sandboxes.take_disk(whose, bytes, counted).await?;
        let base = self.base_of(&snapshot.sandbox_id).await?;
        let tenant = snapshot.tenant.as_deref();
        let (name, comment) = (image_name(&snapshot.id), format!("snapshot {}", snapshot.id));
        let image = self
            .images
            .append(Base { image_id: &base, name: &name, comment: &comment, tenant }, captured)
            .await?;
        fault::point("snapshot.image_made");
        self.images.lease(&image.id, &owner(&snapshot.id)).await?;
        fault::point("snapshot.leased");
        tracing::info!(snapshot.id = %snapshot.id, sandbox.id = %snapshot.sandbox_id, image = %image.id, bytes, "snapshot made");
        Ok(image.id)
    }

    /// The image a sandbox started from: the one it keeps.
    async fn base_of(&self, sandbox: &str) -> Result<String, SnapshotError> {
        debug_assert!(!sandbox.starts_with(LEASE_PREFIX));
        let leases = self.images.leases().await?;
        let lease = leases.into_iter().find(|lease| lease.owner == sandbox);
        // Deleted between the copy and here.
        lease.map(|lease| lease.image_id).ok_or_else(|| ServiceError::NotFound(sandbox.to_owned()).into())
    }

    /// Removes what there is of an image.
    pub(super) async fn undo(&self, id: &str) {
        let released = self.images.release(&owner(id)).await;
        let removed = match self.images.remove(&image_name(id)).await {
            Err(ImageError::NotFound(_)) => Ok(()),
            removed => removed.map(drop),
        };
        if let Err(error) = released.and(removed) {
            tracing::error!(snapshot.id = %id, %error, "what was made of a snapshot could not be removed");
        }
    }
}
