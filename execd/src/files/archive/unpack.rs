//! Putting the entries of an archive into a directory, and nowhere else.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, fchmod, fchown, futimens, linkat,
    makedev, mkdirat, mknodat, openat, renameat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use sandkeep_specs::execd::files::ArchiveSummary;

use super::parse::{Entry, Kind, Sink};
use crate::files::beneath;
use crate::files::error::FileError;
use crate::files::staged::make_directories;

/// Longest path of an entry, in bytes: the system takes no longer ones.
const MAX_PATH: usize = 4095;

/// Unpacks into one directory. Each file is written beside its place and then renamed into it, so that what breaks off
/// leaves whole files only.
pub(super) struct Unpacker {
    root: OwnedFd,
    /// The root's path, for messages.
    shown: PathBuf,
    /// Whether the root itself gets what the archive says of it: only if it was made for it.
    made: bool,
    /// Whether owners are set: only root can.
    keep_owners: bool,
    file: Option<Pending>,
    /// Directories the archive is inside of. They get their modes and times when it leaves them.
    open: Vec<Entry>,
    pub(super) summary: ArchiveSummary,
}

/// A file whose content is arriving.
struct Pending {
    file: File,
    place: Place,
    entry: Entry,
}

/// Where an entry comes to lie.
struct Place {
    directory: OwnedFd,
    name: Vec<u8>,
    /// Name it has until it is complete; taken away again if it never is.
    temporary: Option<String>,
}

impl Unpacker {
    /// Prepares to unpack into `root`, making it and the directories above it if need be.
    ///
    /// # Errors
    /// When it is no directory or cannot be made.
    pub(super) fn new(root: PathBuf) -> Result<Self, FileError> {
        let made = make_directories(&root)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(CWD, &root, flags, Mode::empty()).map_err(|error| FileError::io(&root, error))?;
        Ok(Self {
            root: opened,
            shown: root,
            made,
            keep_owners: rustix::process::geteuid().is_root(),
            file: None,
            open: Vec::new(),
            summary: ArchiveSummary::default(),
        })
    }

    /// The archive is complete.
    ///
    /// # Errors
    /// When the last directories cannot get their attributes.
    pub(super) fn finish(&mut self) -> Result<(), FileError> {
        self.leave(b"//")
    }

    /// Gives the directories that `path` does not lie in what the archive says of them.
    fn leave(&mut self, path: &[u8]) -> Result<(), FileError> {
        while let Some(entry) = self.open.pop() {
            let rest = path.strip_prefix(entry.path.as_slice());
            if rest.is_some_and(|rest| entry.path.is_empty() || rest.first() == Some(&b'/')) && path != b"//"
            {
                self.open.push(entry);
                return Ok(());
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let directory = beneath::open(&self.root, &entry.path, flags);
            let set = directory.and_then(|directory| self.describe(directory.as_fd(), &entry));
            set.map_err(|error| self.failed(&entry.path, error))?;
        }
        Ok(())
    }

    /// Sets owner, mode and time of an open file or directory.
    fn describe(&self, at: impl AsFd, entry: &Entry) -> rustix::io::Result<()> {
        if self.keep_owners {
            fchown(&at, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))?;
        }
        // After the owner, because a change of owner clears the set-user-id bits.
        fchmod(&at, Mode::from_raw_mode(entry.mode))?;
        futimens(&at, &times(entry))
    }

    /// The same for something that is not opened, by its name.
    fn describe_at(&self, place: &Place, name: &str, entry: &Entry) -> rustix::io::Result<()> {
        if self.keep_owners {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::chownat(&place.directory, name, Some(uid), Some(gid), flags)?;
        }
        rustix::fs::utimensat(&place.directory, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)
    }

