//! An entry as it is kept: thousands of them are, so all its texts are in one piece.

use std::sync::Arc;

use sandkeep_specs::egress::audit::{AuditEntry, AuditKind};

use super::Event;

/// Longest text of an entry: names and paths come from the sandbox.
pub(super) const LONGEST_TEXT: usize = 256;
const TEXTS: usize = 7;
/// In place of the length of a text that there is not.
const ABSENT: u16 = u16::MAX;

/// One entry.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    pub(super) id: u64,
    pub(super) time: u64,
    pub(super) kind: AuditKind,
    pub(super) allowed: bool,
    pub(super) status: Option<u16>,
    /// Of the texts, in the order of [`Texts`].
    lengths: [u16; TEXTS],
    texts: Arc<str>,
}

/// The texts of an entry.
pub(super) struct Texts<T> {
    pub(super) host: Option<T>,
    pub(super) destination: Option<T>,
    pub(super) method: Option<T>,
    pub(super) path: Option<T>,
    pub(super) rule: Option<T>,
    pub(super) binding: Option<T>,
    pub(super) reason: Option<T>,
}

impl Packed {
    /// An entry that has no number yet.
    pub(super) fn new(time: u64, event: &Event) -> Self {
        let texts = [
            &event.host,
            &event.destination,
            &event.method,
            &event.path,
            &event.rule,
            &event.binding,
            &event.reason,
        ]
        .map(|text| text.as_deref().map(cut));
        let mut together = String::with_capacity(texts.iter().flatten().map(|text| text.len()).sum());
        together.extend(texts.iter().flatten().copied());
        Self {
            id: 0,
            time,
            kind: event.kind.unwrap_or(AuditKind::Connection),
            allowed: event.allowed,
            status: event.status,
            lengths: texts.map(|text| text.map_or(ABSENT, |text| text.len() as u16)),
            texts: together.into(),
        }
    }

    pub(super) fn texts(&self) -> Texts<&str> {
        let mut rest = &*self.texts;
        let [host, destination, method, path, rule, binding, reason] = self.lengths.map(|length| {
            (length != ABSENT).then(|| {
                let (text, after) = rest.split_at(usize::from(length));
                rest = after;
                text
            })
        });
        Texts { host, destination, method, path, rule, binding, reason }
    }

    pub(super) fn entry(&self) -> AuditEntry {
        let Texts { host, destination, method, path, rule, binding, reason } = self.texts();
        let owned = |text: Option<&str>| text.map(str::to_owned);
        AuditEntry {
            id: self.id,
            time: self.time,
            kind: self.kind,
            allowed: self.allowed,
            host: owned(host),
            destination: owned(destination),
            method: owned(method),
            path: owned(path),
            rule: owned(rule),
            binding: owned(binding),
            status: self.status,
            reason: owned(reason),
        }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_out_as_it_went_in() {
        let text = |text: &str| Some(text.to_owned());
        let event = Event {
            kind: Some(AuditKind::Http),
            allowed: true,
            host: text("a.example"),
            destination: None,
            method: text("GET"),
            path: text(""),
            rule: text("*.example"),
            binding: None,
            status: Some(200),
            reason: text("\u{e4}"),
        };
        let AuditEntry {
            id,
            time,
            kind,
            allowed,
            host,
            destination,
            method,
            path,
            rule,
            binding,
            status,
            reason,
        } = Packed::new(8, &event).entry();
        assert_eq!((id, time, kind, allowed, status), (0, 8, AuditKind::Http, true, Some(200)));
        assert_eq!((host, destination, method), (event.host, None, event.method));
        assert_eq!((path, rule, binding, reason), (event.path, event.rule, None, event.reason));
    }

    #[test]
    fn texts_of_the_sandbox_are_cut() {
        let event = Event { host: Some("\u{e4}".repeat(LONGEST_TEXT)), ..Event::default() };
        assert_eq!(Packed::new(1, &event).texts().host.map(str::len), Some(LONGEST_TEXT));
    }
}
