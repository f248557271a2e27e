//! Output on its way into an event stream.

use sandkeep_specs::execd::event::{EventKind, ServerStreamEvent};

use super::cuts;
use crate::{command::lines::LineBuffer, stream::TextEncoder};

/// Space for one frame; small, so that inputs of a fuzzer's size fill several.
const FRAME: usize = 200;

/// Whatever a program prints and however it arrives: every event is whole, one line at most, and nothing is lost.
///
/// # Panics
/// When that does not hold.
pub fn events(data: &[u8]) {
    for size in cuts(data) {
        let texts = encode(data, size);
        for text in &texts {
            let inner = text.trim_end_matches(['\r', '\n']);
            assert!(!inner.contains(['\r', '\n']), "{text:?} is more than a line");
        }
        let all = texts.concat();
        let lossy: String = data
            .utf8_chunks()
            .map(|chunk| chunk.valid().to_owned() + &"\u{FFFD}".repeat(chunk.invalid().len()))
            .collect();
        assert_eq!(all, lossy, "in pieces of {size}");
    }
}

fn encode(data: &[u8], size: usize) -> Vec<String> {
    let encoder = TextEncoder::new(EventKind::Stdout, 1);
    let (mut lines, mut texts) = (LineBuffer::default(), Vec::new());
    for piece in data.chunks(size) {
        lines.room().extend_from_slice(piece);
        lines.added(piece.len());
        drain(&mut lines, &encoder, &mut texts);
    }
    lines.release_all();
    drain(&mut lines, &encoder, &mut texts);
    assert!(!lines.holds_back());
    texts
}

fn drain(lines: &mut LineBuffer, encoder: &TextEncoder, texts: &mut Vec<String>) {
    while lines.sendable() {
        let mut frame = Vec::new();
        lines.write_events(encoder, &mut frame, FRAME);
        let frame = str::from_utf8(&frame).expect("a frame is UTF-8");
        assert!(frame.ends_with("\n\n"), "a frame ends with an event");
        for event in frame.trim_end_matches('\n').split("\n\n") {
            let json = event.strip_prefix("data: ").expect("an event is one data line");
            assert!(!json.contains(['\n', '\u{85}', '\u{2028}', '\u{2029}']), "{json:?} breaks a line");
            let event: ServerStreamEvent = serde_json::from_str(json).expect("an event is JSON");
            texts.push(event.text.expect("output has a text"));
        }
    }
}
