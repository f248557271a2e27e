//! The most recent output of a foreground command, kept for clients that come back.
//!
//! A little stays in memory, more goes into a file that is written round and round: memory is bounded for a command
//! of any length, and so is the disk.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
    sync::Arc,
};

use sandkeep_specs::execd::event::EventKind;
use uuid::Uuid;

use super::background::OutputDirectory;

/// Output up to this size needs no file.
pub(super) const MEMORY_BYTES: usize = 8 * 1024;

/// Output that is kept of one command. More than what can be on its way to a client when its connection breaks.
pub(super) const WINDOW_BYTES: u64 = 16 * 1024 * 1024;

/// Changes between standard output and standard error that are remembered.
const MAX_RUNS: usize = 16 * 1024;

/// A stretch of output of one kind, up to the next one's beginning.
#[derive(Debug, Clone, Copy)]
struct Run {
    at: u64,
    kind: EventKind,
}

/// Where output that is not small goes: a file of this name. The name of a file that is never needed is never made.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) directory: Arc<OutputDirectory>,
    pub(super) id: Uuid,
}

/// Output in the order in which it was sent, addressed by byte offset.
#[derive(Debug)]
pub(super) struct Window {
    /// Offset of the first byte that is kept.
    start: u64,
    /// Offset after the last one.
    end: u64,
    runs: VecDeque<Run>,
    /// The whole output as long as it is small.
    memory: Vec<u8>,
    place: Place,
    /// Whether there was more, and where it is, if it could be put anywhere.
    spilled: bool,
    path: Option<PathBuf>,
    file: Option<File>,
}

impl Window {
    /// Nothing yet.
    pub(super) fn new(place: Place) -> Self {
        Self {
            start: 0,
            end: 0,
            runs: VecDeque::new(),
            memory: Vec::new(),
            place,
            spilled: false,
            path: None,
            file: None,
        }
    }

    /// Offset of the first byte that is kept.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Offset after the last byte.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Bytes it takes in memory and on disk.
    pub(super) fn weight(&self) -> (usize, u64) {
        let memory = self.memory.capacity() + self.runs.capacity() * size_of::<Run>();
        (memory, if self.spilled { self.end - self.start } else { 0 })
    }

    /// Adds what was sent. What cannot be stored is forgotten, and all before it.
    pub(super) fn append(&mut self, kind: EventKind, bytes: &[u8]) {
        if self.runs.back().is_none_or(|last| last.kind != kind) {
            self.runs.push_back(Run { at: self.end, kind });
        }
        let stored = self.store(bytes).is_ok();
        self.end += bytes.len() as u64;
        if !stored {
            self.start = self.end;
        } else if self.spilled {
            self.start = self.start.max(self.end.saturating_sub(WINDOW_BYTES));
        }
        if self.runs.len() > MAX_RUNS {
            self.runs.pop_front();
            self.start = self.start.max(self.runs.front().map_or(self.end, |run| run.at));
        }
        while self.runs.get(1).is_some_and(|second| second.at <= self.start) {
            self.runs.pop_front();
        }
    }

    fn store(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.spilled {
            if self.memory.len() + bytes.len() <= MEMORY_BYTES {
                self.memory.extend_from_slice(bytes);
                return Ok(());
            }
            self.spilled = true;
            let earlier = std::mem::take(&mut self.memory);
            if let Ok((path, file)) = self.place.create() {
                (self.path, self.file) = (Some(path), Some(file));
            }
            self.write(self.start, &earlier)?;
        }
        self.write(self.end, bytes)
    }

