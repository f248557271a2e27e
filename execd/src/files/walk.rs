//! Walking directories: names are read in blocks, matched, and only then looked at.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;
use rustix::path::Arg;

use super::body::Source;
use super::entry;
use super::error::FileError;
use super::glob::Matcher;
use super::names::Names;

/// Size of one piece of the answer, in bytes.
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
    /// Whether the array's bracket has been written, and whether an element has.
    opened: bool,
    begun: bool,
}

/// One directory on the way down.
struct Level {
    dir: Option<OwnedFd>,
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
        let mut walk = Self { select, levels, names, block, opened: false, begun: false };
        walk.enter(dir, prefix).map_err(|error| FileError::io(root, error))?;
        Ok(walk)
    }

    /// Reads a directory's names and makes it the current level.
    fn enter(&mut self, dir: OwnedFd, prefix: Vec<u8>) -> rustix::io::Result<()> {
        if matches!(self.select, Select::Depth(depth) if self.levels.len() >= depth) {
            return Ok(());
        }
        let mut level = Level { dir: None, prefix, text: Vec::new(), entries: Vec::new(), next: 0 };
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
        level.dir = Some(dir);
        self.levels.push(level);
        if let Some(far) = self.levels.len().checked_sub(OPEN_LEVELS + 1) {
            self.levels[far].dir = None;
        }
        Ok(())
    }

    /// Handles the next entry; false when none is left.
    fn step(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(level) = self.levels.last_mut() else { return false };
        let Some(found) = level.entries.get(level.next) else {
            self.levels.pop();
            return true;
        };
        level.next += 1;
        if level.dir.is_none() {
            level.dir = open(CWD, level.prefix.as_slice()).ok();
        }
        let Some(dir) = &level.dir else { return true };
        let name = &level.text[found.start..found.end];
        // The name was stored with the NUL byte at its end.
        let Ok(c_name) = std::ffi::CStr::from_bytes_with_nul(name) else { return true };
        let path = [level.prefix.as_slice(), &name[..name.len() - 1]].concat();
        let is_directory = found.kind == FileType::Directory;
        let below = if is_directory { open_below(dir, c_name).ok() } else { None };
        let listed = !is_directory || matches!(self.select, Select::Depth(_));
        if listed && let Ok(stat) = entry::stat(dir, c_name) {
            if self.begun {
                out.push(b',');
            }
            self.begun = true;
            entry::write_json(out, &path, &stat, &mut self.names);
        }
        if let Some(below) = below {
            // A directory that cannot be read is passed over like one that cannot be opened.
            let _ = self.enter(below, [&path, b"/".as_slice()].concat());
        }
        true
    }
}

/// The walk as a JSON array.
impl Source for Walk {
    fn read(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        if !std::mem::replace(&mut self.opened, true) {
            out.push(b'[');
        }
        while out.len() < PIECE {
            if !self.step(out) {
                out.push(b']');
                return Ok(false);
            }
        }
        Ok(true)
    }
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
