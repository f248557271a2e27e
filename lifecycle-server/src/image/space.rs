use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

use super::error::{Context, ImageError};

/// Keeps a reserve on the store's disk, so that images never take what sandboxes and the record need.
#[derive(Debug, Clone)]
pub(super) struct Watermark {
    pub(super) dir: PathBuf,
    pub(super) min_bytes: u64,
    pub(super) min_percent: u8,
}

impl Watermark {
    /// Refuses when writing `wanted` more bytes would leave less than the reserve.
    pub(super) fn check(&self, wanted: u64) -> Result<(), ImageError> {
        let stat = statvfs(&self.dir).context(|| format!("reading free space of {}", self.dir.display()))?;
        let total = stat.f_blocks.saturating_mul(stat.f_frsize);
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        judge(&self.dir, total, free, wanted, self.reserve(total))
    }

    fn reserve(&self, total: u64) -> u64 {
        self.min_bytes.max(total / 100 * u64::from(self.min_percent))
    }
}

fn judge(dir: &Path, total: u64, free: u64, wanted: u64, reserve: u64) -> Result<(), ImageError> {
    if free >= wanted.saturating_add(reserve) {
        return Ok(());
    }
    Err(ImageError::DiskFull(format!(
        "not enough space in {}: {wanted} more bytes are needed beside a reserve of {reserve}, {free} of {total} are free",
        dir.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_reserve_counts() {
        let mark = Watermark { dir: "/".into(), min_bytes: 10, min_percent: 5 };
        assert_eq!(mark.reserve(100_000), 5_000);
        assert_eq!(Watermark { min_bytes: 9_000, ..mark }.reserve(100_000), 9_000);
    }

    #[test]
    fn a_request_must_leave_the_reserve() {
        let dir = Path::new("/x");
        assert!(judge(dir, 1000, 500, 400, 100).is_ok());
        assert!(matches!(judge(dir, 1000, 500, 401, 100), Err(ImageError::DiskFull(_))));
        assert!(matches!(judge(dir, 1000, 500, u64::MAX, 1), Err(ImageError::DiskFull(_))));
    }
}
