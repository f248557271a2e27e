//! What the kernel says of directories, as changes of a tree.

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, fstat, openat, statat};
use rustix::io::Errno;
use sandkeep_specs::execd::files::{WatchEvent, WatchEventKind};

use crate::files::beneath;
use crate::files::error::FileError;

/// Most directories of one watch.
const MAX_DIRECTORIES: usize = 8192;

/// Most entries of directories that came all at once which are reported one by one.
const MAX_REPORTED: usize = 50_000;

/// Changes handed over at once.
const ENOUGH: usize = 512;

/// Room for one block of names, and of events.
const NAME_BLOCK: usize = 32 * 1024;
const EVENT_BLOCK: usize = 16 * 1024;

/// What is asked about each directory.
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR);

/// What is asked about the watched directory itself besides.
const OWN_END: WatchFlags = WatchFlags::DELETE_SELF.union(WatchFlags::MOVE_SELF);

/// How far reading came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// There may be more to read.
    More,
    /// All has been read.
    Drained,
    /// The watched directory is gone.
    Ended,
}

/// A directory being watched, with those in it if it is watched as a tree.
pub(super) struct Tree {
    root: OwnedFd,
    /// Path of the root, which every reported path begins with.
    shown: PathBuf,
    recursive: bool,
    inotify: Arc<OwnedFd>,
    /// Paths, relative to the root, of the directories watched.
    directories: HashMap<i32, Vec<u8>>,
    /// What was found in new directories, and whose creation may be told once more.
    found: HashSet<Vec<u8>>,
    /// What has left one place and may turn up in another.
    leaving: Option<Leaving>,
}

struct Leaving {
    cookie: u32,
    path: Vec<u8>,
    directory: bool,
}

impl Tree {
    /// Begins to watch `root`, following it if it is a symbolic link; links below it are not followed.
    ///
    /// # Errors
    /// When it is no directory, or holds more directories than can be watched.
    pub(super) fn new(root: &Path, recursive: bool) -> Result<Self, FileError> {
        let failed = |error: Errno| match error {
            Errno::NOTDIR if root.symlink_metadata().is_ok() => {
                FileError::invalid(root, "is not a directory")
            }
            error => limit(root, error),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(CWD, root, flags, Mode::empty()).map_err(failed)?;
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed)?;
        let mut tree = Self {
            root: opened,
            shown: root.to_path_buf(),
            recursive,
            inotify: Arc::new(inotify),
            directories: HashMap::new(),
            found: HashSet::new(),
            leaving: None,
        };
        tree.add(Vec::new(), None)?;
        Ok(tree)
    }

    /// Descriptor that is readable while there are changes to read.
    pub(super) fn descriptor(&self) -> &Arc<OwnedFd> {
        &self.inotify
    }

