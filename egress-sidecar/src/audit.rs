//! Remembers what was asked for: the newest in memory for `GET /audit`, and as log lines, so many in a while: sandboxes
//! decide how much there is to tell, and the log is not theirs to fill.
//!
//! Whoever records something only takes a lock. Lines are written by a thread of their own, so that a log nobody reads
//! stops nothing; what it does not write is counted.

mod packed;
mod refused;
mod seldom;

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sandkeep_specs::egress::audit::{AuditKind, AuditList};

pub(crate) use self::seldom::Seldom;
use self::{
    packed::{Packed, Texts},
    refused::Refused,
    seldom::Quota,
};

/// Entries kept.
const KEPT: usize = 2048;
/// Entries written in one go.
const BATCH: usize = 256;
/// The writer looks after new entries at least so often, and so sees that it is to end.
const LOOK: Duration = Duration::from_secs(1);
/// Pause of the writer before it begins again: to wake it for every entry would cost more than to write it.
const GATHER: Duration = Duration::from_millis(20);
/// It needs little.
const WRITER_STACK: usize = 128 * 1024;

/// Something that was asked for.
#[derive(Debug, Clone, Default)]
pub struct Event {
    pub kind: Option<AuditKind>,
    pub allowed: bool,
    pub host: Option<String>,
    pub destination: Option<String>,
    pub method: Option<String>,
    pub path: Option<String>,
    pub rule: Option<String>,
    pub binding: Option<String>,
    pub status: Option<u16>,
    pub reason: Option<String>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<Packed>,
    /// Entries there ever were.
    count: u64,
    /// The writer has nothing to do and wants to be told.
    writer_waits: bool,
}

/// The audit log.
#[derive(Debug, Default)]
pub struct Audit {
    kept: Mutex<Kept>,
    new: Condvar,
}

impl Audit {
    /// An empty log whose entries are written as log lines, as long as it lives, and refusals into files of `directory`.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn start(directory: Option<PathBuf>) -> io::Result<Arc<Self>> {
        let audit = Arc::new(Self::default());
        let watched = Arc::downgrade(&audit);
        thread::Builder::new().name("audit".to_owned()).stack_size(WRITER_STACK).spawn(move || {
            let mut written = 0;
            let (mut refused, mut quota) = (directory.map(Refused::new), Quota::new(Instant::now()));
            while let Some(audit) = watched.upgrade() {
                written = audit.write_after(written, refused.as_mut(), &mut quota);
            }
        })?;
        Ok(audit)
    }

    /// Adds an entry.
    pub fn record(&self, event: Event) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut entry = Packed::new(time, &event);
        let mut kept = self.lock();
        kept.count += 1;
        entry.id = kept.count;
        if kept.entries.len() == KEPT {
            kept.entries.pop_front();
        }
        kept.entries.push_back(entry);
        let is_waited_for = std::mem::take(&mut kept.writer_waits);
        drop(kept);
        if is_waited_for {
            self.new.notify_one();
        }
    }

    /// At most `limit` entries after the one with this number.
    #[must_use]
    pub fn after(&self, after: u64, limit: usize) -> AuditList {
        let (entries, next, lost) = self.read_after(after, limit);
        AuditList { entries: entries.iter().map(Packed::entry).collect(), next, lost }
    }

    fn read_after(&self, after: u64, limit: usize) -> (Vec<Packed>, u64, u64) {
        let kept = self.lock();
        let first = kept.count + 1 - kept.entries.len() as u64;
        let after = after.min(kept.count);
        let lost = first.saturating_sub(after + 1);
        let skip = usize::try_from((after + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        let entries: Vec<_> = kept.entries.iter().skip(skip).take(limit).cloned().collect();
        let next = entries.last().map_or(after.max(first - 1), |entry| entry.id);
        (entries, next, lost)
    }

    /// Waits for new entries and writes them; gives the number of the last one.
    fn write_after(&self, written: u64, mut refused: Option<&mut Refused>, quota: &mut Quota) -> u64 {
        let mut kept = self.lock();
        if kept.count == written {
            kept.writer_waits = true;
            // Whether there are any is looked at again; that this one was poisoned changes nothing.
            drop(self.new.wait_timeout(kept, LOOK));
            thread::sleep(GATHER);
        } else {
            drop(kept);
        }
        let (entries, next, lost) = self.read_after(written, BATCH);
        if lost > 0 && quota.take(Instant::now()).is_some() {
            tracing::warn!(target: "audit", lost, "entries came faster than they could be written");
        }
        for entry in &entries {
            write(entry, quota);
            if let Some(refused) = &mut refused
                && let Err(error) = refused.write(entry)
            {
                tracing::warn!(%error, "a refusal is not noted");
            }
        }
        next
    }

    /// Entries are whole whenever the lock is free.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(entry: &Packed, quota: &mut Quota) {
    let kind = match entry.kind {
        // Whoever refused it has logged it.
        AuditKind::Dns => return,
        AuditKind::Connection => "connection",
        AuditKind::Https => "https",
        AuditKind::Http => "http",
    };
    let Some(unsaid) = quota.take(Instant::now()) else { return };
    let Packed { id, allowed, status, .. } = entry;
    let Texts { host, destination, method, path, rule, binding, reason } = entry.texts();
    tracing::info!(
        target: "audit", id, kind, allowed, host, destination, method, path, rule, binding, status, reason, unsaid,
        "{}", if *allowed { "allowed" } else { "denied" }
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(host: &str) -> Event {
        Event { host: Some(host.to_owned()), ..Event::default() }
    }

    #[test]
    fn entries_are_read_one_after_the_other() {
        let audit = Audit::default();
        assert_eq!((audit.after(0, 10).entries.len(), audit.after(7, 10).next), (0, 0));
        for host in ["a", "b", "c"] {
            audit.record(event(host));
        }
        let first = audit.after(0, 2);
        assert_eq!((first.entries.len(), first.next, first.lost), (2, 2, 0));
        let rest = audit.after(first.next, 2);
        assert_eq!((rest.entries[0].host.as_deref(), rest.next, rest.lost), (Some("c"), 3, 0));
        assert_eq!(audit.after(3, 2).next, 3);
    }

    #[test]
    fn what_is_no_longer_kept_is_counted() {
        let audit = Audit::default();
        for number in 0..KEPT + 5 {
            audit.record(event(&number.to_string()));
        }
        let list = audit.after(2, 1);
        assert_eq!((list.lost, list.entries[0].id, list.next), (3, 6, 6));
        assert_eq!(audit.after(5, 1).lost, 0);
    }

    #[test]
    fn the_writer_keeps_its_place() {
        let (audit, mut quota) = (Audit::default(), Quota::new(Instant::now()));
        audit.record(event("a"));
        assert_eq!(audit.write_after(0, None, &mut quota), 1);
        audit.record(event("b"));
        assert_eq!(audit.write_after(1, None, &mut quota), 2);
    }
}
