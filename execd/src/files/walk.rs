//! Walking directories: names are read in blocks, matched, and only then looked at.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;
use rustix::path::Arg;

use super::batch::{Batch, Place};
use super::body::Source;
use super::entry;
use super::error::FileError;
use super::glob::Matcher;
use super::names::Names;

/// From this size on a piece of the answer is sent, in bytes.
const PIECE: usize = 128 * 1024;

/// Room for one block of names.
const NAME_BLOCK: usize = 32 * 1024;

/// Directories kept open at once; those further up are opened again when the walk returns to them.
const OPEN_LEVELS: usize = 64;

/// What a walk returns.
pub(crate) enum Select {
    /// Everything that is not a directory and whose base name matches, at any depth.
    Matching(Matcher),
    /// Every entry down to this many levels.
    Depth(usize),
}

/// A walk in progress: parents before children, names in byte order, symbolic links not followed. Directories that
/// vanish or cannot be read are passed over.
pub(crate) struct Walk {
    select: Select,
    levels: Vec<Level>,
    names: Names,
    block: Vec<u8>,
    /// Entries to be written next.
    batch: Batch,
    /// Whether an element of the array has been written.
    begun: bool,
}

/// One directory on the way down.
struct Level {
    place: Option<Place>,
    /// Path of the directory with a slash at its end.
    prefix: Vec<u8>,
    /// Names of the selected entries, one after the other, and where they lie.
    text: Vec<u8>,
    entries: Vec<Entry>,
    next: usize,
}

struct Entry {
    start: usize,
    end: usize,
    kind: FileType,
}

impl Walk {
    /// Begins at the directory `root`, following it if it is a symbolic link.
    ///
    /// # Errors
    /// When `root` cannot be opened or is no directory.
    pub(crate) fn new(root: &Path, select: Select) -> Result<Self, FileError> {
        let dir = open(CWD, root).map_err(|error| match error {
            Errno::NOTDIR if root.symlink_metadata().is_ok() => {
                FileError::invalid(root, "is not a directory")
            }
            error => FileError::io(root, error),
        })?;
        let mut prefix = root.as_os_str().as_bytes().to_vec();
        if !prefix.ends_with(b"/") {
            prefix.push(b'/');
        }
        let (levels, names, block) = (Vec::new(), Names::read(), Vec::with_capacity(NAME_BLOCK));
        let mut walk = Self { select, levels, names, block, batch: Batch::default(), begun: false };
        walk.enter(dir, prefix).map_err(|error| FileError::io(root, error))?;
        Ok(walk)
    }

    /// Reads a directory's names and makes it the current level.
    fn enter(&mut self, dir: OwnedFd, prefix: Vec<u8>) -> rustix::io::Result<()> {
        if matches!(self.select, Select::Depth(depth) if self.levels.len() >= depth) {
            return Ok(());
        }
        let mut level = Level { place: None, prefix, text: Vec::new(), entries: Vec::new(), next: 0 };
        self.block.clear();
        let mut reader = RawDir::new(&dir, self.block.spare_capacity_mut());
        while let Some(found) = reader.next() {
            let found = found?;
            let name = found.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let mut kind = found.file_type();
            if kind == FileType::Unknown {
                kind = entry::stat(&dir, found.file_name()).map_or(kind, |stat| entry::file_type(&stat));
            }
            let wanted = match &self.select {
                Select::Depth(_) => true,
                Select::Matching(matcher) => kind == FileType::Directory || matcher.matches(name),
            };
            if wanted {
                let start = level.text.len();
                level.text.extend_from_slice(name);
                level.text.push(0);
                level.entries.push(Entry { start, end: level.text.len(), kind });
            }
        }
        let text = &level.text;
        level.entries.sort_unstable_by(|a, b| text[a.start..a.end].cmp(&text[b.start..b.end]));
        level.place = Some(place(dir, &level.prefix));
        self.levels.push(level);
        if let Some(far) = self.levels.len().checked_sub(OPEN_LEVELS + 1) {
            self.levels[far].place = None;
        }
        Ok(())
    }

    /// Handles the next entry; false when none is left.
    fn step(&mut self) -> bool {
        let Some(level) = self.levels.last_mut() else { return false };
        let Some(found) = level.entries.get(level.next) else {
            self.levels.pop();
            return true;
        };
        level.next += 1;
        if level.place.is_none() {
            level.place = open(CWD, level.prefix.as_slice()).ok().map(|dir| place(dir, &level.prefix));
        }
        let Some(place) = &level.place else { return true };
        // The name was stored with the NUL byte at its end.
        let Ok(name) = CStr::from_bytes_with_nul(&level.text[found.start..found.end]) else { return true };
        let is_directory = found.kind == FileType::Directory;
        if !is_directory || matches!(self.select, Select::Depth(_)) {
            self.batch.push(place, name);
        }
        if is_directory && let Ok(below) = open_below(&place.dir, name) {
            let path = [level.prefix.as_slice(), name.to_bytes(), b"/"].concat();
            // A directory that cannot be read is passed over like one that cannot be opened.
            let _ = self.enter(below, path);
        }
        true
    }
}

