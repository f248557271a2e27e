//! What a starting server does with snapshots an earlier one left unfinished.

use super::{LEASE_PREFIX, Snapshot, SnapshotError, SnapshotState, image_name, owner, service::Inner};

impl Inner {
    /// Afterwards every row is in a state that lasts, and nothing is kept for a snapshot that has no row.
    pub(super) async fn recover(&self) -> Result<(), SnapshotError> {
        for state in [SnapshotState::Creating, SnapshotState::Deleting] {
            for snapshot in self.store.own_snapshots(state).await? {
                tracing::info!(snapshot.id = %snapshot.id, state = state.as_str(), "recovering snapshot");
                match state {
                    SnapshotState::Creating => self.finish(snapshot).await?,
                    _ => self.remove_again(&snapshot).await,
                }
            }
        }
        for lease in self.images.leases().await? {
            let Some(id) = lease.owner.strip_prefix(LEASE_PREFIX) else { continue };
            if self.store.snapshot(id).await?.is_none() {
                self.images.release(&lease.owner).await?;
            }
        }
        Ok(())
    }

    /// The image appears as a whole or not at all, under the snapshot's name.
    async fn finish(&self, mut snapshot: Snapshot) -> Result<(), SnapshotError> {
        match self.images.find(&image_name(&snapshot.id)).await? {
            Some(image) => {
                self.images.lease(&image.id, &owner(&snapshot.id)).await?;
                snapshot.image_id = Some(image.id);
                snapshot.enter(SnapshotState::Ready, "snapshot_recovery_ready", None);
            }
            None => {
                self.undo(&snapshot.id).await;
                snapshot.bytes = None;
                let message = "the server ended while the snapshot was being made".to_owned();
                snapshot.enter(SnapshotState::Failed, "snapshot_recovery_missing_image", Some(message));
            }
        }
        self.store.update_snapshot(&snapshot, SnapshotState::Creating).await?;
        Ok(())
    }

    /// One that cannot be removed now can be deleted again by its owner.
    async fn remove_again(&self, snapshot: &Snapshot) {
        if let Err(error) = self.remove(snapshot).await {
            tracing::warn!(snapshot.id = %snapshot.id, %error, "a snapshot stays in state Deleting");
        }
    }
}
