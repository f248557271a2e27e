//! Writing a directory as a tar stream, piece by piece.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawDir, Stat, fstat, fstatfs, major, minor, openat, readlinkat,
    statat,
};
use rustix::io::Errno;
use tar::{EntryType, Header};

use crate::files::body::Source;
use crate::files::error::FileError;

/// Size of one piece of the stream, in bytes.
const PIECE: usize = 256 * 1024;

/// Room for one block of names.
const NAME_BLOCK: usize = 32 * 1024;

/// Deepest nesting: a descriptor is open for each level.
const MAX_DEPTH: usize = 512;

/// Files with several names that are remembered, so that they stay one file; those beyond are sent once for each name.
const MAX_LINKED: usize = 100_000;

/// Size of a header, and what content is padded to.
const BLOCK: usize = 512;

/// Longest name in a plain header.
const PLAIN_NAME: usize = 100;

/// File systems of the kernel's own making: what their files hold is not as long as they say, or has no end.
const MADE_BY_THE_KERNEL: [libc::c_long; 8] = [
    libc::PROC_SUPER_MAGIC,
    libc::SYSFS_MAGIC,
    libc::CGROUP_SUPER_MAGIC,
    libc::CGROUP2_SUPER_MAGIC,
    libc::DEVPTS_SUPER_MAGIC,
    libc::DEBUGFS_MAGIC,
    libc::TRACEFS_MAGIC,
    libc::SECURITYFS_MAGIC,
];

/// A directory on its way into a stream: parents before children, names in byte order, owners, modes, times (whole
/// seconds), links and devices kept; sockets, extended attributes and holes are not. Of file systems such as /proc
/// below it there is only their directory. What vanishes meanwhile is left out; a file that shrinks while it is sent breaks the stream.
pub(crate) struct Packer {
    levels: Vec<Level>,
    /// The file being sent and how much of it is left.
    file: Option<(File, u64)>,
    padding: usize,
    /// First name of each file that has several, by device and inode.
    linked: HashMap<(u64, u64), Vec<u8>>,
    ended: bool,
}

struct Level {
    directory: OwnedFd,
    /// Path of the directory in the archive with a slash at its end; empty for the topmost.
    prefix: Vec<u8>,
    /// Names still to come, the next one last.
    names: Vec<CString>,
}

impl Packer {
    /// Begins with the directory `root`, following it if it is a symbolic link, and writes its own entry to `out`.
    ///
    /// # Errors
    /// When it cannot be read or is no directory.
    pub(crate) fn new(root: &Path) -> Result<Self, FileError> {
        let opened = open_directory(CWD, root, OFlags::empty());
        let directory = opened.map_err(|error| match error {
            Errno::NOTDIR if root.symlink_metadata().is_ok() => {
                FileError::invalid(root, "is not a directory")
            }
            error => FileError::io(root, error),
        })?;
        if is_made_by_the_kernel(&directory).map_err(|error| FileError::io(root, error))? {
            return Err(FileError::invalid(
                root,
                "is in a file system of the kernel, whose files make no archive",
            ));
        }
        let level = Level::read(directory, Vec::new()).map_err(|error| FileError::io(root, error))?;
        let (file, padding, linked) = (None, 0, HashMap::new());
        Ok(Self { levels: vec![level], file, padding, linked, ended: false })
    }

