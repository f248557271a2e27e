//! Events as bytes.

use sandkeep_specs::execd::event::{EventKind, ServerStreamEvent};

/// Appends an event: `data: {json}` and an empty line.
pub fn push_event(out: &mut Vec<u8>, event: &ServerStreamEvent) {
    out.extend_from_slice(b"data: ");
    let start = out.len();
    if serde_json::to_writer(&mut *out, event).is_err() {
        // Only a map with keys that are not strings could fail to be written, and events have none.
        out.truncate(start);
        out.extend_from_slice(b"{}");
    }
    escape_separators(out, start);
    out.extend_from_slice(b"\n\n");
}

/// The last bytes of every event.
const EVENT_END: &[u8] = b"}\n\n";

/// Writes many text events of one kind and moment without building each one.
#[derive(Debug)]
pub struct TextEncoder {
    prefix: &'static [u8],
    suffix: Vec<u8>,
}

impl TextEncoder {
    /// An encoder for this kind, `Stdout` or `Stderr`; its events carry this timestamp (Unix milliseconds).
    #[must_use]
    pub fn new(kind: EventKind, timestamp: i64) -> Self {
        let prefix: &[u8] = match kind {
            EventKind::Stderr => br#"data: {"type":"stderr","text":""#,
            _ => br#"data: {"type":"stdout","text":""#,
        };
        Self { prefix, suffix: format!("\",\"timestamp\":{timestamp}}}\n\n").into_bytes() }
    }

    /// Appends one event. Bytes that are not UTF-8 each become U+FFFD.
    pub fn push(&self, out: &mut Vec<u8>, text: &[u8]) {
        out.extend_from_slice(self.prefix);
        match std::str::from_utf8(text) {
            Ok(text) => push_escaped(out, text),
            Err(_) => push_lossy(out, text),
        }
        out.extend_from_slice(&self.suffix);
    }

    /// Appends one event whose text is known to be UTF-8.
    pub fn push_str(&self, out: &mut Vec<u8>, text: &str) {
        out.extend_from_slice(self.prefix);
        push_escaped(out, text);
        out.extend_from_slice(&self.suffix);
    }

    /// Appends one event that says at which offset its text ends.
    pub fn push_at(&self, out: &mut Vec<u8>, text: &[u8], offset: u64) {
        self.push(out, text);
        // In place of the event's own end.
        out.truncate(out.len() - EVENT_END.len());
        out.extend_from_slice(b",\"offset\":");
        out.extend_from_slice(offset.to_string().as_bytes());
        out.extend_from_slice(EVENT_END);
    }

    /// Bytes of an event beside its text.
    #[must_use]
    pub fn overhead(&self) -> usize {
        self.prefix.len() + self.suffix.len()
    }
}

fn push_lossy(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        push_escaped(out, chunk.valid());
        for _ in chunk.invalid() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

/// Bytes looked at together; the compiler turns the test of one block into a few vector instructions.
const BLOCK: usize = 16;

/// First bytes of the characters beyond ASCII that end a line: U+0085, U+2028 and U+2029. JSON allows them as they are,
/// but clients that split a stream by their language's idea of a line would cut an event there.
const SEPARATOR_STARTS: [u8; 2] = [0xc2, 0xe2];

/// Appends the inside of a JSON string.
pub fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if let Some(block) = rest.first_chunk::<BLOCK>()
            && !block.iter().fold(false, |found, &byte| found | needs_escape(byte))
        {
            out.extend_from_slice(block);
            at += BLOCK;
            continue;
        }
        let end = bytes.len().min(at + BLOCK);
        while at < end {
            at += push_next(out, &bytes[at..]);
        }
    }
}

const fn needs_escape(byte: u8) -> bool {
    (byte < 0x20)
        | (byte == b'"')
        | (byte == b'\\')
        | (byte == SEPARATOR_STARTS[0])
        | (byte == SEPARATOR_STARTS[1])
}

/// Appends the next byte, or the whole character if it ends a line; how many bytes that was.
fn push_next(out: &mut Vec<u8>, rest: &[u8]) -> usize {
    match separator(rest) {
        Some((escape, length)) => {
            out.extend_from_slice(escape);
            length
        }
        None => {
            push_byte(out, rest[0]);
            1
        }
    }
}