    fn write(&self, offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let mut offset = offset;
        while !bytes.is_empty() {
            let (at, room) = place(offset);
            let (now, later) = bytes.split_at(bytes.len().min(room));
            file.write_all_at(now, at)?;
            offset += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    /// Up to `most` bytes from `offset` on, all of one kind, and whether the next byte, if there is one, is of the
    /// other kind. `None` where nothing is kept.
    pub(super) fn read(&self, offset: u64, most: usize) -> io::Result<Option<Piece>> {
        if offset < self.start || offset >= self.end {
            return Ok(None);
        }
        let next = self.runs.partition_point(|run| run.at <= offset);
        let Some(run) = next.checked_sub(1).and_then(|index| self.runs.get(index)) else { return Ok(None) };
        let end = self.runs.get(next).map_or(self.end, |run| run.at);
        let wanted = usize::try_from(end - offset).unwrap_or(most).min(most);
        let mut bytes = vec![0; wanted];
        if self.spilled {
            self.read_file(offset, &mut bytes)?;
        } else {
            let at = usize::try_from(offset).unwrap_or(usize::MAX);
            bytes.copy_from_slice(self.memory.get(at..at + wanted).ok_or(io::ErrorKind::UnexpectedEof)?);
        }
        Ok(Some(Piece { kind: run.kind, whole: offset + wanted as u64 == end, bytes }))
    }

    fn read_file(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let opened;
        let file = match (&self.file, &self.path) {
            (Some(file), _) => file,
            (None, Some(path)) => {
                opened = File::open(path)?;
                &opened
            }
            (None, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        let mut done = 0;
        while done < bytes.len() {
            let (at, room) = place(offset + done as u64);
            let now = (bytes.len() - done).min(room);
            file.read_exact_at(&mut bytes[done..done + now], at)?;
            done += now;
        }
        Ok(())
    }

    /// Nothing will be added any more.
    pub(super) fn seal(&mut self) {
        self.file = None;
        self.memory.shrink_to_fit();
        self.runs.shrink_to_fit();
    }

    /// Keeps nothing any more.
    pub(super) fn forget(&mut self) {
        self.start = self.end;
        self.memory = Vec::new();
        self.runs = VecDeque::new();
        self.file = None;
        if let Some(path) = self.path.take() {
            let _ = fs::remove_file(path);
        }
        self.spilled = true;
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Consecutive output of one kind.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) kind: EventKind,
    pub(super) bytes: Vec<u8>,
    /// It reaches to where the kind changes or the output ends so far.
    pub(super) whole: bool,
}

impl Place {
    fn path(&self) -> io::Result<PathBuf> {
        self.directory.place(&self.id.simple().to_string())
    }

    fn create(&self) -> io::Result<(PathBuf, File)> {
        let path = self.path()?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((path, file))
    }
}

/// Where a byte is in the file, and how many can follow it before the file begins anew.
fn place(offset: u64) -> (u64, usize) {
    let at = offset % WINDOW_BYTES;
    (at, usize::try_from(WINDOW_BYTES - at).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { directory: Arc::default(), id: crate::id::random() }
    }

    fn all(window: &Window, mut offset: u64, step: usize) -> Vec<(EventKind, Vec<u8>)> {
        let mut pieces: Vec<(EventKind, Vec<u8>)> = Vec::new();
        while let Some(piece) = window.read(offset, step).unwrap() {
            offset += piece.bytes.len() as u64;
            match pieces.last_mut() {
                Some((kind, bytes)) if *kind == piece.kind => bytes.extend(piece.bytes),
                _ => pieces.push((piece.kind, piece.bytes)),
            }
        }
        assert_eq!(offset, window.end());
        pieces
    }

    #[test]
    fn small_output_stays_in_memory() {
        let place = place();
        let path = place.path().unwrap();
        let mut window = Window::new(place);
        window.append(EventKind::Stdout, b"one\n");
        window.append(EventKind::Stderr, b"two\n");
        window.append(EventKind::Stderr, b"three\n");
        let expected =
            vec![(EventKind::Stdout, b"one\n".to_vec()), (EventKind::Stderr, b"two\nthree\n".to_vec())];
        assert_eq!(all(&window, 0, 3), expected);
        assert_eq!(all(&window, 6, 100), [(EventKind::Stderr, b"o\nthree\n".to_vec())]);
        window.seal();
        assert_eq!(all(&window, 0, 100), expected);
        assert!(!path.exists() && window.read(14, 1).unwrap().is_none());
        assert_eq!(window.weight(), (14 + 2 * size_of::<Run>(), 0));
    }

    #[test]
    fn the_file_goes_round_and_keeps_the_last_bytes() {
        let place = place();
        let path = place.path().unwrap();
        let mut window = Window::new(place);
        let block: Vec<u8> = (0..=250).cycle().take(1_000_003).collect();
        let mut whole = Vec::new();
        for number in 0..40 {
            let kind = if number % 2 == 0 { EventKind::Stdout } else { EventKind::Stderr };
            window.append(kind, &block);
            whole.extend_from_slice(&block);
        }
        assert_eq!(window.start(), whole.len() as u64 - WINDOW_BYTES);
        assert!(window.read(window.start() - 1, 1).unwrap().is_none());
        window.seal();
        for from in [window.start(), window.start() + 12_345, window.end() - 1] {
            let kept: Vec<u8> =
                all(&window, from, 100_000).into_iter().flat_map(|(_, bytes)| bytes).collect();
            assert!(kept == whole[usize::try_from(from).unwrap()..]);
        }
        assert_eq!(path.metadata().unwrap().len(), WINDOW_BYTES);
        drop(window);
        assert!(!path.exists());
    }

    #[test]
    fn changes_of_kind_are_bounded() {
        let mut window = Window::new(place());
        for _ in 0..MAX_RUNS {
            window.append(EventKind::Stdout, b"");
            window.append(EventKind::Stderr, b"");
        }
        assert!(window.runs.len() <= MAX_RUNS);
    }

    #[test]
    fn without_a_place_only_what_is_small_is_kept() {
        let place = place();
        let taken = place.path().unwrap();
        fs::write(&taken, "somebody's").unwrap();
        let mut window = Window::new(place);
        window.append(EventKind::Stdout, b"abc");
        assert_eq!(all(&window, 0, 9).len(), 1);
        window.append(EventKind::Stdout, &[b'x'; MEMORY_BYTES]);
        assert_eq!(window.start(), window.end());
        window.append(EventKind::Stdout, b"y");
        assert!(window.read(window.end() - 1, 1).unwrap().is_none());
        window.forget();
        assert_eq!(fs::read_to_string(taken).unwrap(), "somebody's");
    }
}
