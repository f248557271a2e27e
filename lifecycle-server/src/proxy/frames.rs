//! Follows the frames of a WebSocket in one direction: data passes untouched, the end is made one the protocol knows.

use axum::extract::ws::close_code;

/// Longest payload of a control frame.
const MAX_CONTROL: u64 = 125;
/// Longest header: two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;
const FINAL_CLOSE: u8 = 0x88;
const OPCODE: u8 = 0x0f;
const CLOSE: u8 = 0x8;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// Who reads what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Caller,
    Sandbox,
}

/// One direction of a WebSocket.
pub(super) struct Frames {
    to: To,
    state: State,
}

enum State {
    /// Between two frames, or within a header.
    Header { bytes: [u8; MAX_HEADER], have: usize },
    /// Within the payload of a frame of data.
    Data { left: u64 },
    /// Within a close frame, which is kept back until it is there in full.
    Close { mask: Option<[u8; 4]>, payload: Vec<u8>, length: usize },
    /// What follows a close frame has no meaning.
    Closed,
    /// These are no frames. The ends may make of them what they can.
    Unknown,
}

const BOUNDARY: State = State::Header { bytes: [0; MAX_HEADER], have: 0 };

impl Frames {
    pub(super) fn new(to: To) -> Self {
        Self { to, state: BOUNDARY }
    }

    /// Appends to `out` what of `input` may go on now.
    pub(super) fn pass(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while !input.is_empty() {
            match &mut self.state {
                State::Unknown => return out.extend_from_slice(input),
                State::Closed => return,
                State::Data { left } => {
                    let count = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    out.extend_from_slice(&input[..count]);
                    input = &input[count..];
                    *left -= count as u64;
                    if *left == 0 {
                        self.state = BOUNDARY;
                    }
                }
                State::Close { mask, payload, length } => {
                    let count = input.len().min(*length - payload.len());
                    payload.extend_from_slice(&input[..count]);
                    input = &input[count..];
                    if payload.len() == *length {
                        if let Some(mask) = mask {
                            apply(*mask, payload);
                        }
                        let payload = legal(self.to, std::mem::take(payload));
                        self.close(&payload, out);
                    }
                }
                State::Header { bytes, have } => {
                    bytes[*have] = input[0];
                    *have += 1;
                    input = &input[1..];
                    if *have == header_length(&bytes[..*have]) {
                        let header = bytes[..*have].to_vec();
                        self.begin(&header, out);
                    }
                }
            }
        }
    }

    /// The direction ended without a word: says what the protocol has for that, where it may be said.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if matches!(self.state, State::Header { have: 0, .. }) {
            self.close(&lost(self.to).to_be_bytes(), out);
        }
    }

    fn begin(&mut self, header: &[u8], out: &mut Vec<u8>) {
        let length = match header[1] & LENGTH {
            126 => u64::from(u16::from_be_bytes([header[2], header[3]])),
            127 => header[2..10].iter().fold(0, |length, &byte| length << 8 | u64::from(byte)),
            short => u64::from(short),
        };
        if header[0] & OPCODE != CLOSE {
            out.extend_from_slice(header);
            self.state = if length == 0 { BOUNDARY } else { State::Data { left: length } };
            return;
        }
        if length > MAX_CONTROL {
            out.extend_from_slice(header);
            self.state = State::Unknown;
            return;
        }
        if length == 0 {
            return self.close(&[], out);
        }
        let mask = header.last_chunk().copied().filter(|_| header[1] & MASKED != 0);
        self.state = State::Close { mask, payload: Vec::new(), length: length as usize };
    }

    fn close(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let length = u8::try_from(payload.len()).unwrap_or(0);
        match self.to {
            To::Caller => out.extend_from_slice(&[FINAL_CLOSE, length]),
            // A client masks; with zeros the payload stays readable.
            To::Sandbox => out.extend_from_slice(&[FINAL_CLOSE, length | MASKED, 0, 0, 0, 0]),
        }
        out.extend_from_slice(payload);
        self.state = State::Closed;
    }
}

/// A close frame for a caller.
pub(super) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let most = MAX_CONTROL as usize - size_of::<u16>();
    let end = (0..=most.min(reason.len())).rev().find(|&end| reason.is_char_boundary(end)).unwrap_or(0);
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    let mut frame = Vec::new();
    Frames::new(To::Caller).close(&payload, &mut frame);
    frame
}