/// The walk as a JSON array.
impl Source for Walk {
    fn read(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let mut more = true;
        while more && out.len() < PIECE {
            while more && !self.batch.is_full() {
                more = self.step();
            }
            self.batch.write(out, &self.names);
        }
        if !self.begun
            && let Some(comma) = out.first_mut()
        {
            // A comma stands before every element.
            *comma = b'[';
            self.begun = true;
        }
        if !more {
            out.extend_from_slice(if self.begun { b"]" } else { b"[]" });
        }
        Ok(more)
    }
}

/// An open directory for the entries in it.
fn place(dir: OwnedFd, prefix: &[u8]) -> Place {
    let mut escaped = Vec::with_capacity(prefix.len());
    entry::escape(&mut escaped, prefix);
    Place { dir: Arc::new(dir), prefix: escaped.into() }
}

/// Opens a directory to read its names.
fn open(at: impl AsFd, path: impl Arg) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(at, path, DIRECTORY, Mode::empty())
}

/// The same below the root of a walk, where symbolic links are not followed: one may just have taken the place of the
/// directory that was listed.
fn open_below(at: impl AsFd, name: impl Arg) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(at, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

#[cfg(test)]
mod tests {
    use sandkeep_specs::execd::files::{FileInfo, FileKind};

    use super::*;

    fn walk(root: &Path, select: Select) -> Vec<FileInfo> {
        let mut walk = Walk::new(root, select).unwrap();
        let mut all = Vec::new();
        loop {
            let mut piece = Vec::new();
            let more = walk.read(&mut piece).unwrap();
            all.extend(piece);
            if !more {
                return serde_json::from_slice(&all).unwrap();
            }
        }
    }

    fn relative(root: &Path, found: &[FileInfo]) -> Vec<String> {
        let root = format!("{}/", root.display());
        found.iter().map(|info| info.path.strip_prefix(&root).unwrap().to_owned()).collect()
    }

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir_all(at("b/c")).unwrap();
        std::fs::create_dir(at("empty")).unwrap();
        for name in ["a.py", "b.py", "b/c/d.py", "b/x.txt", ".hidden.py"] {
            std::fs::write(at(name), name).unwrap();
        }
        std::os::unix::fs::symlink("b", at("link.py")).unwrap();
        root
    }

    #[test]
    fn searches_base_names_at_every_depth() {
        let root = tree();
        let found = walk(root.path(), Select::Matching(Matcher::new("*.py").unwrap()));
        assert_eq!(relative(root.path(), &found), [".hidden.py", "a.py", "b/c/d.py", "b.py", "link.py"]);
        assert_eq!(found[4].kind, Some(FileKind::Symlink));
    }

    #[test]
    fn lists_parents_before_children() {
        let root = tree();
        let names = |depth| relative(root.path(), &walk(root.path(), Select::Depth(depth)));
        assert_eq!(names(0), Vec::<String>::new());
        assert_eq!(names(1), [".hidden.py", "a.py", "b", "b.py", "empty", "link.py"]);
        assert_eq!(
            names(9),
            [".hidden.py", "a.py", "b", "b/c", "b/c/d.py", "b/x.txt", "b.py", "empty", "link.py"]
        );
    }

    #[test]
    fn goes_deeper_than_a_path_can_be_long() {
        let root = tempfile::tempdir().unwrap();
        let mut dir = open(CWD, root.path()).unwrap();
        let name = "d".repeat(200);
        for _ in 0..40 {
            rustix::fs::mkdirat(&dir, name.as_str(), Mode::from_raw_mode(0o755)).unwrap();
            dir = open(&dir, name.as_str()).unwrap();
        }
        rustix::fs::openat(&dir, "f", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o644)).unwrap();
        let found = walk(root.path(), Select::Matching(Matcher::new("f").unwrap()));
        assert_eq!(found.len(), 1);
        assert!(found[0].path.len() > 8000);
    }

    #[test]
    fn a_file_is_no_root() {
        let root = tree();
        assert!(matches!(Walk::new(&root.path().join("a.py"), Select::Depth(1)), Err(FileError::Invalid(_))));
        assert!(matches!(
            Walk::new(&root.path().join("a.py/x"), Select::Depth(1)),
            Err(FileError::Missing(_))
        ));
        assert!(matches!(Walk::new(&root.path().join("nope"), Select::Depth(1)), Err(FileError::Missing(_))));
    }
}
