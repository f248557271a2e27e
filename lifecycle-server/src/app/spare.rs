//! Room kept on the state's disk for a start: before anything can be deleted, locks and records have to be written.

use std::{fs, io, path::Path, time::Duration};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// The file that keeps the room, under the state directory.
const NAME: &str = "spare";
/// What a start and some deletions write.
const BYTES: u64 = 8 << 20;
/// With less than this a start needs the room.
const SCARCE: u64 = BYTES / 2;
/// Only what has this much to spare is kept from others.
const PLENTY: u64 = 8 * BYTES;
/// Pause between two looks at whether the room can be kept again.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// Gives the room to a start on a full disk.
pub(super) fn give_if_full(state: &Path) {
    if free(state).is_none_or(|free| free >= SCARCE) {
        return;
    }
    match fs::remove_file(state.join(NAME)) {
        Ok(()) => {
            tracing::warn!(state = %state.display(), "the disk is full: using the room kept for this start")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "the disk is full, and the room kept for this start stays"),
    }
}

/// Keeps the room, as soon and as often as there is plenty; never ends.
pub(super) async fn keep(state: &Path) {
    loop {
        let path = state.to_owned();
        let kept = tokio::task::spawn_blocking(move || keep_now(&path)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(%error, "no room can be kept for a start on a full disk");
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn keep_now(state: &Path) -> io::Result<()> {
    let path = state.join(NAME);
    let is_kept = fs::metadata(&path).is_ok_and(|known| known.len() == BYTES);
    if is_kept || free(state).is_none_or(|free| free < PLENTY) {
        return Ok(());
    }
    let file = fs::File::create(&path)?;
    let filled = fallocate(&file, FallocateFlags::empty(), 0, BYTES);
    if filled.is_err() {
        fs::remove_file(&path)?;
    }
    Ok(filled?)
}

fn free(state: &Path) -> Option<u64> {
    let disk = statvfs(state).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_room_is_really_taken_and_stays_while_there_is_plenty() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free(dir.path()).unwrap() > PLENTY, "this test needs room");
        keep_now(dir.path()).unwrap();
        let known = fs::metadata(dir.path().join(NAME)).unwrap();
        assert!(known.blocks() * 512 >= BYTES && known.len() == BYTES);
        keep_now(dir.path()).unwrap();
        give_if_full(dir.path());
        assert!(dir.path().join(NAME).exists());
        assert!(free(&dir.path().join("missing")).is_none());
    }
}
