//! Packs a directory that overlayfs stacks into the archive of a layer: the way back from [`super::unpack`].
//!
//! The same directory always gives the same bytes: names are sorted, and only what unpacking keeps is written. Whiteouts
//! (character device 0:0) and opaque directories become `.wh.` entries. Left out are sockets, and files whose own name
//! begins with `.wh.`, which no archive can hold.

mod file;
mod header;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fs::File,
    io::Write,
    os::fd::{AsFd, OwnedFd},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat},
    io::Errno,
};

use self::header::Kind;
pub(super) use self::header::{Entry, TarWriter};
use super::{
    error::{Context, ImageError},
    space::Watermark,
    unpack::{is_kept, shown},
};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE_MARK: &[u8] = b".wh..wh..opq";
const OPAQUE_ATTRIBUTE: &str = "trusted.overlay.opaque";
/// Longest path of an entry, as unpacking takes it.
const MAX_PATH: usize = 4095;
/// Free space is looked at whenever this much was written.
const SPACE_STEP: u64 = 32 << 20;
/// Owners above this are the host's own; overlayfs makes some files as the host's root.
const HIGHEST_ID: u32 = 65_535;

/// What bounds a packing.
pub(super) struct Bounds<'a> {
    /// Paths below the directory that are left out.
    pub(super) skip: &'a [&'a str],
    /// Where the archive goes, if it goes to a disk that has a reserve.
    pub(super) space: Option<&'a Watermark>,
    /// Set when the caller has gone.
    pub(super) cancel: &'a AtomicBool,
}

/// Writes the archive of `root` and returns what it was written to.
pub(super) fn pack<W: Write>(root: OwnedFd, out: W, bounds: &Bounds<'_>) -> Result<W, ImageError> {
    let mut packer = Packer {
        tar: TarWriter::new(out),
        bounds,
        links: HashMap::new(),
        unchecked: SPACE_STEP,
        left_out: 0,
    };
    packer.walk(root)?;
    if packer.left_out > 0 {
        tracing::warn!(
            files = packer.left_out,
            "a layer was packed without sockets and names that begin with .wh."
        );
    }
    packer.tar.finish().context(|| "writing a layer's archive".into())
}

struct Packer<'a, W> {
    tar: TarWriter<W>,
    bounds: &'a Bounds<'a>,
    /// First path of every file that has several.
    links: HashMap<(u64, u64), Vec<u8>>,
    unchecked: u64,
    left_out: u64,
}

/// A directory under way.
struct Level {
    dir: OwnedFd,
    path: Vec<u8>,
    names: std::vec::IntoIter<Vec<u8>>,
}