    /// Whether something has left a place, and where it went is not known yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.leaving.is_some()
    }

    /// Reads changes.
    ///
    /// # Errors
    /// When there are more directories than can be watched.
    pub(super) fn read(&mut self, out: &mut Vec<WatchEvent>) -> Result<Progress, FileError> {
        let inotify = Arc::clone(&self.inotify);
        let mut block = Vec::with_capacity(EVENT_BLOCK);
        let mut reader = Reader::new(&*inotify, block.spare_capacity_mut());
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(CStr::to_bytes).unwrap_or_default();
                    if !self.event(event.wd(), event.events(), event.cookie(), name, out)? {
                        return Ok(Progress::Ended);
                    }
                }
                Err(Errno::AGAIN) => {
                    // All that was told twice has been.
                    self.found.clear();
                    return Ok(Progress::Drained);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(FileError::io(&self.shown, error)),
            }
            if reader.is_buffer_empty() && out.len() >= ENOUGH {
                return Ok(Progress::More);
            }
        }
    }

    /// Handles one event; false when it was the last.
    fn event(
        &mut self,
        watch: i32,
        flags: ReadFlags,
        cookie: u32,
        name: &[u8],
        out: &mut Vec<WatchEvent>,
    ) -> Result<bool, FileError> {
        let arrives = flags.contains(ReadFlags::MOVED_TO);
        if !(arrives && self.leaving.as_ref().is_some_and(|leaving| leaving.cookie == cookie)) {
            self.give_up_waiting(out);
        }
        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            out.push(self.change(WatchEventKind::Overflow, b"", true));
            self.start_over()?;
            return Ok(true);
        }
        if flags.contains(ReadFlags::IGNORED) {
            let gone = self.directories.remove(&watch);
            return Ok(!gone.is_some_and(|path| path.is_empty()));
        }
        let Some(parent) = self.directories.get(&watch) else { return Ok(true) };
        if flags.intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT) {
            if !parent.is_empty() {
                return Ok(true);
            }
            out.push(self.change(WatchEventKind::Deleted, b"", true));
            return Ok(false);
        }
        if name.is_empty() {
            return Ok(true);
        }
        let path = join(parent, name);
        let directory = flags.contains(ReadFlags::ISDIR);
        if arrives {
            self.arrived(path, directory, out)?;
        } else if flags.contains(ReadFlags::CREATE) {
            self.created(path, directory, out)?;
        } else if flags.contains(ReadFlags::MOVED_FROM) {
            self.found.remove(&path);
            self.leaving = Some(Leaving { cookie, path, directory });
        } else if flags.contains(ReadFlags::DELETE) {
            self.found.remove(&path);
            out.push(self.change(WatchEventKind::Deleted, &path, directory));
        } else {
            let modified = self.change(WatchEventKind::Modified, &path, directory);
            if out.last() != Some(&modified) {
                out.push(modified);
            }
        }
        Ok(true)
    }

    fn created(
        &mut self,
        path: Vec<u8>,
        directory: bool,
        out: &mut Vec<WatchEvent>,
    ) -> Result<(), FileError> {
        if self.found.remove(&path) {
            return Ok(());
        }
        out.push(self.change(WatchEventKind::Created, &path, directory));
        if directory && self.recursive { self.add(path, Some(out)) } else { Ok(()) }
    }

    /// Something was moved to `path`, from within the tree if something is leaving.
    fn arrived(
        &mut self,
        path: Vec<u8>,
        directory: bool,
        out: &mut Vec<WatchEvent>,
    ) -> Result<(), FileError> {
        let Some(left) = self.leaving.take() else { return self.created(path, directory, out) };
        let mut moved = self.change(WatchEventKind::Moved, &path, directory);
        moved.from = Some(self.shown_path(&left.path));
        out.push(moved);
        if !(directory && self.recursive) {
            return Ok(());
        }
        let mut known = false;
        for below in self.directories.values_mut() {
            if let Some(rest) = inside(below, &left.path) {
                *below = [&path, rest].concat();
                known = true;
            }
        }
        self.found = std::mem::take(&mut self.found)
            .into_iter()
            .map(|found| match inside(&found, &left.path) {
                Some(rest) => [&path, rest].concat(),
                None => found,
            })
            .collect();
        if known { Ok(()) } else { self.add(path, Some(out)) }
    }

    /// What was leaving has left the tree.
    pub(super) fn give_up_waiting(&mut self, out: &mut Vec<WatchEvent>) {
        let Some(left) = self.leaving.take() else { return };
        out.push(self.change(WatchEventKind::Deleted, &left.path, left.directory));
        if left.directory {
            let inotify = &self.inotify;
            self.directories.retain(|watch, path| {
                let stays = inside(path, &left.path).is_none();
                if !stays {
                    // A watch that is gone already need not be taken away.
                    let _ = inotify::remove_watch(inotify, *watch);
                }
                stays
            });
        }
    }

    /// Tells that the watched directory itself was deleted, if it was.
    pub(super) fn tell_if_gone(&self, out: &mut Vec<WatchEvent>) -> bool {
        let gone = fstat(&self.root).is_ok_and(|found| found.st_nlink == 0);
        if gone {
            out.push(self.change(WatchEventKind::Deleted, b"", true));
        }
        gone
    }

    /// Watches a directory and those in it. With `report`, what is in them is reported as created: it may have come
    /// before they were watched.
    fn add(&mut self, path: Vec<u8>, mut report: Option<&mut Vec<WatchEvent>>) -> Result<(), FileError> {
        let mut todo = vec![path];
        while let Some(path) = todo.pop() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            // Gone again, or closed to us: nothing that could be watched.
            let Ok(directory) = beneath::open(&self.root, &path, flags) else { continue };
            if self.directories.len() >= MAX_DIRECTORIES {
                let message =
                    format!("{}: more than {MAX_DIRECTORIES} directories to watch", self.shown.display());
                return Err(FileError::Busy(message));
            }
            // By descriptor, so that nothing can take the directory's place meanwhile.
            let name = format!("/proc/self/fd/{}", directory.as_raw_fd());
            let asked = if path.is_empty() { CHANGES | OWN_END } else { CHANGES };
            let watch = inotify::add_watch(&self.inotify, name, asked);
            let watch = watch.map_err(|error| limit(&self.shown, error))?;
            if self.recursive {
                self.look_into(&directory, &path, &mut todo, report.as_deref_mut());
            }
            self.directories.insert(watch, path);
        }
        Ok(())
    }

    /// Finds the directories in a directory, and reports all that is in it.
    fn look_into(
        &mut self,
        directory: &OwnedFd,
        path: &[u8],
        todo: &mut Vec<Vec<u8>>,
        mut report: Option<&mut Vec<WatchEvent>>,
    ) {
        let mut block = Vec::with_capacity(NAME_BLOCK);
        let mut entries = RawDir::new(directory, block.spare_capacity_mut());
        // A directory that cannot be read to its end is watched all the same.
        while let Some(Ok(entry)) = entries.next() {
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
                kind = found.map_or(kind, |found| FileType::from_raw_mode(found.st_mode));
            }
            let below = join(path, name.to_bytes());
            let is_directory = kind == FileType::Directory;
            if let Some(out) = report.as_deref_mut() {
                self.report(&below, is_directory, out);
            }
            if is_directory {
                todo.push(below);
            }
        }
    }

    /// Reports what was found in a new directory, or that there is too much of it.
    fn report(&mut self, path: &[u8], directory: bool, out: &mut Vec<WatchEvent>) {
        if out.len() < MAX_REPORTED {
            out.push(self.change(WatchEventKind::Created, path, directory));
            self.found.insert(path.to_vec());
        } else if out.last().is_some_and(|last| last.kind != WatchEventKind::Overflow) {
            out.push(self.change(WatchEventKind::Overflow, b"", true));
        }
    }

    /// Looks at everything afresh after changes were lost.
    fn start_over(&mut self) -> Result<(), FileError> {
        self.found.clear();
        let before = std::mem::take(&mut self.directories);
        // The same directory gets the same watch again.
        self.add(Vec::new(), None)?;
        for watch in before.into_keys().filter(|watch| !self.directories.contains_key(watch)) {
            let _ = inotify::remove_watch(&self.inotify, watch);
        }
        Ok(())
    }

    fn change(&self, kind: WatchEventKind, path: &[u8], directory: bool) -> WatchEvent {
        let path = self.shown_path(path);
        WatchEvent { kind, path, from: None, directory, message: None }
    }

    fn shown_path(&self, path: &[u8]) -> String {
        use std::os::unix::ffi::OsStrExt;
        let path = match path {
            b"" => self.shown.clone(),
            path => self.shown.join(std::ffi::OsStr::from_bytes(path)),
        };
        path.to_string_lossy().into_owned()
    }
}

/// A limit of the system on watches is the client's to wait for.
fn limit(path: &Path, error: Errno) -> FileError {
    let of = match error {
        Errno::NOSPC => "fs.inotify.max_user_watches",
        Errno::MFILE => "fs.inotify.max_user_instances",
        error => return FileError::io(path, error),
    };
    FileError::Busy(format!("{}: the system's limit {of} is reached", path.display()))
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() }
}

/// The rest of a path that is `directory` or lies in it.
fn inside<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    path.strip_prefix(directory).filter(|rest| matches!(rest.first(), None | Some(b'/')))
}