    fn directory(&mut self, entry: Entry) -> rustix::io::Result<()> {
        if entry.path.is_empty() {
            if self.made {
                self.open.push(entry);
            }
            return Ok(());
        }
        let (above, name) = split(&entry.path);
        let parent = beneath::open_directory(&self.root, above)?;
        // Nobody else may look into it before its mode is set, and we must be able to write.
        match mkdirat(&parent, name, Mode::from_raw_mode(0o700)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                drop(beneath::open(&self.root, &entry.path, OFlags::PATH | OFlags::DIRECTORY)?)
            }
            Err(error) => return Err(error),
        }
        self.open.push(entry);
        Ok(())
    }

    /// Everything but directories: made under a temporary name, then renamed.
    fn other(&mut self, entry: Entry) -> rustix::io::Result<()> {
        let (above, name) = split(&entry.path);
        let directory = beneath::open_directory(&self.root, above)?;
        let temporary = format!(".sandkeep-{}", crate::id::random().simple());
        let mut place = Place { directory, name: name.to_vec(), temporary: None };
        let kind = match entry.kind {
            Kind::File => {
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = openat(&place.directory, &temporary, flags, Mode::from_raw_mode(0o600))?;
                place.temporary = Some(temporary);
                self.file = Some(Pending { file: file.into(), place, entry });
                return Ok(());
            }
            Kind::HardLink => {
                let (above, name) = split(&entry.link);
                let other = beneath::open(&self.root, above, OFlags::PATH | OFlags::DIRECTORY)?;
                linkat(&other, name, &place.directory, &temporary, AtFlags::empty())?;
                place.temporary = Some(temporary);
                return place.settle();
            }
            Kind::Symlink => {
                symlinkat(entry.link.as_slice(), &place.directory, &temporary)?;
                place.temporary = Some(temporary.clone());
                self.describe_at(&place, &temporary, &entry)?;
                return place.settle();
            }
            Kind::Fifo => FileType::Fifo,
            Kind::Character => FileType::CharacterDevice,
            Kind::Block | Kind::Directory => FileType::BlockDevice,
        };
        let device = makedev(entry.device.0, entry.device.1);
        mknodat(&place.directory, &temporary, kind, Mode::from_raw_mode(0o600), device)?;
        place.temporary = Some(temporary.clone());
        self.describe_at(&place, &temporary, &entry)?;
        let mode = Mode::from_raw_mode(entry.mode);
        rustix::fs::chmodat(&place.directory, &temporary, mode, AtFlags::empty())?;
        place.settle()
    }

    /// Says what went wrong with an entry.
    fn failed(&self, path: &[u8], error: Errno) -> FileError {
        let path = self.shown.join(OsStr::from_bytes(path));
        match error {
            Errno::XDEV => FileError::invalid(&path, "a link on the way leads out of the directory"),
            Errno::NOSYS => FileError::Io("this kernel cannot confine paths (openat2 is missing)".to_owned()),
            error => FileError::io(&path, error),
        }
    }
}

impl Sink for Unpacker {
    fn entry(&mut self, mut entry: Entry) -> Result<(), FileError> {
        entry.path = relative(&entry.path)?;
        self.leave(&entry.path)?;
        self.summary.entries += 1;
        let path = entry.path.clone();
        let done = match entry.kind {
            Kind::Directory => self.directory(entry),
            _ if path.is_empty() => return Err(refused(b".", "names the directory itself but is none")),
            Kind::HardLink => {
                entry.link = relative(&entry.link)?;
                self.other(entry)
            }
            _ => self.other(entry),
        };
        done.map_err(|error| self.failed(&path, error))
    }

    fn data(&mut self, data: &[u8]) -> Result<(), FileError> {
        let Some(pending) = &mut self.file else { return Ok(()) };
        self.summary.bytes += data.len() as u64;
        let shown = || self.shown.join(OsStr::from_bytes(&pending.entry.path));
        pending.file.write_all(data).map_err(|error| FileError::io(&shown(), error))
    }

    fn end(&mut self) -> Result<(), FileError> {
        let Some(pending) = self.file.take() else { return Ok(()) };
        let Pending { file, mut place, entry } = pending;
        let done = self.describe(&file, &entry).and_then(|()| place.settle());
        done.map_err(|error| self.failed(&entry.path, error))
    }
}

