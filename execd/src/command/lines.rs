//! Output bytes cut into lines that keep their ends.

use memchr::{memchr2, memrchr2};

use crate::stream::TextEncoder;

/// Bytes asked of a pipe at once.
pub(crate) const READ_BYTES: usize = 64 * 1024;

/// Bytes asked of one that has not filled its buffer yet: most commands say little.
const FIRST_READ_BYTES: usize = 4 * 1024;

/// A line longer than this goes out in pieces.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// Bytes of one output stream on their way into events, one event a line; `\n`, `\r\n` and `\r` end one.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    data: Vec<u8>,
    /// Where the next event's text begins.
    start: usize,
    /// Up to here the bytes are to be sent.
    cut: usize,
}

impl LineBuffer {
    /// The buffer to append to, with room for a read; `added` is to be called afterwards.
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        let filled = self.data.len() == self.data.capacity() && !self.data.is_empty();
        if self.start == self.data.len() {
            self.data.clear();
        } else if self.start > 0 {
            self.data.drain(..self.start);
        }
        self.cut -= self.start;
        self.start = 0;
        self.data.reserve(if filled { READ_BYTES } else { FIRST_READ_BYTES });
        &mut self.data
    }

    /// Takes note of the last `count` bytes: whole lines become sendable.
    pub(crate) fn added(&mut self, count: usize) {
        let new = self.data.len() - count;
        if let Some(end) = memrchr2(b'\n', b'\r', &self.data[new..]) {
            self.cut = new + end + 1;
        } else if self.data.len() - self.start >= MAX_LINE_BYTES {
            self.release_whole_characters();
        }
    }

    /// Whether something waits to be sent.
    pub(crate) fn sendable(&self) -> bool {
        self.start < self.cut
    }

    /// Whether an unfinished line is held back.
    pub(crate) fn holds_back(&self) -> bool {
        self.cut < self.data.len()
    }

    /// Makes an unfinished line sendable, except for an unfinished character at its end.
    pub(crate) fn release_whole_characters(&mut self) {
        self.cut = self.data.len() - unfinished_character(&self.data[self.cut..]);
    }

    /// Makes everything sendable: nothing will follow.
    pub(crate) fn release_all(&mut self) {
        self.cut = self.data.len();
    }

    /// Takes all that is sendable as it is.
    pub(crate) fn take_sendable(&mut self) -> &[u8] {
        let start = std::mem::replace(&mut self.start, self.cut);
        &self.data[start..self.cut]
    }

    /// Gives memory back while there is nothing in it.
    pub(crate) fn shrink(&mut self) {
        if self.start == self.data.len() {
            *self = Self::default();
        }
    }

    /// Writes events until everything sendable is written or `out` is `limit` long; returns the text they carry.
    pub(crate) fn write_events(&mut self, encoder: &TextEncoder, out: &mut Vec<u8>, limit: usize) -> &[u8] {
        let region = &self.data[self.start..self.cut];
        out.reserve(
            (region.len() + region.len() / 2 + 2 * encoder.overhead()).min(limit.saturating_sub(out.len())),
        );
        let mut at = 0;
        match std::str::from_utf8(region) {
            Ok(text) => {
                while at < text.len() && out.len() < limit {
                    let end = at + line_length(&region[at..]);
                    // Lines end in ASCII, so both ends are character boundaries.
                    encoder.push_str(out, &text[at..end]);
                    at = end;
                }
            }
            Err(_) => {
                while at < region.len() && out.len() < limit {
                    let end = at + line_length(&region[at..]);
                    encoder.push(out, &region[at..end]);
                    at = end;
                }
            }
        }
        let start = self.start;
        self.start += at;
        &self.data[start..self.start]
    }
}

/// Length of the first line, its end included.
pub(super) fn line_length(text: &[u8]) -> usize {
    match memchr2(b'\n', b'\r', text) {
        Some(at) if text[at] == b'\r' && text.get(at + 1) == Some(&b'\n') => at + 2,
        Some(at) => at + 1,
        None => text.len(),
    }
}

