//! Unpacks one layer into a directory that overlayfs can use as a lower layer.
//!
//! Numeric owners, modes, times, hard links, extended attributes and holes are kept as the archive has them.
//! Differences, all on purpose:
//! * Owners above 65535 do not exist in a sandbox; such files belong to nobody (65534) and lose set-id bits.
//! * Devices are left out: a sandbox has its own `/dev` and may not have others.
//! * Of extended attributes only `user.*`, file capabilities and POSIX ACLs are kept. Attributes that mean something
//!   to overlayfs itself must never come from an archive.
//! * `.wh.` entries become overlayfs whiteouts (character device 0:0) and opaque directories.

mod apply;
mod decompress;
mod path;
mod pax;
mod root;
mod sparse;
mod tar_stream;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Read},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use self::apply::Applier;
pub(super) use self::{
    apply::is_kept,
    decompress::decompress,
    path::{CleanPath, shown},
    tar_stream::{Kind, TarStream},
};
use super::{
    digest::{Digest, HashingReader},
    error::ImageError,
    space::Watermark,
};

/// Most entries of one layer; the largest images in use have some hundred thousand files.
const MAX_ENTRIES: u64 = 4_000_000;
/// A layer may always grow to this size, however small its archive.
const RATIO_FLOOR: u64 = 1 << 30;
/// Beyond [`RATIO_FLOOR`], how many times larger than its archive a layer may become.
const MAX_RATIO: u64 = 300;
/// Free space is looked at whenever this many bytes were written.
const SPACE_STEP: u64 = 32 << 20;
const COPY_BUFFER: usize = 128 << 10;

/// What bounds an unpacking.
pub(super) struct Bounds<'a> {
    /// Most bytes of file content.
    pub(super) max_bytes: u64,
    pub(super) space: &'a Watermark,
    /// Set when the caller has gone.
    pub(super) cancel: &'a AtomicBool,
    /// Called now and then with the number of archive bytes read after decompression.
    pub(super) progress: &'a dyn Fn(u64),
}

/// A layer that was unpacked completely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// Digest of the uncompressed archive.
    pub(super) diff_id: Digest,
    /// Bytes of file content.
    pub(super) bytes: u64,
}

/// Unpacks `archive` (plain, gzip or zstd; `archive_size` bytes) into the empty directory `root`. Replaced trees go to
/// the empty directory `discard` on the same file system; the caller deletes both on an error, `discard` always.
pub(super) fn unpack(
    archive: impl Read + Send + 'static,
    archive_size: u64,
    root: &Path,
    discard: &Path,
    bounds: &Bounds<'_>,
) -> Result<Unpacked, ImageError> {
    let plain = decompress(archive).map_err(tar_stream::read_error)?;
    let ratio = RATIO_FLOOR.max(archive_size.saturating_mul(MAX_RATIO));
    let mut budget = Budget::new(bounds, bounds.max_bytes.min(ratio));
    let mut stream = TarStream::new(HashingReader::new(plain));
    let mut applier = Applier::new(root, discard)?;
    while let Some(entry) = stream.next_entry()? {
        budget.entry()?;
        applier.apply(entry, &mut stream, &mut budget)?;
    }
    applier.finish()?;
    // The digest covers what follows the end mark too.
    let mut rest = stream.into_inner();
    let mut buffer = vec![0; COPY_BUFFER];
    loop {
        match rest.read(&mut buffer).map_err(tar_stream::read_error)? {
            0 => break,
            n => budget.trailing(n as u64)?,
        }
    }
    (bounds.progress)(rest.count());
    let (diff_id, _) = rest.finish();
    Ok(Unpacked { diff_id, bytes: budget.written })
}

/// Counts what an unpacking takes, and stops it when it takes too much.
struct Budget<'a> {
    bounds: &'a Bounds<'a>,
    max_bytes: u64,
    entries: u64,
    written: u64,
    trailing: u64,
    unchecked: u64,
}

impl<'a> Budget<'a> {
    fn new(bounds: &'a Bounds<'a>, max_bytes: u64) -> Self {
        Self { bounds, max_bytes, entries: 0, written: 0, trailing: 0, unchecked: SPACE_STEP }
    }

    fn entry(&mut self) -> Result<(), ImageError> {
        /// A rough inode, so that millions of empty files count as well.
        const INODE: u64 = 512;
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(ImageError::Unsupported(format!("the layer has more than {MAX_ENTRIES} entries")));
        }
        self.pace(INODE)
    }

    /// To be called before `n` bytes of content are written.
    fn write(&mut self, n: u64) -> Result<(), ImageError> {
        self.written += n;
        self.limit(self.written)?;
        self.pace(n)
    }

    fn trailing(&mut self, n: u64) -> Result<(), ImageError> {
        self.trailing += n;
        self.limit(self.written.saturating_add(self.trailing))?;
        self.cancelled()
    }

    fn limit(&self, bytes: u64) -> Result<(), ImageError> {
        match bytes > self.max_bytes {
            true => Err(ImageError::Unsupported(format!(
                "the layer unpacks to more than {} bytes, which is its limit",
                self.max_bytes
            ))),
            false => Ok(()),
        }
    }

    fn pace(&mut self, n: u64) -> Result<(), ImageError> {
        self.cancelled()?;
        self.unchecked += n;
        if self.unchecked >= SPACE_STEP {
            self.unchecked = 0;
            self.bounds.space.check(0)?;
            (self.bounds.progress)(self.written);
        }
        Ok(())
    }

    fn cancelled(&self) -> Result<(), ImageError> {
        match self.bounds.cancel.load(Ordering::Relaxed) {
            true => Err(ImageError::Cancelled),
            false => Ok(()),
        }
    }
}

/// Fills `buffer` as far as the reader goes.
fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