impl Place {
    /// Gives what is complete its name.
    fn settle(&mut self) -> rustix::io::Result<()> {
        let Some(temporary) = &self.temporary else { return Ok(()) };
        renameat(&self.directory, temporary, &self.directory, self.name.as_slice())
        // Names of the same file are left alone by a rename, so the temporary one may still be there: it is dropped.
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // After a rename there is nothing to take away.
            let _ = unlinkat(&self.directory, temporary, AtFlags::empty());
        }
    }
}

/// The path without `.` and doubled slashes.
fn relative(path: &[u8]) -> Result<Vec<u8>, FileError> {
    if path.starts_with(b"/") {
        return Err(refused(path, "is absolute"));
    }
    if path.len() > MAX_PATH || path.contains(&0) {
        return Err(refused(&path[..path.len().min(80)], "is no usable path"));
    }
    let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    parts.retain(|part| !matches!(*part, b"" | b"."));
    if parts.contains(&&b".."[..]) {
        return Err(refused(path, "has \"..\" in it"));
    }
    Ok(parts.join(&b'/'))
}

fn refused(path: &[u8], what: &str) -> FileError {
    FileError::invalid(Path::new(OsStr::from_bytes(path)), format!("this name in the archive {what}"))
}

/// A path's directory and last name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'/', path) {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

