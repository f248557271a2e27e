//! Entries of a walk that are looked at together. Most of the time of a long answer goes into the kernel's look at each
//! of them, so a second thread takes a part of that.

use std::ffi::CStr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use super::entry::{self, Writer};
use super::names::Names;

/// Entries a thread takes at a time.
const SHARE: usize = 32;

/// From this many entries on a second thread is worth its start.
const WORTH_SHARING: usize = 4 * SHARE;

/// Room for the second thread's calls.
const STACK: usize = 128 * 1024;

/// A batch with more entries is full,
const MOST_ENTRIES: usize = 1024;

/// and so is one of more directories, as all of them are kept open.
const MOST_PLACES: usize = 64;

/// Whether two threads are faster than one.
static SEVERAL_PROCESSORS: LazyLock<bool> =
    LazyLock::new(|| thread::available_parallelism().is_ok_and(|count| count.get() > 1));

/// A directory whose entries are listed.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) dir: Arc<OwnedFd>,
    /// Its path with a slash at the end, as the inside of a JSON string.
    pub(super) prefix: Arc<[u8]>,
}

/// Entries to be written, in their order.
#[derive(Default)]
pub(super) struct Batch {
    places: Vec<Place>,
    /// Names with a NUL byte at the end of each.
    text: Vec<u8>,
    entries: Vec<Entry>,
    aside: Aside,
}

struct Entry {
    place: usize,
    name: Range<usize>,
}

/// What the second thread writes: its last share first.
#[derive(Default)]
struct Aside {
    text: Vec<u8>,
    /// Where each share ends.
    ends: Vec<usize>,
}

impl Batch {
    /// Adds an entry.
    pub(super) fn push(&mut self, place: &Place, name: &CStr) {
        if !self.places.last().is_some_and(|last| Arc::ptr_eq(&last.dir, &place.dir)) {
            self.places.push(place.clone());
        }
        let start = self.text.len();
        self.text.extend_from_slice(name.to_bytes_with_nul());
        self.entries.push(Entry { place: self.places.len() - 1, name: start..self.text.len() });
    }

    /// Whether it should be written before anything is added.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= MOST_ENTRIES || self.places.len() >= MOST_PLACES
    }

    /// Appends every entry that is still there as a JSON object after a comma, and empties the batch.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, names: &Names) {
        let mut aside = std::mem::take(&mut self.aside);
        let work = Work { batch: self, names, left: Mutex::new(0..self.entries.len()) };
        if self.entries.len() < WORTH_SHARING || !*SEVERAL_PROCESSORS {
            work.write_forwards(out);
        } else {
            // The thread has this one's credentials: the kernel gives new threads those of their makers.
            thread::scope(|scope| {
                let helper = thread::Builder::new().name("files".into()).stack_size(STACK);
                let helper = helper.spawn_scoped(scope, || work.write_backwards(&mut aside));
                work.write_forwards(out);
                drop(helper);
            });
        }
        aside.move_to(out);
        self.aside = aside;
        self.places.clear();
        self.text.clear();
        self.entries.clear();
    }
}

/// A batch that is being written.
struct Work<'a> {
    batch: &'a Batch,
    names: &'a Names,
    /// Entries nobody has taken yet.
    left: Mutex<Range<usize>>,
}