/// The escape of a character beyond ASCII that ends a line, and its length.
fn separator(bytes: &[u8]) -> Option<(&'static [u8], usize)> {
    match bytes {
        [0xc2, 0x85, ..] => Some((br"\u0085", 2)),
        [0xe2, 0x80, 0xa8, ..] => Some((br"\u2028", 3)),
        [0xe2, 0x80, 0xa9, ..] => Some((br"\u2029", 3)),
        _ => None,
    }
}

/// Escapes in finished JSON what the serializer leaves as it is; such characters occur there only inside strings.
fn escape_separators(out: &mut Vec<u8>, start: usize) {
    let [first, second] = SEPARATOR_STARTS;
    let found = memchr::memchr2_iter(first, second, &out[start..]);
    if !found.map(|at| start + at).any(|at| separator(&out[at..]).is_some()) {
        return;
    }
    let json = out.split_off(start);
    let mut rest = json.as_slice();
    while let Some(at) = memchr::memchr2(first, second, rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let used = push_next(out, rest);
        rest = &rest[used..];
    }
    out.extend_from_slice(rest);
}

fn push_byte(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(br#"\""#),
        b'\\' => out.extend_from_slice(br"\\"),
        b'\n' => out.extend_from_slice(br"\n"),
        b'\r' => out.extend_from_slice(br"\r"),
        b'\t' => out.extend_from_slice(br"\t"),
        0..0x20 => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            out.extend_from_slice(br"\u00");
            out.extend_from_slice(&digits);
        }
        _ => out.push(byte),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(bytes: &[u8]) -> ServerStreamEvent {
        let text = std::str::from_utf8(bytes).unwrap();
        serde_json::from_str(text.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn escaping_agrees_with_serde_json(text in any::<String>(), pad in 0usize..40) {
            let text = format!("{}{text}", "x".repeat(pad));
            let mut out = vec![b'"'];
            push_escaped(&mut out, &text);
            out.push(b'"');
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn control_characters_survive(bytes in prop::collection::vec(0u8..0x80, 0..200)) {
            let text = String::from_utf8(bytes).unwrap();
            let mut out = Vec::new();
            TextEncoder::new(EventKind::Stdout, 7).push(&mut out, text.as_bytes());
            let event = decoded(&out);
            prop_assert_eq!(event.kind, EventKind::Stdout);
            prop_assert_eq!(event.timestamp, Some(7));
            prop_assert_eq!(event.text, Some(text));
        }

        #[test]
        fn any_bytes_make_a_valid_event(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            TextEncoder::new(EventKind::Stderr, 1).push(&mut out, &bytes);
            prop_assert_eq!(decoded(&out).kind, EventKind::Stderr);
        }
    }

    #[test]
    fn each_invalid_byte_becomes_one_replacement_character() {
        let mut out = Vec::new();
        TextEncoder::new(EventKind::Stdout, 1).push(&mut out, b"a\xff\xe2\x82b");
        assert_eq!(decoded(&out).text.unwrap(), "a\u{FFFD}\u{FFFD}\u{FFFD}b");
    }

    #[test]
    fn no_event_has_a_line_end_inside() {
        let text = "a\u{85}b\u{2028}c\u{2029}d\u{b}\u{c}\u{1c}\u{e9}\u{201c}".repeat(7);
        for pad in 0..20 {
            let text = format!("{}{text}", "x".repeat(pad));
            let (mut encoded, mut whole) = (Vec::new(), Vec::new());
            TextEncoder::new(EventKind::Stdout, 1).push_str(&mut encoded, &text);
            push_event(&mut whole, &ServerStreamEvent::new(EventKind::Stdout, 1).with_text(&*text));
            for bytes in [encoded, whole] {
                assert_eq!(decoded(&bytes).text.as_deref(), Some(text.as_str()));
                let json = std::str::from_utf8(&bytes).unwrap().trim_end();
                assert!(
                    !json.contains(['\u{85}', '\u{2028}', '\u{2029}', '\u{b}', '\u{c}', '\u{1c}']),
                    "{json}"
                );
            }
        }
    }

    #[test]
    fn whole_events_are_framed_alike() {
        let mut out = Vec::new();
        push_event(&mut out, &ServerStreamEvent::new(EventKind::Ping, 5).with_text("pong"));
        assert_eq!(out, b"data: {\"type\":\"ping\",\"text\":\"pong\",\"timestamp\":5}\n\n");
    }
}