/// How long the header is, as far as its first bytes tell.
fn header_length(bytes: &[u8]) -> usize {
    let Some(second) = bytes.get(1) else { return 2 };
    let length = match second & LENGTH {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & MASKED == 0 { 0 } else { 4 }
}

fn apply(mask: [u8; 4], payload: &mut [u8]) {
    for (byte, key) in payload.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// A code that may not be sent becomes the one for an end nobody explained.
fn legal(to: To, payload: Vec<u8>) -> Vec<u8> {
    match payload.first_chunk().map(|code| u16::from_be_bytes(*code)) {
        Some(1000..=1003 | 1007..=1014 | 3000..=4999) => payload,
        _ => lost(to).to_be_bytes().to_vec(),
    }
}

fn lost(to: To) -> u16 {
    match to {
        To::Caller => close_code::ERROR,
        To::Sandbox => close_code::AWAY,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passed(to: To, input: &[u8], ended: bool) -> Vec<u8> {
        let all_at_once = {
            let (mut frames, mut out) = (Frames::new(to), Vec::new());
            frames.pass(input, &mut out);
            if ended {
                frames.end(&mut out);
            }
            out
        };
        let (mut frames, mut one_by_one) = (Frames::new(to), Vec::new());
        for byte in input {
            frames.pass(&[*byte], &mut one_by_one);
        }
        if ended {
            frames.end(&mut one_by_one);
        }
        assert_eq!(all_at_once, one_by_one);
        one_by_one
    }

    #[test]
    fn data_passes_untouched() {
        let mut input = vec![0x81, 2, b'h', b'i', 0x82, 126, 1, 0];
        input.extend([7; 256]);
        input.extend([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        input.extend([9; 65536]);
        input.extend([0x89, 0, 0x01, 0x83, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(passed(To::Caller, &input, false), input);
    }

    /// A frame of data as either end writes it: any kind but close, any length, masked or not.
    fn data_frame() -> impl Strategy<Value = Vec<u8>> {
        let kinds = prop::sample::select(vec![0x00_u8, 0x01, 0x02, 0x81, 0x82, 0x89, 0x8a]);
        let lengths = prop_oneof![0_usize..=125, 126_usize..=2000, 65_530_usize..=65_540];
        (kinds, lengths, any::<Option<[u8; 4]>>(), any::<u8>()).prop_map(|(kind, length, mask, byte)| {
            let masked = if mask.is_some() { MASKED } else { 0 };
            let mut frame = vec![kind];
            match length {
                0..=125 => frame.push(masked | length as u8),
                126..=65_535 => {
                    frame.push(masked | 126);
                    frame.extend_from_slice(&(length as u16).to_be_bytes());
                }
                _ => {
                    frame.push(masked | 127);
                    frame.extend_from_slice(&(length as u64).to_be_bytes());
                }
            }
            frame.extend(mask.into_iter().flatten());
            // Payloads look like the start of a close frame as often as not.
            frame.extend(std::iter::repeat_n(if byte & 1 == 0 { FINAL_CLOSE } else { byte }, length));
            frame
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn however_data_is_cut_it_passes_untouched(
            frames in prop::collection::vec(data_frame(), 0..6),
            cuts in prop::collection::vec(1_usize..40_000, 1..8),
        ) {
            let input = frames.concat();
            let (mut scanner, mut out, mut rest) = (Frames::new(To::Caller), Vec::new(), &input[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, left) = rest.split_at((*cut).min(rest.len()));
                scanner.pass(part, &mut out);
                rest = left;
            }
            prop_assert!(out == input);
            scanner.end(&mut out);
            prop_assert_eq!(&out[input.len()..], &[FINAL_CLOSE, 2, 0x03, 0xf3]);
        }

        #[test]
        fn nothing_makes_it_fail(input in prop::collection::vec(any::<u8>(), 0..600), cut in 0_usize..600) {
            let (mut scanner, mut out) = (Frames::new(To::Sandbox), Vec::new());
            let (first, second) = input.split_at(cut.min(input.len()));
            scanner.pass(first, &mut out);
            scanner.pass(second, &mut out);
            scanner.end(&mut out);
            prop_assert!(out.len() <= input.len() + MAX_HEADER);
        }
    }

    #[test]
    fn legal_closes_pass_and_others_become_an_end_nobody_explained() {
        let code = |code: u16| code.to_be_bytes();
        let [high, low] = code(4321);
        assert_eq!(
            passed(To::Caller, &[0x88, 4, high, low, b'o', b'k'], true),
            [0x88, 4, high, low, b'o', b'k']
        );
        assert_eq!(passed(To::Caller, &[0x88, 0], true), [0x88, 0]);
        for illegal in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
            let [high, low] = code(illegal);
            let [error_high, error_low] = code(1011);
            assert_eq!(passed(To::Caller, &[0x88, 2, high, low], true), [0x88, 2, error_high, error_low]);
        }
        // Masked: 1006 becomes 1001 for the sandbox, a legal code is only masked anew.
        let mask = [1, 2, 3, 4];
        for (sent, arrives) in [(1006, 1001), (4321, 4321)] {
            let mut payload = code(sent);
            payload[0] ^= mask[0];
            payload[1] ^= mask[1];
            let frame = [&[0x88, 0x82], &mask[..], &payload].concat();
            let [high, low] = code(arrives);
            assert_eq!(passed(To::Sandbox, &frame, true), [0x88, 0x82, 0, 0, 0, 0, high, low]);
        }
    }

    #[test]
    fn a_silent_end_is_told_between_frames_only() {
        let [high, low] = 1011_u16.to_be_bytes();
        assert_eq!(passed(To::Caller, &[0x81, 1, b'x'], true), [0x81, 1, b'x', 0x88, 2, high, low]);
        for torn in [&[0x81, 2, b'x'][..], &[0x81], &[0x88, 2, 3]] {
            let out = passed(To::Caller, torn, true);
            assert!(!out.ends_with(&[high, low]), "{torn:?} {out:?}");
        }
        assert_eq!(passed(To::Caller, &[0x88, 0, 0x81, 1, b'x'], true), [0x88, 0], "nothing follows a close");
    }

    #[test]
    fn what_are_no_frames_passes_as_it_is() {
        let input = [0x88, 126, 1, 0, 1, 2, 3];
        assert_eq!(passed(To::Caller, &input, true), input);
    }

    #[test]
    fn reasons_are_cut_to_what_fits() {
        let frame = close_frame(1008, &"ä".repeat(100));
        assert_eq!((frame[1], frame.len()), (124, 126));
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }
}
