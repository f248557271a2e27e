//! What the programs of sandboxes print: on disk, within bounds, still there when the sandbox has ended.
//!
//! Two files per sandbox, the present one and the one before it; together they hold at least half the bound. Every line
//! begins with the instant its first byte came, so that readers can ask for what came since.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use chrono::{DateTime, SecondsFormat, Utc};
use tokio::sync::watch;

/// Length of an instant and the blank after it.
const STAMP: usize = "2026-01-01T00:00:00.000000Z ".len();
/// A line may make a file this much longer than it should be; a longer one is cut.
const LONGEST_LINE: u64 = 64 * 1024;
/// Bytes read at once by a follower.
const PIECE: u64 = 64 * 1024;
const EXTENSION: &str = "log";
const OLDER_EXTENSION: &str = "log.1";

/// The logs of all sandboxes of a runtime.
#[derive(Debug)]
pub struct Logs {
    directory: PathBuf,
    /// Longest a file may get.
    half: u64,
    live: Mutex<HashMap<String, Weak<Log>>>,
}

/// The log of one sandbox. Calls do blocking input and output.
#[derive(Debug)]
pub struct Log {
    current: PathBuf,
    older: PathBuf,
    half: u64,
    writing: Mutex<Writing>,
    progress: watch::Sender<Progress>,
}

/// How far a log has come. Positions count bytes from where the older file began when the log was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub end: u64,
    /// Nothing will be added any more.
    pub is_over: bool,
}

/// Lines of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    pub text: String,
    /// There were more lines than asked for, or older ones are gone already.
    pub truncated: bool,
    /// Where the log ended.
    pub end: u64,
    /// The last line has no end yet.
    pub within_line: bool,
}

/// Which lines of a log.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// The last ones, at most so many.
    pub tail: usize,
    /// Only those that came at this instant or later.
    pub since: Option<DateTime<Utc>>,
    /// With the instant in front.
    pub timestamps: bool,
}

#[derive(Debug)]
struct Writing {
    file: Option<File>,
    /// Bytes in the present file and in the older one.
    length: u64,
    older_length: u64,
    /// Position of the present file's first byte.
    begin: u64,
    within_line: bool,
}

impl Logs {
    /// Logs in `directory`, of at most `bytes` each (with one long line, somewhat more).
    pub fn new(directory: PathBuf, bytes: u64) -> Self {
        Self { directory, half: (bytes / 2).max(1), live: Mutex::default() }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<String, Weak<Log>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log of a sandbox that begins or goes on. It is over when the last one who holds it says so.
    pub fn open(&self, id: &str) -> Arc<Log> {
        let mut live = self.live();
        live.retain(|_, log| log.strong_count() > 0);
        if let Some(log) = live.get(id).and_then(Weak::upgrade)
            && !log.progress.borrow().is_over
        {
            return log;
        }
        let log = Arc::new(Log::at(&self.directory, id, self.half, false));
        live.insert(id.to_owned(), Arc::downgrade(&log));
        log
    }

    /// The log of a sandbox, whether it goes on or is over. One that never printed has an empty one.
    pub fn get(&self, id: &str) -> Arc<Log> {
        let live = self.live().get(id).and_then(Weak::upgrade);
        live.unwrap_or_else(|| Arc::new(Log::at(&self.directory, id, self.half, true)))
    }

    /// Removes a sandbox's log.
    pub fn remove(&self, id: &str) {
        self.live().remove(id);
        for path in [file(&self.directory, id, EXTENSION), file(&self.directory, id, OLDER_EXTENSION)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, path = %path.display(), "a log stays behind");
                }
                _ => {}
            }
        }
    }

    /// Removes all logs but those of sandboxes that `keep` names.
    pub fn retain(&self, keep: &dyn Fn(&str) -> bool) {
        let names = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
            if let Some((id, _)) = name.split_once('.')
                && !keep(id)
            {
                self.remove(id);
            }
        }
    }
}

fn file(directory: &Path, id: &str, extension: &str) -> PathBuf {
    directory.join(format!("{id}.{extension}"))
}