    /// Appends what comes next; false when that was all.
    fn step(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        if let Some((file, left)) = &mut self.file {
            let wanted = (*left).min(PIECE as u64);
            let read = file.take(wanted).read_to_end(out)? as u64;
            *left -= read;
            if read < wanted {
                return Err(io::Error::other("a file shrank while it was sent"));
            }
            if *left == 0 {
                self.file = None;
                out.resize(out.len() + self.padding, 0);
            }
            return Ok(true);
        }
        let Some(level) = self.levels.last_mut() else {
            // Two empty blocks end an archive.
            out.resize(out.len() + 2 * BLOCK, 0);
            return Ok(false);
        };
        match level.names.pop() {
            None => drop(self.levels.pop()),
            Some(name) => match self.entry(&name, out) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            },
        }
        Ok(true)
    }

    /// Appends the entry of this name in the current directory.
    fn entry(&mut self, name: &CStr, out: &mut Vec<u8>) -> rustix::io::Result<()> {
        let Some(level) = self.levels.last() else { return Ok(()) };
        let path = [level.prefix.as_slice(), name.to_bytes()].concat();
        let found = statat(&level.directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        if kind == FileType::Directory {
            let below = open_directory(&level.directory, name, OFlags::NOFOLLOW)?;
            if self.levels.len() > MAX_DEPTH {
                return Err(Errno::NAMETOOLONG);
            }
            let prefix = [&path, &b"/"[..]].concat();
            write_header(out, &prefix, &fstat(&below)?, EntryType::Directory, &[]);
            if !is_made_by_the_kernel(&below)? {
                self.levels.push(Level::read(below, prefix)?);
            }
            return Ok(());
        }
        if found.st_nlink > 1 {
            let identity = (found.st_dev, found.st_ino);
            if let Some(first) = self.linked.get(&identity) {
                write_header(out, &path, &found, EntryType::Link, first);
                return Ok(());
            }
            if self.linked.len() < MAX_LINKED {
                self.linked.insert(identity, path.clone());
            }
        }
        match kind {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = openat(&level.directory, name, flags, Mode::empty())?;
                let found = fstat(&file)?;
                write_header(out, &path, &found, EntryType::Regular, &[]);
                let size = u64::try_from(found.st_size).unwrap_or(0);
                self.padding = padding(size);
                self.file = (size > 0).then(|| (File::from(file), size));
            }
            FileType::Symlink => {
                let target = readlinkat(&level.directory, name, Vec::new())?;
                write_header(out, &path, &found, EntryType::Symlink, target.as_bytes());
            }
            FileType::Fifo => write_header(out, &path, &found, EntryType::Fifo, &[]),
            FileType::CharacterDevice => write_header(out, &path, &found, EntryType::Char, &[]),
            FileType::BlockDevice => write_header(out, &path, &found, EntryType::Block, &[]),
            // Sockets mean nothing elsewhere.
            _ => {}
        }
        Ok(())
    }
}

impl Source for Packer {
    fn read(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        if let (false, Some(top)) = (std::mem::replace(&mut self.ended, true), self.levels.first()) {
            write_header(out, b"./", &fstat(&top.directory)?, EntryType::Directory, &[]);
        }
        while out.len() < PIECE {
            let more = self.step(out).inspect_err(|error| {
                let at = self.levels.last().map(|level| String::from_utf8_lossy(&level.prefix));
                tracing::warn!(directory = at.as_deref(), %error, "an archive broke off");
            });
            if !more? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Level {
    fn read(directory: OwnedFd, prefix: Vec<u8>) -> rustix::io::Result<Self> {
        let mut names = Vec::new();
        let mut block = Vec::with_capacity(NAME_BLOCK);
        let mut entries = RawDir::new(&directory, block.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let name = entry?.file_name().to_owned();
            if !matches!(name.as_bytes(), b"." | b"..") {
                names.push(name);
            }
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Self { directory, prefix, names })
    }
}

fn open_directory(at: impl AsFd, path: impl rustix::path::Arg, more: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | more;
    openat(at, path, flags, Mode::empty())
}

fn is_made_by_the_kernel(directory: impl AsFd) -> rustix::io::Result<bool> {
    fstatfs(directory).map(|found| MADE_BY_THE_KERNEL.contains(&found.f_type))
}

/// Bytes that fill content of this size up to whole blocks.
fn padding(size: u64) -> usize {
    usize::try_from(size.wrapping_neg() % BLOCK as u64).unwrap_or(0)
}

fn write_header(out: &mut Vec<u8>, path: &[u8], found: &Stat, kind: EntryType, link: &[u8]) {
    for (text, long) in [(link, EntryType::GNULongLink), (path, EntryType::GNULongName)] {
        if text.len() > PLAIN_NAME {
            let mut header = Header::new_gnu();
            set_name(&mut header.as_old_mut().name, b"././@LongLink");
            header.set_entry_type(long);
            let size = text.len() as u64 + 1;
            header.set_size(size);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_cksum();
            out.extend_from_slice(header.as_bytes());
            out.extend_from_slice(text);
            out.resize(out.len() + 1 + padding(size), 0);
        }
    }
    let mut header = Header::new_gnu();
    set_name(&mut header.as_old_mut().name, path);
    set_name(&mut header.as_old_mut().linkname, link);
    header.set_entry_type(kind);
    header.set_mode(found.st_mode & 0o7777);
    header.set_uid(found.st_uid.into());
    header.set_gid(found.st_gid.into());
    header.set_mtime(u64::try_from(found.st_mtime).unwrap_or(0));
    let size = if kind == EntryType::Regular { u64::try_from(found.st_size).unwrap_or(0) } else { 0 };
    header.set_size(size);
    if let Some(gnu) = header.as_gnu_mut() {
        gnu.set_device_major(major(found.st_rdev));
        gnu.set_device_minor(minor(found.st_rdev));
    }
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
}

/// As much of a name as fits; one that does not fit has been written before.
fn set_name(field: &mut [u8; PLAIN_NAME], text: &[u8]) {
    let length = text.len().min(PLAIN_NAME);
    field[..length].copy_from_slice(&text[..length]);
}