impl<W: Write> Packer<'_, W> {
    /// Depth first with a stack of our own: sandboxes decide how deep a tree is.
    fn walk(&mut self, root: OwnedFd) -> Result<(), ImageError> {
        let mut levels = vec![Level { names: names(&root, b"")?, dir: root, path: Vec::new() }];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.next() else {
                levels.pop();
                continue;
            };
            self.pace(512)?;
            let path = join(&level.path, &name)?;
            if self.bounds.skip.iter().any(|skipped| skipped.as_bytes() == path) {
                continue;
            }
            if let Some(dir) = self.entry(&level.dir, &name, &path)? {
                levels.push(Level { names: names(&dir, &path)?, dir, path });
            }
        }
        Ok(())
    }

    /// Writes one entry; a directory comes back opened.
    fn entry(&mut self, dir: &OwnedFd, name: &[u8], path: &[u8]) -> Result<Option<OwnedFd>, ImageError> {
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).context(|| doing("reading", path))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
            return self.whiteout(path, &stat).map(|()| None);
        }
        if name.starts_with(WHITEOUT) || kind == FileType::Socket {
            self.left_out += 1;
            return Ok(None);
        }
        let mut entry = Entry::new(path, &stat, HIGHEST_ID);
        if kind != FileType::Directory && stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) {
                entry.kind = Kind::HardLink;
                entry.link = first.clone();
                self.write(&entry)?;
                return Ok(None);
            }
            self.links.insert((stat.st_dev, stat.st_ino), path.to_vec());
        }
        match kind {
            FileType::Directory => {
                let opened = open(dir, name, OFlags::DIRECTORY, path)?;
                let opaque = self.attributes(&opened, &mut entry)?;
                entry.kind = Kind::Directory;
                self.write(&entry)?;
                if opaque {
                    self.whiteout_named(&join(path, OPAQUE_MARK)?, &stat)?;
                }
                return Ok(Some(opened));
            }
            FileType::RegularFile => {
                let opened = open(dir, name, OFlags::NONBLOCK, path)?;
                self.attributes(&opened, &mut entry)?;
                self.file(&File::from(opened), entry)?;
            }
            FileType::Symlink => {
                entry.kind = Kind::Symlink;
                entry.link = readlinkat(dir, name, Vec::new())
                    .context(|| doing("reading the link", path))?
                    .into_bytes();
                self.write(&entry)?;
            }
            FileType::Fifo => {
                entry.kind = Kind::Fifo;
                self.write(&entry)?;
            }
            // No sandbox can make devices.
            _ => self.left_out += 1,
        }
        Ok(None)
    }

    fn whiteout(&mut self, path: &[u8], stat: &Stat) -> Result<(), ImageError> {
        let at = path.iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
        let mut marked = path[..at].to_vec();
        marked.extend_from_slice(WHITEOUT);
        marked.extend_from_slice(&path[at..]);
        self.whiteout_named(&marked, stat)
    }

    fn whiteout_named(&mut self, path: &[u8], stat: &Stat) -> Result<(), ImageError> {
        // An owner, a mode or a time of nothing means nothing.
        self.write(&Entry { mode: 0, uid: 0, gid: 0, mtime: (0, 0), ..Entry::new(path, stat, HIGHEST_ID) })
    }

    /// Takes over what unpacking would keep; says whether a directory is opaque.
    fn attributes(&self, file: &OwnedFd, entry: &mut Entry) -> Result<bool, ImageError> {
        let path = entry.path.clone();
        let context = || doing("reading extended attributes of", &path);
        let mut opaque = false;
        let file = File::from(file.try_clone().context(context)?);
        let listed = match xattr::FileExt::list_xattr(&file) {
            Err(error) if error.raw_os_error() == Some(Errno::NOTSUP.raw_os_error()) => return Ok(false),
            listed => listed.context(context)?,
        };
        for name in listed {
            let bytes = name.as_encoded_bytes();
            if bytes == OPAQUE_ATTRIBUTE.as_bytes() {
                opaque = true;
            } else if is_kept(bytes)
                && let Some(value) = xattr::FileExt::get_xattr(&file, &name).context(context)?
            {
                entry.xattrs.push((bytes.to_vec(), value));
            }
        }
        entry.xattrs.sort();
        Ok(opaque)
    }

    fn write(&mut self, entry: &Entry) -> Result<(), ImageError> {
        self.tar.entry(entry).context(|| doing("packing", &entry.path))
    }

    /// To be called before `n` bytes are written.
    fn pace(&mut self, n: u64) -> Result<(), ImageError> {
        if self.bounds.cancel.load(Ordering::Relaxed) {
            return Err(ImageError::Cancelled);
        }
        self.unchecked += n;
        if self.unchecked >= SPACE_STEP {
            self.unchecked = 0;
            self.bounds.space.map_or(Ok(()), |space| space.check(SPACE_STEP))?;
        }
        Ok(())
    }
}

fn open(dir: impl AsFd, name: &[u8], flags: OFlags, path: &[u8]) -> Result<OwnedFd, ImageError> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NOATIME | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty()).context(|| doing("opening", path))
}

/// What a directory holds, sorted.
fn names(dir: &OwnedFd, path: &[u8]) -> Result<std::vec::IntoIter<Vec<u8>>, ImageError> {
    let context = || doing("listing", path);
    let mut names = Vec::new();
    for entry in Dir::read_from(dir).context(context)? {
        let entry = entry.context(context)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    names.sort_unstable();
    Ok(names.into_iter())
}

fn join(directory: &[u8], name: &[u8]) -> Result<Vec<u8>, ImageError> {
    let mut path = directory.to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    match path.len() > MAX_PATH {
        true => Err(ImageError::Unsupported(format!(
            "\"{}…\" is a path of more than {MAX_PATH} bytes, which no layer can hold",
            shown(&path)
        ))),
        false => Ok(path),
    }
}

fn doing(what: &str, path: &[u8]) -> String {
    format!("{what} \"{}\" of a layer", shown(path))
}