impl Log {
    fn at(directory: &Path, id: &str, half: u64, is_over: bool) -> Self {
        let (current, older) = (file(directory, id, EXTENSION), file(directory, id, OLDER_EXTENSION));
        let length_of = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let (length, older_length) = (length_of(&current), length_of(&older));
        let within_line = length > 0 && last_byte(&current).is_ok_and(|byte| byte != b'\n');
        let writing = Writing { file: None, length, older_length, begin: older_length, within_line };
        let progress = watch::Sender::new(Progress { end: older_length + length, is_over });
        Self { current, older, half, writing: Mutex::new(writing), progress }
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds output. What cannot be written, for instance to a full disk, is lost: the program must not wait for it.
    pub fn append(&self, output: &[u8]) {
        let mut writing = self.writing();
        if let Err(error) = self.try_append(&mut writing, output) {
            tracing::debug!(%error, path = %self.current.display(), "output is lost");
            writing.file = None;
            writing.length = fs::metadata(&self.current).map_or(0, |metadata| metadata.len());
            writing.within_line = last_byte(&self.current).is_ok_and(|byte| byte != b'\n');
        }
        let end = writing.begin + writing.length;
        drop(writing);
        self.progress.send_modify(|progress| progress.end = end);
    }

    fn try_append(&self, writing: &mut Writing, output: &[u8]) -> io::Result<()> {
        let stamp = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut pending = Vec::with_capacity(output.len() + 2 * STAMP);
        for line in output.split_inclusive(|byte| *byte == b'\n') {
            let length = writing.length + pending.len() as u64;
            if writing.within_line && length > self.half + LONGEST_LINE {
                pending.push(b'\n');
                writing.within_line = false;
            }
            if !writing.within_line {
                if length > self.half {
                    self.flush(writing, &mut pending)?;
                    self.rotate(writing)?;
                }
                pending.extend_from_slice(stamp.as_bytes());
                pending.push(b' ');
            }
            pending.extend_from_slice(line);
            writing.within_line = !line.ends_with(b"\n");
        }
        self.flush(writing, &mut pending)
    }

    fn flush(&self, writing: &mut Writing, pending: &mut Vec<u8>) -> io::Result<()> {
        let file = match &mut writing.file {
            Some(file) => file,
            none => {
                // What a sandbox prints is its owner's alone.
                let mut options = OpenOptions::new();
                none.insert(options.create(true).append(true).mode(0o600).open(&self.current)?)
            }
        };
        file.write_all(pending)?;
        writing.length += pending.len() as u64;
        pending.clear();
        Ok(())
    }

    fn rotate(&self, writing: &mut Writing) -> io::Result<()> {
        fs::rename(&self.current, &self.older)?;
        writing.file = None;
        writing.begin += writing.length;
        writing.older_length = std::mem::take(&mut writing.length);
        Ok(())
    }

    /// Nothing will be added any more.
    pub fn finish(&self) {
        self.progress.send_modify(|progress| progress.is_over = true);
    }

    /// Tells when there is more.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Everything that is there, oldest first, and where it ends.
    fn all(&self) -> io::Result<(Vec<u8>, u64, bool)> {
        let writing = self.writing();
        let mut bytes = Vec::new();
        for (path, length) in [(&self.older, writing.older_length), (&self.current, writing.length)] {
            match File::open(path) {
                Ok(file) => drop(file.take(length).read_to_end(&mut bytes)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        // More than the two files hold was written since the log was opened, so something is gone.
        let is_cut = writing.begin > writing.older_length;
        Ok((bytes, writing.begin + writing.length, is_cut))
    }

    /// The lines asked for.
    pub fn read(&self, extent: Extent) -> io::Result<Excerpt> {
        let (bytes, end, is_cut) = self.all()?;
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        if let Some(since) = extent.since {
            let since = since.to_rfc3339_opts(SecondsFormat::Micros, true);
            // Instants of the same form compare like their texts.
            let first = lines.iter().position(|line| line.get(..STAMP - 1) >= Some(since.as_bytes()));
            lines.drain(..first.unwrap_or(lines.len()));
        }
        let excess = lines.len().saturating_sub(extent.tail);
        let shown = lines.drain(excess..);
        let text: Vec<u8> = shown
            .flat_map(|line| if extent.timestamps { line } else { line.get(STAMP..).unwrap_or_default() })
            .copied()
            .collect();
        Ok(Excerpt {
            text: String::from_utf8_lossy(&text).into_owned(),
            truncated: excess > 0 || (is_cut && extent.since.is_none()),
            end,
            within_line: bytes.last().is_some_and(|byte| *byte != b'\n'),
        })
    }

    /// At most `limit` bytes from the end, as text without instants.
    pub fn tail(&self, limit: usize) -> String {
        let extent = Extent { tail: usize::MAX, since: None, timestamps: false };
        let text = self.read(extent).map(|excerpt| excerpt.text).unwrap_or_default();
        let start = text.len().saturating_sub(limit);
        text[text.ceil_char_boundary(start)..].to_owned()
    }

    /// A piece of what follows `position`, as it lies on disk, and the position after it. A position whose bytes are
    /// gone answers what is left, which begins with a line.
    fn piece(&self, position: u64) -> io::Result<(Vec<u8>, u64, bool)> {
        let (file, start, length, is_gap) = {
            let writing = self.writing();
            let oldest = writing.begin - writing.older_length;
            let (position, is_gap) = (position.max(oldest), position < oldest);
            let (path, begin, end) = if position < writing.begin {
                (&self.older, oldest, writing.begin)
            } else {
                (&self.current, writing.begin, writing.begin + writing.length)
            };
            if position >= end {
                return Ok((Vec::new(), position, is_gap));
            }
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(position - begin))?;
            (file, position, (end - position).min(PIECE), is_gap)
        };
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes)?;
        let after = start + bytes.len() as u64;
        Ok((bytes, after, is_gap))
    }
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// Reads a log as it grows. Holds a position and nothing that grows.
#[derive(Debug)]
pub struct Follower {
    log: Arc<Log>,
    progress: watch::Receiver<Progress>,
    position: u64,
    timestamps: bool,
    /// Bytes of an instant that are still to be left out.
    skip: usize,
}

impl Follower {
    /// Goes on where an excerpt ended.
    pub fn after(log: Arc<Log>, excerpt: &Excerpt, timestamps: bool) -> Self {
        let skip = if excerpt.within_line { 0 } else { STAMP };
        Self { progress: log.progress(), log, position: excerpt.end, timestamps, skip }
    }

    /// Waits for more output; nothing once the log is over.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let progress = *self.progress.borrow_and_update();
            if progress.end > self.position {
                let (log, position) = (Arc::clone(&self.log), self.position);
                let piece = tokio::task::spawn_blocking(move || log.piece(position)).await;
                let (bytes, after, is_gap) = piece.map_err(io::Error::other)??;
                self.position = after;
                if is_gap {
                    self.skip = STAMP;
                }
                let bytes = if self.timestamps { bytes } else { self.without_stamps(&bytes) };
                if !bytes.is_empty() {
                    return Ok(Some(bytes));
                }
            } else if progress.is_over || self.progress.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    fn without_stamps(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(bytes.len());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let skipped = self.skip.min(line.len());
            self.skip -= skipped;
            kept.extend_from_slice(&line[skipped..]);
            if line.ends_with(b"\n") {
                self.skip = STAMP;
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const ALL: Extent = Extent { tail: usize::MAX, since: None, timestamps: false };

    fn logs(bytes: u64) -> (tempfile::TempDir, Logs) {
        let dir = tempfile::tempdir().unwrap();
        let logs = Logs::new(dir.path().to_owned(), bytes);
        (dir, logs)
    }

    #[test]
    fn lines_are_kept_however_they_come_in_and_survive_their_writer() {
        let (dir, logs) = logs(1 << 20);
        let log = logs.open("a");
        for piece in ["one\ntw", "o\n", "\n", "thr"] {
            log.append(piece.as_bytes());
        }
        assert_eq!(log.read(ALL).unwrap().text, "one\ntwo\n\nthr");
        let last = log.read(Extent { tail: 2, ..ALL }).unwrap();
        assert_eq!((last.text.as_str(), last.truncated, last.within_line), ("\nthr", true, true));
        drop(log);

        let again = Logs::new(dir.path().to_owned(), 1 << 20);
        again.open("a").append(b"ee\nfour\n");
        assert_eq!(again.get("a").read(ALL).unwrap().text, "one\ntwo\n\nthree\nfour\n");
        assert_eq!(again.get("a").tail(6), "\nfour\n");
        assert_eq!(again.get("none").read(ALL).unwrap().text, "");
        again.retain(&|id| id != "a");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_what_came_since_is_shown() {
        let (_dir, logs) = logs(1 << 20);
        let log = logs.open("a");
        log.append(b"early\n");
        let between = Utc::now() + TimeDelta::microseconds(1);
        while Utc::now() <= between {
            std::hint::spin_loop();
        }
        log.append(b"late\n");
        let read = |since| log.read(Extent { since: Some(since), ..ALL }).unwrap().text;
        assert_eq!(read(between), "late\n");
        assert_eq!(read(between - TimeDelta::hours(1)), "early\nlate\n");
        assert_eq!(read(between + TimeDelta::hours(1)), "");
        let stamped = log.read(Extent { timestamps: true, ..ALL }).unwrap().text;
        let (instant, rest) = stamped.split_at(STAMP);
        assert!(DateTime::parse_from_rfc3339(instant.trim_end()).is_ok(), "{stamped}");
        assert!(rest.starts_with("early\n"));
    }

    #[test]
    fn the_disk_space_is_bounded_with_many_lines_and_with_one_endless_one() {
        let (dir, logs) = logs(20_000);
        let log = logs.open("a");
        let used = || -> u64 {
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
        };
        for n in 0..5000 {
            log.append(format!("line {n}\n").as_bytes());
        }
        assert!(used() < 22_000, "{}", used());
        let excerpt = log.read(ALL).unwrap();
        assert!(excerpt.truncated && excerpt.text.ends_with("line 4998\nline 4999\n"));
        for _ in 0..200 {
            log.append(&[b'x'; 8192]);
        }
        assert!(used() < 20_000 + 2 * (LONGEST_LINE + 8192), "{}", used());
    }

    #[tokio::test]
    async fn a_follower_sees_every_byte_once_over_rotations_until_the_end() {
        let (_dir, logs) = logs(200_000);
        let log = logs.open("a");
        log.append(b"before\nhal");
        let excerpt = log.read(ALL).unwrap();
        let mut follower = Follower::after(Arc::clone(&log), &excerpt, false);
        let writer = tokio::task::spawn_blocking(move || {
            log.append(b"f\n");
            for n in 0..20_000 {
                log.append(format!("{n}\n").as_bytes());
                if n % 50 == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
            log.finish();
        });
        let mut text = excerpt.text.into_bytes();
        while let Some(more) = follower.next().await.unwrap() {
            text.extend(more);
        }
        writer.await.unwrap();
        let expected: String = (0..20_000).map(|n| format!("{n}\n")).collect();
        assert!(String::from_utf8(text).unwrap() == format!("before\nhalf\n{expected}"));
    }

    #[tokio::test]
    async fn a_follower_that_was_overtaken_goes_on_with_whole_lines() {
        let (_dir, logs) = logs(1000);
        let log = logs.open("a");
        let mut follower = Follower::after(Arc::clone(&log), &log.read(ALL).unwrap(), false);
        for n in 0..1000 {
            log.append(format!("line {n}\n").as_bytes());
        }
        log.finish();
        let mut text = Vec::new();
        while let Some(more) = follower.next().await.unwrap() {
            text.extend(more);
        }
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("line ") && text.ends_with("line 999\n"), "{text}");
        assert!(text.lines().count() < 100);
    }
}
