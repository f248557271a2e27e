//! Sending files.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use axum::body::Body;
use chrono::DateTime;
use rustix::buffer::spare_capacity;

use super::actor::Actor;
use super::body::{Source, body, start};
use super::conditions::Version;
use super::error::FileError;
use super::lines::LinePicker;

/// Bytes per read from the page cache: large enough to hide the system call, small enough to stay in the CPU's cache.
const CACHED_READ: usize = 128 * 1024;

/// Bytes per read that may wait for a disk; each costs a hop to another thread.
const BLOCKING_READ: usize = 512 * 1024;

/// A file opened for sending.
#[derive(Debug)]
pub(crate) struct Download {
    file: File,
    pub(crate) version: Version,
}

impl Download {
    /// Opens a file.
    ///
    /// # Errors
    /// When it is missing, not a regular file, or may not be read.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        // Not waiting for a writer, should this be a pipe.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = opened.map_err(|error| FileError::io(path, error))?;
        let found = file.metadata().map_err(|error| FileError::io(path, error))?;
        if found.is_dir() {
            return Err(FileError::invalid(path, "is a directory"));
        }
        if !found.is_file() {
            return Err(FileError::invalid(path, "is not a regular file"));
        }
        let nanos = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
        let version = Version {
            tag: format!("\"{:x}-{:x}-{nanos:x}\"", found.ino(), found.len()),
            modified: DateTime::from_timestamp(found.mtime(), 0).unwrap_or_default(),
            size: found.len(),
        };
        Ok(Self { file, version })
    }

    /// A body with these bytes of the file.
    pub(crate) fn part(self, actor: Actor, offset: u64, length: u64) -> Body {
        let rest = FileSource { file: self.file, offset, left: length, cached: true };
        body(actor, Vec::new(), (length > 0).then_some(rest), Some(length))
    }

    /// A body with everything that can be read, for files whose size says 0 although they have content, as those of
    /// `/proc` do.
    ///
    /// # Errors
    /// When the first read fails.
    pub(crate) fn unsized_whole(self, actor: Actor) -> io::Result<Body> {
        start(actor, FileSource { file: self.file, offset: 0, left: u64::MAX, cached: false })
    }

    /// A body with `limit` lines from line `first` on.
    ///
    /// # Errors
    /// When the first read fails.
    pub(crate) fn lines(self, actor: Actor, first: u64, limit: Option<u64>) -> io::Result<Body> {
        let file = FileSource { file: self.file, offset: 0, left: u64::MAX, cached: false };
        start(actor, LineSource { file, picker: LinePicker::new(first, limit), block: Vec::new() })
    }
}

/// Reads a part of a file.
struct FileSource {
    file: File,
    offset: u64,
    left: u64,
    /// Whether the file system can say that a read would have to wait.
    cached: bool,
}

impl FileSource {
    fn advance(&mut self, read: usize) -> bool {
        self.offset += read as u64;
        self.left -= (read as u64).min(self.left);
        read > 0 && self.left > 0
    }
}

impl Source for FileSource {
    fn read(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        out.reserve_exact(room(self.left, BLOCKING_READ));
        let read = loop {
            match rustix::io::pread(&self.file, spare_capacity(out), self.offset) {
                Err(rustix::io::Errno::INTR) => {}
                done => break done?,
            }
        };
        out.truncate(room(self.left, usize::MAX));
        Ok(self.advance(read))
    }

