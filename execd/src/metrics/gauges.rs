//! Files of the control group that whoever started us opened: in a sandbox there is no path to them.

use std::{
    collections::BTreeMap,
    fs::File,
    os::{fd::OwnedFd, unix::fs::FileExt},
    sync::{Arc, OnceLock},
};

/// What this process was handed.
static HANDED: OnceLock<Arc<Gauges>> = OnceLock::new();

/// Longest file that is read; those of a control group are shorter.
const MAX_BYTES: usize = 16 * 1024;

/// Takes note of what this process was handed, before anything is measured; none is nothing.
pub fn hand_over(gauges: Gauges) {
    if !gauges.0.is_empty() {
        // Handed once, by whoever starts the daemon.
        let _ = HANDED.set(Arc::new(gauges));
    }
}

/// What this process was handed, if anything.
pub(super) fn handed() -> Option<Arc<Gauges>> {
    HANDED.get().cloned()
}

/// Open files by name, such as `memory.current`.
#[derive(Debug, Default)]
pub struct Gauges(BTreeMap<String, File>);

impl Gauges {
    /// Takes the files over.
    #[must_use]
    pub fn new(files: impl IntoIterator<Item = (String, OwnedFd)>) -> Self {
        Self(files.into_iter().map(|(name, file)| (name, File::from(file))).collect())
    }

    /// What a file says now.
    pub(super) fn read(&self, name: &str) -> Option<String> {
        let mut text = vec![0; MAX_BYTES];
        let count = self.0.get(name)?.read_at(&mut text, 0).ok()?;
        text.truncate(count);
        String::from_utf8(text).ok()
    }
}
