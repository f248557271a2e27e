//! What was refused, in files that outlive this process, for whoever started it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    time::Instant,
};

use sandkeep_specs::egress::audit::{AuditEntry, AuditKind, REFUSALS_BEFORE_FILE, REFUSALS_FILE, Refusal};

use super::{packed::Packed, seldom::Seldom};

/// A file that has become larger is put aside, and the one before it removed.
const LARGEST: u64 = 64 * 1024;
const PRIVATE: u32 = 0o600;

/// Writes refusals, a line each, to files that stay small.
#[derive(Debug)]
pub(super) struct Refused {
    directory: PathBuf,
    file: Option<(File, u64)>,
    seldom: Seldom,
}

impl Refused {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, file: None, seldom: Seldom::new(Instant::now()) }
    }

    /// Notes an entry if it tells of a refusal that is news.
    pub(super) fn write(&mut self, entry: &Packed) -> io::Result<()> {
        if entry.allowed {
            return Ok(());
        }
        let entry = entry.entry();
        let Some(unsaid) = self.seldom.tell(&subject(&entry), Instant::now()) else { return Ok(()) };
        let mut line = serde_json::to_vec(&Refusal { entry, unsaid })?;
        line.push(b'\n');
        let (mut file, size) = match self.file.take() {
            Some(open) => open,
            None => self.open()?,
        };
        file.write_all(&line)?;
        let size = size + line.len() as u64;
        if size > LARGEST {
            return fs::rename(self.directory.join(REFUSALS_FILE), self.directory.join(REFUSALS_BEFORE_FILE));
        }
        self.file = Some((file, size));
        Ok(())
    }

    /// Goes on where an earlier process has ended.
    fn open(&self) -> io::Result<(File, u64)> {
        let path = self.directory.join(REFUSALS_FILE);
        let file = OpenOptions::new().create(true).append(true).mode(PRIVATE).open(path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }
}

/// What makes two refusals the same.
fn subject(entry: &AuditEntry) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    // Whoever looks up many names of one address, or many paths of one host, is told of each name and host.
    let kind = if entry.kind == AuditKind::Dns { "dns" } else { "connection" };
    format!("{kind} {} {} {}", text(&entry.host), text(&entry.destination), text(&entry.reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Event;

    fn entry(host: String, allowed: bool) -> Packed {
        let destination = Some("192.0.2.1:443".to_owned());
        Packed::new(0, &Event { allowed, host: Some(host), destination, ..Event::default() })
    }

    fn hosts(directory: &std::path::Path, file: &str) -> Vec<String> {
        let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
        let line = |line: &str| serde_json::from_str::<Refusal>(line).unwrap().entry.host.unwrap();
        text.lines().map(line).collect()
    }

    #[test]
    fn refusals_are_noted_once_and_read_back_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let mut refused = Refused::new(directory.path().to_owned());
            for (host, allowed) in [("a", false), ("b", true), ("a", false)] {
                refused.write(&entry(host.to_owned(), allowed)).unwrap();
            }
        }
        assert_eq!(hosts(directory.path(), REFUSALS_FILE), ["a", "a"]);
    }

    #[test]
    fn files_stay_small_and_keep_the_newest() {
        let directory = tempfile::tempdir().unwrap();
        let mut newest = String::new();
        for round in 0..20 {
            // Each with a limit of its own, as after a restart.
            let mut refused = Refused::new(directory.path().to_owned());
            for number in 0..100 {
                newest = format!("{}-{round}-{number}", "x".repeat(100));
                refused.write(&entry(newest.clone(), false)).unwrap();
            }
        }
        let sizes = [REFUSALS_FILE, REFUSALS_BEFORE_FILE]
            .map(|name| fs::metadata(directory.path().join(name)).unwrap().len());
        assert!(sizes.iter().all(|size| *size <= LARGEST + 4096), "{sizes:?}");
        assert_eq!(hosts(directory.path(), REFUSALS_FILE).last(), Some(&newest));
        assert!(!hosts(directory.path(), REFUSALS_BEFORE_FILE).is_empty());
    }
}
