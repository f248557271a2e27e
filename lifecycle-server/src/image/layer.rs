use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    digest::Digest,
    error::{Context, ImageError},
    layout::write_atomically,
    lock::FileLock,
    state::{LayerFile, State},
    types::{Phase, ProgressSink},
    unpack::{Bounds, unpack},
};

/// The right to make one layer. While it is held, others that want the same layer wait for it.
pub(super) struct LayerClaim {
    lock: FileLock,
    diff_id: Digest,
}

impl LayerClaim {
    /// Waits until the layer exists (`None`) or is ours to make.
    pub(super) async fn acquire(state: &State, diff_id: &Digest) -> Result<Option<Self>, ImageError> {
        if state.has_layer(diff_id) {
            return Ok(None);
        }
        let path = state.layout.layer_lock(diff_id);
        let limit = state.options.pull_timeout;
        let lock = tokio::time::timeout(limit, FileLock::acquire_long(&path)).await.map_err(|_| {
            ImageError::Stalled(format!(
                "layer {} is being made by another task, and was not finished in {} s",
                diff_id.short(),
                limit.as_secs()
            ))
        })??;
        if state.has_layer(diff_id) {
            lock.remove();
            return Ok(None);
        }
        Ok(Some(Self { lock, diff_id: diff_id.clone() }))
    }

    /// Unpacks an archive and makes it a layer of the store, if its content is what was announced. Stops and leaves
    /// nothing when the returned future is dropped.
    pub(super) async fn unpack(
        self,
        state: &Arc<State>,
        archive: impl Read + Send + 'static,
        archive_size: u64,
        progress: &ProgressSink,
    ) -> Result<(), ImageError> {
        let _processor = state.unpacking.acquire().await;
        let (state, progress) = (Arc::clone(state), progress.clone());
        let cancel = Arc::new(AtomicBool::new(false));
        let guard = CancelOnDrop(Arc::clone(&cancel));
        let work = tokio::task::spawn_blocking(move || {
            let result = unpack_blocking(&state, &self.diff_id, archive, archive_size, &cancel, &progress);
            self.lock.remove();
            result
        });
        let result = work.await.map_err(|e| ImageError::io("unpacking a layer", std::io::Error::other(e)))?;
        drop(guard);
        result
    }
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn unpack_blocking(
    state: &State,
    diff_id: &Digest,
    archive: impl Read + Send + 'static,
    archive_size: u64,
    cancel: &AtomicBool,
    progress: &ProgressSink,
) -> Result<(), ImageError> {
    let work = state.layout.layer_work(diff_id);
    // Ours by the lock: whoever left something here is gone.
    remove_tree(&work)?;
    let result = make(state, diff_id, &work, archive, archive_size, cancel, progress);
    if result.is_err() {
        remove_tree(&work)?;
    }
    result.map_err(|e| e.within(&format!("layer {}", diff_id.short())))
}

fn make(
    state: &State,
    diff_id: &Digest,
    work: &Path,
    archive: impl Read + Send + 'static,
    archive_size: u64,
    cancel: &AtomicBool,
    progress: &ProgressSink,
) -> Result<(), ImageError> {
    let (files, discard) = (work.join("files"), work.join("discard"));
    for dir in [work, &files, &discard] {
        fs::create_dir(dir).context(|| format!("making {}", dir.display()))?;
    }
    let report = |bytes| progress.report(diff_id.as_str(), Phase::Unpacking, bytes, None);
    let bounds =
        Bounds { max_bytes: state.options.max_layer_bytes, space: &state.space, cancel, progress: &report };
    let unpacked = unpack(archive, archive_size, &files, &discard, &bounds)?;
    if unpacked.diff_id != *diff_id {
        return Err(ImageError::DigestMismatch {
            what: "unpacked content".into(),
            expected: diff_id.to_string(),
            actual: unpacked.diff_id.to_string(),
        });
    }
    remove_tree(&discard)?;
    let meta = serde_json::to_vec(&LayerFile { size_bytes: unpacked.bytes })
        .map_err(|e| ImageError::io("writing a layer's size", std::io::Error::from(e)))?;
    write_atomically(&work.join("layer.json"), &meta)?;
    // One flush for all files, before the layer becomes visible: after a power cut it is whole or absent.
    let flush = File::open(work).and_then(|dir| Ok(rustix::fs::syncfs(dir)?));
    flush.context(|| format!("flushing {}", work.display()))?;
    let target = state.layout.layer(diff_id);
    fs::rename(work, &target).context(|| format!("making {}", target.display()))?;
    progress.report(diff_id.as_str(), Phase::Done, unpacked.bytes, Some(unpacked.bytes));
    Ok(())
}

fn remove_tree(path: &Path) -> Result<(), ImageError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(ImageError::io(format!("removing {}", path.display()), e))
        }
        _ => Ok(()),
    }
}
