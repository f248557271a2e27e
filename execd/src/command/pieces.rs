//! Output that was kept, as events.

use super::lines::{line_length, unfinished_character};
use crate::stream::{FRAME_BYTES, TextEncoder};

/// Writes `text` to `out` one event a line, up to a frame's worth, and returns how many bytes were used. Unless the
/// text is `whole`, a line that it cuts is left for the next time, if that is not all there is. With `from`, the
/// offset of the text, events say where they end.
pub(super) fn write(
    encoder: &TextEncoder,
    text: &[u8],
    whole: bool,
    from: Option<u64>,
    out: &mut Vec<u8>,
) -> usize {
    let end = if whole { text.len() } else { cut(text) };
    let mut at = 0;
    while at < end && out.len() < FRAME_BYTES {
        let next = at + line_length(&text[at..end]);
        match from {
            Some(from) => encoder.push_at(out, &text[at..next], from + next as u64),
            None => encoder.push(out, &text[at..next]),
        }
        at = next;
    }
    at
}

/// Where a text that goes on is best cut: after its last line, else after its last whole character.
fn cut(text: &[u8]) -> usize {
    match memchr::memrchr2(b'\n', b'\r', text) {
        Some(end) => end + 1,
        None => match text.len() - unfinished_character(text) {
            0 => text.len(),
            end => end,
        },
    }
}

/// Length of the whole lines at the beginning of a text.
pub(super) fn whole_lines(text: &[u8]) -> usize {
    memchr::memrchr2(b'\n', b'\r', text).map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests {
    use sandkeep_specs::execd::event::EventKind;

    use super::*;

    fn written(text: &[u8], whole: bool) -> (usize, String) {
        let mut out = Vec::new();
        let used = write(&TextEncoder::new(EventKind::Stderr, 1), text, whole, Some(10), &mut out);
        (used, String::from_utf8(out).unwrap())
    }

    #[test]
    fn events_say_where_they_end() {
        let (used, out) = written("a\nüb".as_bytes(), true);
        assert_eq!(used, 5);
        assert_eq!(
            out,
            "data: {\"type\":\"stderr\",\"text\":\"a\\n\",\"timestamp\":1,\"offset\":12}\n\n\
             data: {\"type\":\"stderr\",\"text\":\"üb\",\"timestamp\":1,\"offset\":15}\n\n"
        );
    }

    #[test]
    fn what_goes_on_is_cut_between_lines_or_characters() {
        assert_eq!(written(b"a\nbc", false).0, 2);
        assert_eq!(written("ab\u{fc}".as_bytes().split_last().unwrap().1, false).0, 2);
        assert_eq!(written(b"\xc3", false).0, 1, "it has to get on");
        let (used, out) = written(&[b'\n'; FRAME_BYTES], true);
        assert!(used < FRAME_BYTES && out.len() < 2 * FRAME_BYTES);
        assert_eq!((whole_lines(b"ab"), whole_lines(b"a\rb")), (0, 2));
    }
}