    fn try_read(&mut self, out: &mut Vec<u8>) -> Option<io::Result<bool>> {
        if !self.cached {
            return None;
        }
        match read_cached(&self.file, out, room(self.left, CACHED_READ), self.offset) {
            Ok(0) => None,
            Ok(read) => Some(Ok(self.advance(read))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // Not every file system can tell; a real failure shows again in the read that follows.
            Err(_) => {
                self.cached = false;
                None
            }
        }
    }
}

/// As many bytes as are left, at most `limit`.
fn room(left: u64, limit: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(limit)
}

/// Appends up to `length` bytes that are in the page cache; `WouldBlock` when the first of them is not.
fn read_cached(file: &File, out: &mut Vec<u8>, length: usize, offset: u64) -> io::Result<usize> {
    out.reserve_exact(length);
    let spare = out.spare_capacity_mut();
    let part = libc::iovec { iov_base: spare.as_mut_ptr().cast(), iov_len: length };
    let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
    // SAFETY: the one part lies within the vector's spare capacity, which is at least `length` bytes, and lives on.
    let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const part, 1, offset, libc::RWF_NOWAIT) };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has just written `read` bytes behind the vector's end.
    unsafe { out.set_len(out.len() + read) };
    Ok(read)
}

/// Reads lines out of a file.
struct LineSource {
    file: FileSource,
    picker: LinePicker,
    block: Vec<u8>,
}

impl Source for LineSource {
    fn read(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            self.block.clear();
            let more = self.file.read(&mut self.block)?;
            let wanted = self.picker.feed(&self.block, out);
            if !(more && wanted) {
                return Ok(false);
            }
            if !out.is_empty() {
                return Ok(true);
            }
        }
    }
}

/// The `Content-Disposition` under which a file is sent.
pub(crate) fn disposition(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let plain = |b: &u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\');
    let ascii: String = name.iter().map(|b| if plain(b) { char::from(*b) } else { '_' }).collect();
    if name.iter().all(plain) {
        return format!("attachment; filename=\"{ascii}\"");
    }
    let encoded: String = name
        .iter()
        .map(|b| match b {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(b) => char::from(*b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn collect(body: Body) -> Vec<u8> {
        body.collect().await.unwrap().to_bytes().to_vec()
    }

    #[tokio::test]
    async fn sends_parts_and_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let content: Vec<u8> =
            (0..3_000_000u32).map(|n| if n % 100 == 99 { b'\n' } else { b'a' + (n % 26) as u8 }).collect();
        std::fs::write(&path, &content).unwrap();
        let open = || Download::open(&path).unwrap();
        assert_eq!(collect(open().part(Actor::own(), 0, 3_000_000)).await, content);
        assert_eq!(
            collect(open().part(Actor::own(), 1_234_567, 900_001)).await,
            content[1_234_567..2_134_568]
        );
        assert_eq!(collect(open().part(Actor::own(), 5, 0)).await, b"");
        assert_eq!(
            collect(open().lines(Actor::own(), 29_999, Some(7)).unwrap()).await,
            content[2_999_800..2_999_999]
        );
        assert_eq!(collect(open().lines(Actor::own(), 40_000, None).unwrap()).await, b"");
    }

    #[tokio::test]
    async fn a_file_that_shrinks_breaks_the_answer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"12345").unwrap();
        let download = Download::open(&path).unwrap();
        std::fs::write(&path, b"1").unwrap();
        assert!(download.part(Actor::own(), 0, 5).collect().await.is_err());
    }

    #[tokio::test]
    async fn sends_files_that_do_not_know_their_size() {
        let download = Download::open(Path::new("/proc/self/status")).unwrap();
        assert_eq!(download.version.size, 0);
        assert!(collect(download.unsized_whole(Actor::own()).unwrap()).await.starts_with(b"Name:"));
    }

    #[test]
    fn refuses_what_is_no_file() {
        assert!(matches!(Download::open(Path::new("/")), Err(FileError::Invalid(_))));
        assert!(matches!(Download::open(Path::new("/dev/null")), Err(FileError::Invalid(_))));
        assert!(matches!(Download::open(Path::new("/nope")), Err(FileError::Missing(_))));
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("p");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        assert!(matches!(Download::open(&pipe), Err(FileError::Invalid(_))));
    }

    #[test]
    fn names_for_saving() {
        assert_eq!(disposition(Path::new("/x/a b.txt")), "attachment; filename=\"a b.txt\"");
        assert_eq!(
            disposition(Path::new("/x/\u{e9}\".txt")),
            "attachment; filename=\"___.txt\"; filename*=UTF-8''%C3%A9%22.txt"
        );
    }
}