impl Work<'_> {
    /// Writes shares one after the other until none is left.
    fn write_forwards(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(self.names);
        while let Some(share) = self.take(|left| {
            let share = left.start..left.end.min(left.start + SHARE);
            left.start = share.end;
            share
        }) {
            self.write(share, out, &mut writer);
        }
    }

    /// The same beginning with the last share.
    fn write_backwards(&self, aside: &mut Aside) {
        let mut writer = Writer::new(self.names);
        while let Some(share) = self.take(|left| {
            let share = left.start.max(left.end.saturating_sub(SHARE))..left.end;
            left.end = share.start;
            share
        }) {
            self.write(share, &mut aside.text, &mut writer);
            aside.ends.push(aside.text.len());
        }
    }

    fn take(&self, cut: impl FnOnce(&mut Range<usize>) -> Range<usize>) -> Option<Range<usize>> {
        let share = cut(&mut self.left.lock().unwrap_or_else(PoisonError::into_inner));
        (!share.is_empty()).then_some(share)
    }

    fn write(&self, share: Range<usize>, out: &mut Vec<u8>, writer: &mut Writer<'_>) {
        for entry in &self.batch.entries[share] {
            let place = &self.batch.places[entry.place];
            // Names were stored with the NUL byte at their ends.
            let Ok(name) = CStr::from_bytes_with_nul(&self.batch.text[entry.name.clone()]) else { continue };
            if let Ok(stat) = entry::stat(&place.dir, name) {
                out.push(b',');
                writer.write(out, &place.prefix, name.to_bytes(), &stat);
            }
        }
    }
}

impl Aside {
    /// Appends what it holds in the order of the entries.
    fn move_to(&mut self, out: &mut Vec<u8>) {
        let mut end = self.text.len();
        while self.ends.pop().is_some() {
            let start = self.ends.last().copied().unwrap_or(0);
            out.extend_from_slice(&self.text[start..end]);
            end = start;
        }
        self.text.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use sandkeep_specs::execd::files::FileInfo;

    use super::*;
    use crate::files::{actor::Actor, credentials::may_assume};

    /// Entries of a directory in which every tenth is missing, and the names of those that are there.
    fn batch(count: usize) -> (Batch, Vec<String>, tempfile::TempDir) {
        let root = tempfile::tempdir().unwrap();
        let dir = Arc::new(OwnedFd::from(std::fs::File::open(root.path()).unwrap()));
        let place = Place { dir, prefix: b"/".as_slice().into() };
        let mut batch = Batch::default();
        let mut there = Vec::new();
        for number in 0..count {
            let name = format!("{number:05}");
            if number % 10 != 3 {
                std::fs::write(root.path().join(&name), b"").unwrap();
                there.push(format!("/{name}"));
            }
            batch.push(&place, &CString::new(name).unwrap());
        }
        (batch, there, root)
    }

    fn paths(mut out: Vec<u8>) -> Vec<String> {
        out.push(b']');
        out[0] = b'[';
        let found: Vec<FileInfo> = serde_json::from_slice(&out).unwrap();
        found.into_iter().map(|info| info.path).collect()
    }

    #[test]
    fn entries_keep_their_order_whoever_writes_them() {
        let (mut batch, there, _root) = batch(MOST_ENTRIES + 7);
        assert!(batch.is_full());
        let names = Names::read();
        for front_first in [0, 1, 5, 40] {
            let work = Work {
                batch: &batch,
                names: &names,
                left: Mutex::new(front_first * SHARE..batch.entries.len()),
            };
            let (mut out, mut aside) = (Vec::new(), Aside::default());
            work.write(0..(front_first * SHARE).min(batch.entries.len()), &mut out, &mut Writer::new(&names));
            work.write_backwards(&mut aside);
            aside.move_to(&mut out);
            assert_eq!(paths(out), there, "{front_first}");
        }
        let mut out = Vec::new();
        batch.write(&mut out, &names);
        assert_eq!(paths(out), there);
        let mut out = Vec::new();
        batch.write(&mut out, &names);
        assert!(out.is_empty() && !batch.is_full());
    }

    #[test]
    fn both_threads_have_the_rights_of_who_asked() {
        use std::os::unix::fs::PermissionsExt;
        if !may_assume() {
            return;
        }
        let (mut batch, _, root) = batch(MOST_ENTRIES);
        // Whoever is not the owner may read the names and nothing more.
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o744)).unwrap();
        let (names, mut out) = (Names::read(), Vec::new());
        Actor::identity(4242, 4243).act(|| batch.write(&mut out, &names)).unwrap();
        assert!(out.is_empty());
    }
}
