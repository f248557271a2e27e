//! A session's changes as a compressed archive.
//!
//! Entries are named as image layers name them: `.wh.NAME` for a removed entry, `.wh..wh..opq` in a directory that
//! replaces the one below.

use std::{
    ffi::OsStr,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use axum::body::Body;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::{StreamExt, stream};
use rustix::{fs::readlinkat, io::Errno};
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;

use super::{
    IsolatedError,
    changes::{self, Change, Kind, MAX_DEPTH},
    session::Layer,
};

/// Most bytes of changed files that are sent.
const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Bytes handed to the connection at once, and how many such parts wait for it.
const PART_BYTES: usize = 64 * 1024;
const PARTS: usize = 4;

/// The archive of these overlays, made while it is sent. With several, names begin with the directory covered.
pub(super) async fn archive(layers: Vec<Layer>) -> Result<Body, IsolatedError> {
    let measured = layers.clone();
    let size = tokio::task::spawn_blocking(move || {
        measured.iter().try_fold(0, |sum, layer| Ok(sum + measure(changes::open_top(&layer.upper)?, 0)?))
    });
    let size: u64 = size
        .await
        .map_err(io::Error::other)
        .and_then(|size: io::Result<u64>| size)
        .map_err(|error| IsolatedError::system("cannot read the session's changes", &error))?;
    if size > MAX_BYTES {
        return Err(IsolatedError::TooLarge(format!("the changes are {size} bytes, more than {MAX_BYTES}")));
    }
    let (sender, mut receiver) = mpsc::channel(PARTS);
    tokio::task::spawn_blocking(move || {
        let failures = sender.clone();
        if let Err(error) = write(&layers, Parts { sender, part: Vec::with_capacity(PART_BYTES) }) {
            // The archive must not look complete.
            let _ = failures.blocking_send(Err(error));
        }
    });
    // What fails at once is answered, not broken off.
    let first = match receiver.recv().await {
        Some(Err(error)) => return Err(IsolatedError::system("cannot read the session's changes", &error)),
        first => first,
    };
    let rest =
        stream::unfold(
            receiver,
            |mut receiver| async move { receiver.recv().await.map(|part| (part, receiver)) },
        );
    Ok(Body::from_stream(stream::iter(first).chain(rest)))
}

/// What a session takes away while its changes are read is not among them.
fn still_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) => match Errno::from_io_error(&error) {
            // Gone, or something of another kind in its place.
            Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::INVAL | Errno::NXIO | Errno::STALE) => {
                Ok(None)
            }
            _ => Err(error),
        },
    }
}

/// Bytes of all files.
fn measure(upper: std::os::fd::OwnedFd, depth: usize) -> io::Result<u64> {
    if depth > MAX_DEPTH {
        return Err(changes::too_deep());
    }
    let mut sum = 0_u64;
    for change in changes::list(&upper)? {
        sum += match change.kind {
            Kind::Directory => match still_there(changes::open_directory(&upper, &change.name))? {
                Some(directory) => measure(directory, depth + 1)?,
                None => 0,
            },
            Kind::File => u64::try_from(change.stat.st_size).unwrap_or(0),
            _ => 0,
        };
    }
    Ok(sum)
}

fn write(layers: &[Layer], parts: Parts) -> io::Result<()> {
    let mut archive = Builder::new(GzEncoder::new(parts, Compression::fast()));
    for layer in layers {
        let name = if layers.len() == 1 {
            PathBuf::new()
        } else {
            layer.target.strip_prefix("/").unwrap_or(&layer.target).to_owned()
        };
        append_directory(&mut archive, changes::open_top(&layer.upper)?, &name, 0)?;
    }
    archive.into_inner()?.finish()?.flush()
}

fn append_directory<W: Write>(
    archive: &mut Builder<W>,
    upper: impl AsFd,
    path: &Path,
    depth: usize,
) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(changes::too_deep());
    }
    for change in changes::list(upper.as_fd())? {
        let name = OsStr::from_bytes(change.name.to_bytes());
        let place = path.join(name);
        let mut header = header(&change);
        match change.kind {
            Kind::Directory => {
                let opened = changes::open_directory(upper.as_fd(), &change.name);
                let Some(directory) = still_there(opened)? else { continue };
                archive.append_data(&mut header, &place, io::empty())?;
                if changes::is_opaque(&directory) {
                    append_mark(archive, &place.join(".wh..wh..opq"))?;
                }
                append_directory(archive, directory, &place, depth + 1)?;
            }
            Kind::Removed => {
                append_mark(archive, &path.join([b".wh.", change.name.to_bytes()].concat().as_os_str()))?;
            }
            Kind::File => append_file(archive, upper.as_fd(), &change, header, &place)?,
            Kind::Symlink => {
                let read = readlinkat(upper.as_fd(), &change.name, Vec::new());
                let Some(target) = still_there(read.map_err(io::Error::from))? else { continue };
                archive.append_link(&mut header, &place, OsStr::from_bytes(target.to_bytes()))?;
            }
            Kind::Fifo => archive.append_data(&mut header, &place, io::empty())?,
            Kind::Other => {}
        }
    }
    Ok(())
}

