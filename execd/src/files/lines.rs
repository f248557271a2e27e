//! A range of lines out of a stream of bytes.

use memchr::memchr;

/// Picks lines: they are joined by LF, their own line ends are dropped, and none follows the last one.
#[derive(Debug)]
pub(crate) struct LinePicker {
    /// Lines still to pass over.
    skip: u64,
    /// Lines still to take; the current one is counted.
    take: u64,
    /// A CR that is dropped if a line end follows it.
    held_cr: bool,
    /// Whether a line end must be written before the next byte of the next line.
    owed_lf: bool,
}

impl LinePicker {
    /// Takes `limit` lines (all when `None`) beginning with line `first`, counted from 1.
    pub(crate) fn new(first: u64, limit: Option<u64>) -> Self {
        Self {
            skip: first.saturating_sub(1),
            take: limit.unwrap_or(u64::MAX),
            held_cr: false,
            owed_lf: false,
        }
    }

    /// Reads on, appending what is picked; false when the last wanted line is complete.
    pub(crate) fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> bool {
        while self.skip > 0 {
            let Some(end) = memchr(b'\n', input) else { return true };
            input = &input[end + 1..];
            self.skip -= 1;
        }
        while !input.is_empty() && self.take > 0 {
            // Only now is it known that another line follows, so that its separator is due.
            if std::mem::take(&mut self.owed_lf) {
                out.push(b'\n');
            }
            let end = memchr(b'\n', input);
            self.text(&input[..end.unwrap_or(input.len())], out);
            let Some(end) = end else { return true };
            input = &input[end + 1..];
            self.held_cr = false;
            self.owed_lf = true;
            self.take -= 1;
        }
        self.take > 0
    }

    /// Part of a line without its LF.
    fn text(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if std::mem::take(&mut self.held_cr) {
            out.push(b'\r');
        }
        if let Some(before) = text.strip_suffix(b"\r") {
            self.held_cr = true;
            text = before;
        }
        out.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pick(input: &[u8], first: u64, limit: Option<u64>, chunk: usize) -> Vec<u8> {
        let (mut picker, mut out) = (LinePicker::new(first, limit), Vec::new());
        for part in input.chunks(chunk) {
            if !picker.feed(part, &mut out) {
                break;
            }
        }
        out
    }

    /// The same by splitting the whole text.
    fn expected(input: &[u8], first: u64, limit: Option<u64>) -> Vec<u8> {
        let mut lines: Vec<&[u8]> = input.split(|b| *b == b'\n').collect();
        if lines.last() == Some(&&b""[..]) {
            lines.pop();
        }
        let strip = |line: &&[u8]| line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        let limit = limit.unwrap_or(u64::MAX) as usize;
        lines.iter().map(strip).skip(first as usize - 1).take(limit).collect::<Vec<_>>().join(&b'\n')
    }

    #[test]
    fn picks_lines() {
        let text = b"one\r\ntwo\n\nfour";
        assert_eq!(pick(text, 1, Some(2), 100), b"one\ntwo");
        assert_eq!(pick(text, 2, None, 100), b"two\n\nfour");
        assert_eq!(pick(text, 4, Some(9), 100), b"four");
        assert_eq!(pick(text, 5, Some(9), 100), b"");
        assert_eq!(pick(b"a\n", 1, None, 100), b"a");
    }

    proptest! {
        #[test]
        fn agrees_with_splitting(input in "[a\r\n]{0,60}", first in 1u64..6, limit in proptest::option::of(1u64..6), chunk in 1usize..7) {
            let input = input.as_bytes();
            prop_assert_eq!(pick(input, first, limit, chunk), expected(input, first, limit));
        }
    }
}
