//! Snapshots: images made from what sandboxes have written, and what becomes of them.
//!
//! A snapshot is a row and an image of the local store, which it keeps by a lease. The row is written first and last:
//! whatever a killed server leaves between is finished or undone by the next one (`recovery`).

mod error;
mod making;
mod record;
mod recovery;
mod service;

pub use error::SnapshotError;
pub use record::{Filter, Snapshot, SnapshotState};
pub use service::{Page, Snapshots};

/// Repository of the images of snapshots; the tag is the snapshot's id.
const REPOSITORY: &str = "opensandbox-snapshots";

/// Start of the names under which snapshots keep their images.
pub(crate) const LEASE_PREFIX: &str = "snapshot-";

/// Who keeps the image of the snapshot `id`.
fn owner(id: &str) -> String {
    format!("{LEASE_PREFIX}{id}")
}

/// Name of the image of the snapshot `id`.
fn image_name(id: &str) -> String {
    format!("{REPOSITORY}:{id}")
}
