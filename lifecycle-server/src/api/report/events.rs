//! What happened, a line each.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use crate::{
    runtime::Refusal,
    sandbox::{Note, NoteKind, Noted, State},
};

/// What is shown when nothing has happened.
const NONE: &str = "(no events)";

/// The newest events, oldest first.
pub(in crate::api) struct Listing {
    pub(in crate::api) text: String,
    /// There were older ones.
    pub(in crate::api) truncated: bool,
}

/// At most `limit` of the events and refusals, the newest. Refusals, of which there can be any number, do not push out
/// more than half of what else happened.
pub(in crate::api) fn events(notes: &[Noted], refusals: &[Refusal], limit: usize) -> Listing {
    let room = limit.saturating_sub(notes.len()).max(limit / 2);
    let refused = refusals.len().min(room);
    let happened = notes.len().min(limit - refused);
    let notes_shown = notes[notes.len() - happened..].iter().map(|noted| (noted.note.at, line(&noted.note)));
    let refusals_shown =
        refusals[refusals.len() - refused..].iter().map(|refusal| (refusal.at, refused_line(refusal)));
    let mut lines: Vec<_> = notes_shown.chain(refusals_shown).collect();
    // Notes of one instant keep their order.
    lines.sort_by_key(|(at, _)| *at);
    let mut text: String = lines.into_iter().map(|(_, line)| line + "\n").collect();
    if text.is_empty() {
        text = NONE.to_owned();
    }
    Listing { text, truncated: happened < notes.len() || refused < refusals.len() }
}

fn refused_line(refusal: &Refusal) -> String {
    let Refusal { at, what, why, unsaid } = refusal;
    let more = if *unsaid == 0 { String::new() } else { format!(" ({unsaid} more before it)") };
    // Names and paths come from the sandbox.
    let text = format!("{what}: {why}{more}").replace(char::is_control, "?");
    format!("{} [Warning] EGRESS_REFUSED: {text}", time(*at))
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn line(note: &Note) -> String {
    let is_bad = note.kind == NoteKind::Limit
        || note.status.as_ref().is_some_and(|(state, _)| *state == State::Failed);
    let level = if is_bad { "Warning" } else { "Normal" };
    let mut line = format!("{} [{level}]", time(note.at));
    match (&note.status, note.kind) {
        (Some((state, reason)), _) => {
            let _ = write!(line, " {reason}: the sandbox is {state}");
        }
        (None, NoteKind::Image) => line += " IMAGE",
        (None, NoteKind::Limit) => line += " LIMIT_REACHED",
        (None, _) => line += " DELETED",
    }
    if let Some(message) = &note.message {
        // One event is one line, whatever a program printed before it failed.
        let _ = write!(line, ": {}", message.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    if let Some(details) = &note.details {
        line += &figures(details);
    }
    line
}

fn figures(details: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(took) = details["durationMs"].as_f64() {
        parts.push(format!("{took} ms"));
    }
    for phase in details["phases"].as_array().into_iter().flatten() {
        let (name, took) = (phase["name"].as_str(), phase["durationMs"].as_f64());
        parts.extend(name.zip(took).map(|(name, took)| format!("{name} {took}")));
    }
    if let Some(code) = details["exitCode"].as_i64() {
        parts.push(format!("exit code {code}"));
    }
    if let (Some(limit), Some(total)) = (details["limit"].as_str(), details["total"].as_u64()) {
        parts.push(format!("{limit}, {total} so far"));
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use serde_json::json;

    use super::*;

    fn noted(
        id: i64,
        kind: NoteKind,
        status: Option<(State, &str)>,
        message: Option<&str>,
        details: Value,
    ) -> Noted {
        let note = Note {
            at: DateTime::<Utc>::UNIX_EPOCH + Duration::from_micros(1),
            sandbox: "a".to_owned(),
            kind,
            tenant: None,
            status: status.map(|(state, reason)| (state, reason.to_owned())),
            message: message.map(str::to_owned),
            metadata: BTreeMap::new(),
            details: Some(details),
        };
        Noted { id, note }
    }

    #[test]
    fn every_kind_has_its_line() {
        let notes = [
            noted(1, NoteKind::Image, None, Some("x is here"), json!({"durationMs": 12.5})),
            noted(
                2,
                NoteKind::State,
                Some((State::Running, "SANDBOX_RUNNING")),
                None,
                json!({"durationMs": 3.5, "phases": [{"name": "clone", "durationMs": 2.0}]}),
            ),
            noted(
                3,
                NoteKind::Limit,
                None,
                Some("2 killed"),
                json!({"limit": "memory", "count": 2, "total": 5}),
            ),
            noted(
                4,
                NoteKind::State,
                Some((State::Failed, "OOM_KILLED")),
                Some("a\n b"),
                json!({"exitCode": 137}),
            ),
        ];
        let listing = events(&notes, &[], 10);
        assert!(!listing.truncated);
        assert_eq!(
            listing.text,
            "1970-01-01T00:00:00.000001Z [Normal] IMAGE: x is here (12.5 ms)\n\
             1970-01-01T00:00:00.000001Z [Normal] SANDBOX_RUNNING: the sandbox is Running (3.5 ms, clone 2)\n\
             1970-01-01T00:00:00.000001Z [Warning] LIMIT_REACHED: 2 killed (memory, 5 so far)\n\
             1970-01-01T00:00:00.000001Z [Warning] OOM_KILLED: the sandbox is Failed: a b (exit code 137)\n"
        );
        let newest = events(&notes, &[], 1);
        assert!(newest.truncated && newest.text.contains("OOM_KILLED") && newest.text.lines().count() == 1);
        assert_eq!(events(&[], &[], 5).text, NONE);
    }

    #[test]
    fn refusals_stand_where_they_came_and_leave_room() {
        let refusal = |seconds: u64, what: &str, unsaid| Refusal {
            at: DateTime::<Utc>::UNIX_EPOCH + Duration::from_secs(seconds),
            what: what.to_owned(),
            why: "default".to_owned(),
            unsaid,
        };
        let note = noted(1, NoteKind::Image, None, Some("x is here"), json!({}));
        let later = |seconds| {
            let mut later = note.clone();
            later.note.at = DateTime::<Utc>::UNIX_EPOCH + Duration::from_secs(seconds);
            later
        };
        let refusals = [refusal(1, "the name a\u{1b}", 0), refusal(3, "the name b", 2)];
        let listing = events(&[note.clone(), later(2)], &refusals, 10);
        assert_eq!(
            listing.text,
            "1970-01-01T00:00:00.000001Z [Normal] IMAGE: x is here\n\
             1970-01-01T00:00:01.000000Z [Warning] EGRESS_REFUSED: the name a?: default\n\
             1970-01-01T00:00:02.000000Z [Normal] IMAGE: x is here\n\
             1970-01-01T00:00:03.000000Z [Warning] EGRESS_REFUSED: the name b: default (2 more before it)\n"
        );
        let many: Vec<_> = (0..100).map(|at| refusal(at, "the name c", 0)).collect();
        let listing = events(&[note.clone(), later(2), later(3)], &many, 4);
        assert!(listing.truncated);
        assert_eq!((listing.text.matches("IMAGE").count(), listing.text.matches("REFUSED").count()), (2, 2));
        let listing = events(&[note], &many, 4);
        assert_eq!((listing.text.matches("IMAGE").count(), listing.text.matches("REFUSED").count()), (1, 3));
    }
}
