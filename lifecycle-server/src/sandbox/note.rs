//! What happened to a sandbox, as it is written down.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    record::{Record, Status},
    state::State,
};

/// Longest message kept, in bytes.
const MAX_MESSAGE: usize = 4 * 1024;
/// Most bytes of metadata kept with one note; labels beyond are left out.
const MAX_METADATA: usize = 16 * 1024;

/// The kinds of things that are noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteKind {
    /// The sandbox is new, or its state or the reason for it changed.
    State,
    /// The sandbox is gone.
    Deleted,
    /// Its image had to be fetched first.
    Image,
    /// It ran into one of its limits.
    Limit,
}

/// One thing that happened, not yet numbered.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    pub at: DateTime<Utc>,
    pub sandbox: String,
    pub kind: NoteKind,
    /// Whom the sandbox belongs to; `None` on a server without tenants.
    pub tenant: Option<String>,
    /// State and its reason, where the note tells of them.
    pub status: Option<(State, String)>,
    pub message: Option<String>,
    /// The sandbox's labels at that time.
    pub metadata: BTreeMap<String, String>,
    /// Figures, by name.
    pub details: Option<Value>,
}

/// A note with its number; a later one has a higher number.
#[derive(Debug, Clone, PartialEq)]
pub struct Noted {
    pub id: i64,
    pub note: Note,
}

impl NoteKind {
    pub const ALL: [Self; 4] = [Self::State, Self::Deleted, Self::Image, Self::Limit];

    /// The name on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::State => "sandbox.state",
            Self::Deleted => "sandbox.deleted",
            Self::Image => "sandbox.image",
            Self::Limit => "sandbox.limit",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Note {
    /// The sandbox is in the state its record says.
    pub(crate) fn state(record: &Record, details: Option<Value>) -> Self {
        let Status { state, reason, message, last_transition_at } = &record.status;
        let status = Some((*state, reason.clone()));
        let base = Self::about(record, *last_transition_at, NoteKind::State, message.as_deref());
        Self { status, details, ..base }
    }

    /// The sandbox is gone, and why if that was not asked for.
    pub(crate) fn deleted(record: &Record, at: DateTime<Utc>, why: Option<&str>) -> Self {
        Self::about(record, at, NoteKind::Deleted, why)
    }

    pub(crate) fn image(record: &Record, at: DateTime<Utc>, message: &str, took: Option<Duration>) -> Self {
        let details = took.map(|took| json!({"durationMs": millis(took)}));
        Self { details, ..Self::about(record, at, NoteKind::Image, Some(message)) }
    }

    pub(crate) fn limit(record: &Record, at: DateTime<Utc>, message: &str, details: Value) -> Self {
        Self { details: Some(details), ..Self::about(record, at, NoteKind::Limit, Some(message)) }
    }

    fn about(record: &Record, at: DateTime<Utc>, kind: NoteKind, message: Option<&str>) -> Self {
        Self {
            at,
            sandbox: record.id.clone(),
            kind,
            tenant: record.plan.tenant.clone(),
            status: None,
            message: message.map(|message| head(message, MAX_MESSAGE).to_owned()),
            metadata: some_labels(&record.metadata),
            details: None,
        }
    }
}

/// Where the time of a start went, in milliseconds, in order.
pub(super) fn phases(phases: &[(&'static str, Duration)]) -> Value {
    let total = phases.iter().map(|(_, took)| *took).sum();
    let phases: Vec<Value> =
        phases.iter().map(|(name, took)| json!({"name": name, "durationMs": millis(*took)})).collect();
    json!({"durationMs": millis(total), "phases": phases})
}

/// Milliseconds to the microsecond.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

fn head(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn some_labels(metadata: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut left = MAX_METADATA;
    let fits = metadata.iter().take_while(|(key, value)| {
        let size = key.len() + value.len();
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    });
    fits.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::record_for_tests;

    #[test]
    fn notes_are_bounded_whatever_a_sandbox_carries() {
        let mut record = record_for_tests("a", Utc::now());
        record.metadata = (0..1000).map(|n| (format!("key-{n:04}"), "v".repeat(60))).collect();
        record.status.message = Some("ü".repeat(MAX_MESSAGE));
        let note = Note::state(&record, None);
        let size: usize = note.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert!(size <= MAX_METADATA && size > MAX_METADATA - 100, "{size}");
        assert!(note.metadata.contains_key("key-0000"));
        assert_eq!(note.message.unwrap().len(), MAX_MESSAGE);
    }

    #[test]
    fn phases_keep_their_order_and_add_up() {
        let details = phases(&[("image", Duration::from_micros(1500)), ("clone", Duration::from_millis(2))]);
        assert_eq!(details["durationMs"], 3.5);
        assert_eq!(details["phases"][0], json!({"name": "image", "durationMs": 1.5}));
    }

    #[test]
    fn names_are_read_back() {
        for kind in NoteKind::ALL {
            assert_eq!(NoteKind::parse(kind.as_str()), Some(kind));
        }
    }
}