/// A file that shrinks while it is read is filled up, one that grows is cut: the archive announced its size.
fn append_file<W: Write>(
    archive: &mut Builder<W>,
    upper: impl AsFd,
    change: &Change,
    mut header: Header,
    place: &Path,
) -> io::Result<()> {
    let Some(file) = still_there(changes::open_file(upper, &change.name))? else { return Ok(()) };
    if !file.metadata()?.is_file() {
        return Ok(());
    }
    let size = u64::try_from(change.stat.st_size).unwrap_or(0);
    archive.append_data(&mut header, place, file.chain(io::repeat(0)).take(size))
}

fn append_mark<W: Write>(archive: &mut Builder<W>, place: &Path) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(0);
    archive.append_data(&mut header, place, io::empty())
}

fn header(change: &Change) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(match change.kind {
        Kind::Directory => EntryType::Directory,
        Kind::Symlink => EntryType::Symlink,
        Kind::Fifo => EntryType::Fifo,
        _ => EntryType::Regular,
    });
    header.set_mode(change.stat.st_mode & 0o7777);
    header.set_uid(change.stat.st_uid.into());
    header.set_gid(change.stat.st_gid.into());
    header.set_mtime(u64::try_from(change.stat.st_mtime).unwrap_or(0));
    let size = if change.kind == Kind::File { u64::try_from(change.stat.st_size).unwrap_or(0) } else { 0 };
    header.set_size(size);
    header
}

trait AsOsStr {
    fn as_os_str(&self) -> &OsStr;
}

impl AsOsStr for Vec<u8> {
    fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(self)
    }
}

/// Passes what is written on in parts; fails when the client has gone.
struct Parts {
    sender: mpsc::Sender<io::Result<Bytes>>,
    part: Vec<u8>,
}

impl Parts {
    fn pass_on(&mut self) -> io::Result<()> {
        let part = std::mem::replace(&mut self.part, Vec::with_capacity(PART_BYTES));
        self.sender.blocking_send(Ok(part.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART_BYTES {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.part.is_empty() { Ok(()) } else { self.pass_on() }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, os::unix::fs::symlink};

    use flate2::read::GzDecoder;
    use http_body_util::BodyExt;

    use super::*;

    /// Names in an archive with what is in the files.
    async fn unpacked(layers: Vec<Layer>) -> BTreeMap<String, String> {
        let bytes = archive(layers).await.unwrap().collect().await.unwrap().to_bytes();
        let mut archive = tar::Archive::new(GzDecoder::new(&bytes[..]));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            if let Some(link) = entry.link_name().unwrap() {
                text = format!("-> {}", link.display());
            }
            (entry.path().unwrap().display().to_string(), text)
        });
        entries.collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_archive_holds_files_and_links_as_they_are() {
        let upper = tempfile::tempdir().unwrap();
        fs::create_dir(upper.path().join("d")).unwrap();
        fs::write(upper.path().join("d/file"), "text").unwrap();
        let long = "n".repeat(200);
        fs::write(upper.path().join(&long), "long").unwrap();
        symlink("/etc/passwd", upper.path().join("link")).unwrap();
        let layer = |target: &str| Layer { target: target.into(), upper: upper.path().into() };
        let one = unpacked(vec![layer("/w")]).await;
        let names: Vec<_> = one.keys().map(String::as_str).collect();
        assert_eq!(names, ["d", "d/file", "link", &long]);
        assert_eq!((one["d/file"].as_str(), one["link"].as_str()), ("text", "-> /etc/passwd"));
        let two = unpacked(vec![layer("/w"), layer("/a/b")]).await;
        assert_eq!(two.len(), 8);
        assert_eq!(two["a/b/d/file"], "text");
    }
}