/// Length of the incomplete UTF-8 sequence at the end of a text: 0 to 3.
pub(crate) fn unfinished_character(text: &[u8]) -> usize {
    for length in 1..=text.len().min(3) {
        let needed = match text[text.len() - length] {
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        return if needed > length { length } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sandkeep_specs::execd::event::{EventKind, ServerStreamEvent};

    use super::*;

    fn texts(out: &[u8]) -> Vec<String> {
        let out = std::str::from_utf8(out).unwrap();
        let event = |part: &str| {
            serde_json::from_str::<ServerStreamEvent>(part.strip_prefix("data: ").unwrap()).unwrap()
        };
        out.split("\n\n").filter(|part| !part.is_empty()).map(|part| event(part).text.unwrap()).collect()
    }

    fn run(pieces: &[&[u8]], limit: usize) -> Vec<String> {
        let encoder = TextEncoder::new(EventKind::Stdout, 1);
        let (mut lines, mut all) = (LineBuffer::default(), Vec::new());
        for piece in pieces {
            lines.room().extend_from_slice(piece);
            lines.added(piece.len());
            while lines.sendable() {
                let mut out = Vec::new();
                lines.write_events(&encoder, &mut out, limit);
                all.extend(texts(&out));
            }
        }
        lines.release_all();
        let mut out = Vec::new();
        lines.write_events(&encoder, &mut out, usize::MAX);
        all.extend(texts(&out));
        all
    }

    #[test]
    fn lines_keep_their_ends_and_wait_for_them() {
        assert_eq!(run(&[b"a\nb\r\nc\rd"], 1 << 16), ["a\n", "b\r\n", "c\r", "d"]);
        assert_eq!(run(&[b"a", b"b\n", b"\n"], 1 << 16), ["ab\n", "\n"]);
        assert_eq!(run(&[b"10%\r", b"20%\r"], 1 << 16), ["10%\r", "20%\r"]);
        assert_eq!(run(&[b""], 1), Vec::<String>::new());
    }

    #[test]
    fn a_full_frame_stops_between_lines() {
        assert_eq!(run(&[b"a\nb\nc\n"], 1), ["a\n", "b\n", "c\n"]);
    }

    #[test]
    fn an_endless_line_goes_out_in_pieces_of_whole_characters() {
        let chunk = "é".repeat(READ_BYTES / 2);
        let mut lines = LineBuffer::default();
        let mut reads = 0;
        while !lines.sendable() {
            let piece = if reads == 0 { &chunk.as_bytes()[1..] } else { chunk.as_bytes() };
            lines.room().extend_from_slice(piece);
            lines.added(piece.len());
            reads += 1;
        }
        assert!(reads <= MAX_LINE_BYTES / READ_BYTES + 1);
        assert!(lines.data.capacity() <= 3 * MAX_LINE_BYTES);
    }

    #[test]
    fn released_text_never_ends_inside_a_character() {
        let mut lines = LineBuffer::default();
        lines.room().extend_from_slice(b"caf\xc3");
        lines.added(4);
        assert!(!lines.sendable() && lines.holds_back());
        lines.release_whole_characters();
        let mut out = Vec::new();
        lines.write_events(&TextEncoder::new(EventKind::Stdout, 1), &mut out, 1 << 16);
        assert_eq!(texts(&out), ["caf"]);
        assert!(lines.holds_back());
    }

    #[test]
    fn unfinished_characters_are_measured() {
        for (text, length) in [
            (&b""[..], 0),
            (b"a", 0),
            ("é".as_bytes(), 0),
            (b"\xc3", 1),
            (b"a\xe2\x82", 2),
            (b"\xf0\x9f\x98", 3),
            ("😀".as_bytes(), 0),
            (b"\x80\x80\x80\x80", 0),
            (b"\xff", 0),
        ] {
            assert_eq!(unfinished_character(text), length, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_text_is_the_same(text in "[a-zé😀\"\\\\\r\n\t ]{0,300}", cuts in prop::collection::vec(1usize..20, 0..40), limit in 1usize..4000) {
            let (mut pieces, mut rest) = (Vec::new(), text.as_bytes());
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            let events = run(&pieces, limit);
            prop_assert_eq!(events.concat(), text);
            for event in events.iter().rev().skip(1) {
                prop_assert!(event.ends_with(['\n', '\r']));
            }
        }
    }
}