fn times(entry: &Entry) -> Timestamps {
    let time = Timespec { tv_sec: entry.modified, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use tar::{Builder, EntryType, Header};

    use super::super::pack::Packer;
    use super::super::parse::Reader;
    use super::*;
    use crate::files::body::Source;

    fn unpack(bytes: &[u8], to: &Path) -> Result<ArchiveSummary, FileError> {
        let (mut reader, mut unpacker) = (Reader::new(), Unpacker::new(to.to_path_buf())?);
        for part in bytes.chunks(1000) {
            reader.feed(part, &mut unpacker)?;
        }
        reader.finish()?;
        unpacker.finish()?;
        Ok(unpacker.summary)
    }

    fn pack(from: &Path) -> Vec<u8> {
        let (mut packer, mut all) = (Packer::new(from).unwrap(), Vec::new());
        loop {
            let mut piece = Vec::new();
            let more = packer.read(&mut piece).unwrap();
            all.extend(piece);
            if !more {
                return all;
            }
        }
    }

    /// An archive of one entry, its names taken as they are.
    fn one(kind: EntryType, name: &str, link: &str, content: &[u8]) -> Vec<u8> {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        let mut builder = Builder::new(Vec::new());
        builder.append(&header, content).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn a_tree_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        let at = |name: &str| from.join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        std::fs::write(at("a/file"), vec![3; 700_001]).unwrap();
        std::fs::write(at("a/b/tool"), b"").unwrap();
        std::fs::write(at(&"n".repeat(200)), b"long").unwrap();
        std::fs::hard_link(at("a/file"), at("z-same")).unwrap();
        symlink("../nowhere", at("a/link")).unwrap();
        symlink("t".repeat(150), at("a/long-link")).unwrap();
        rustix::fs::mkfifoat(CWD, at("pipe"), Mode::from_raw_mode(0o620)).unwrap();
        for (name, mode) in [("a/b/tool", 0o4755), ("a/file", 0o640), ("a/b", 0o1777), ("pipe", 0o620)] {
            rustix::fs::chmodat(CWD, at(name), Mode::from_raw_mode(mode), AtFlags::empty()).unwrap();
        }
        let old = times(&Entry {
            path: Vec::new(),
            kind: Kind::File,
            mode: 0,
            uid: 0,
            gid: 0,
            modified: 1_600_000_000,
            size: 0,
            link: Vec::new(),
            device: (0, 0),
        });
        for name in ["a/file", "a/b", "a", ""] {
            rustix::fs::utimensat(CWD, at(name), &old, AtFlags::empty()).unwrap();
        }
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::lchown(at("a/link"), Some(4242), Some(4243)).unwrap();
            std::os::unix::fs::chown(at("a"), Some(4242), Some(4243)).unwrap();
        }
        let to = dir.path().join("x/to");
        let packed = pack(&from);
        let summary = unpack(&packed, &to).unwrap();
        assert_eq!((summary.entries, summary.bytes), (10, 700_005));
        assert!(
            pack(&to) == packed,
            "the same archive again: names, modes, owners, times, links and content"
        );
        let same = |name: &str| std::fs::metadata(to.join(name)).unwrap().ino();
        assert_eq!(same("a/file"), same("z-same"));
        // Over what is there already.
        assert_eq!(unpack(&packed, &to).unwrap(), summary);
        // Only its own entry, the first block, is not that of the archive: it was there before.
        assert!(pack(&to)[512..] == packed[512..]);
    }

    #[test]
    fn nothing_gets_out() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("to");
        let outside = dir.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret"), b"secret").unwrap();
        let absolute = outside.join("new");
        let absolute = absolute.to_str().unwrap();
        let outward = |link: &str| {
            [
                one(EntryType::Symlink, "out", link, b"")[..512].to_vec(),
                one(EntryType::Regular, "out/new", "", b"x"),
            ]
            .concat()
        };
        for (what, archive) in [
            ("..", one(EntryType::Regular, "../outside/new", "", b"x")),
            (".. inside", one(EntryType::Regular, "a/../../outside/new", "", b"x")),
            ("absolute", one(EntryType::Regular, absolute, "", b"x")),
            ("absolute directory", one(EntryType::Directory, absolute, "", b"")),
            ("hard link", one(EntryType::Link, "h", "../outside/secret", b"")),
            ("absolute hard link", one(EntryType::Link, "h", absolute, b"")),
            ("relative symbolic link", outward("../outside")),
            ("absolute symbolic link", outward(outside.to_str().unwrap())),
            ("file over the root", one(EntryType::Regular, "./", "", b"").to_vec()),
        ] {
            let refused = unpack(&archive, &to);
            if what != "file over the root" {
                assert!(matches!(refused, Err(FileError::Invalid(_))), "{what}: {refused:?}");
            }
            let left: Vec<_> =
                std::fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, ["secret"], "{what}");
        }
        // A hard link to a link inside must not reach through it.
        let mut through =
            one(EntryType::Symlink, "s", outside.join("secret").to_str().unwrap(), b"")[..512].to_vec();
        through.extend(one(EntryType::Link, "h", "s", b""));
        unpack(&through, &to).unwrap();
        assert!(to.join("h").is_symlink());
        // A link that is replaced by a file is not written through.
        let mut over =
            one(EntryType::Symlink, "f", outside.join("secret").to_str().unwrap(), b"")[..512].to_vec();
        over.extend(one(EntryType::Regular, "f", "", b"mine"));
        unpack(&over, &to).unwrap();
        assert_eq!(std::fs::read(outside.join("secret")).unwrap(), b"secret");
        assert_eq!(std::fs::read(to.join("f")).unwrap(), b"mine");
    }

    #[test]
    fn what_breaks_off_leaves_no_half_files() {
        let dir = tempfile::tempdir().unwrap();
        let whole = one(EntryType::Regular, "big", "", &[1; 5000]);
        assert!(matches!(unpack(&whole[..3000], dir.path()), Err(FileError::Invalid(_))));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_existing_root_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let before = std::fs::metadata(dir.path()).unwrap().mode();
        unpack(&one(EntryType::Directory, "./", "", b""), dir.path()).unwrap();
        assert_eq!(std::fs::metadata(dir.path()).unwrap().mode(), before);
        unpack(&one(EntryType::Directory, "./", "", b""), &dir.path().join("new")).unwrap();
        assert_eq!(std::fs::metadata(dir.path().join("new")).unwrap().mode() & 0o7777, 0o644);
    }
}
