//! Where messages end in a body, for those that are made of messages: what one ends with does not go on in the next.

/// Longest head of a message.
const LONGEST_HEAD: usize = 14;

/// What a body is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Frames {
    /// Lines, or nothing that is known.
    #[default]
    Lines,
    /// Messages of WebSocket.
    WebSocket,
    /// Messages of gRPC, or of what has taken that over.
    Grpc,
}

impl Frames {
    /// What a body of this type is made of.
    #[must_use]
    pub fn of(content_type: &str) -> Self {
        const GRPC: [&str; 3] = ["application/grpc", "application/grpc-web", "application/connect"];
        let whole = content_type.split([';', '+']).next().unwrap_or_default().trim();
        if GRPC.iter().any(|kind| whole.eq_ignore_ascii_case(kind)) { Self::Grpc } else { Self::Lines }
    }

    /// The length of a message that begins like this, once that is said.
    fn length(self, head: &[u8]) -> Option<u64> {
        match (self, head) {
            (Self::Lines, _) => None,
            (Self::Grpc, [_, a, b, c, d]) => Some(u64::from(u32::from_be_bytes([*a, *b, *c, *d]))),
            (Self::Grpc, _) => None,
            (Self::WebSocket, head) => {
                let [_, second, rest @ ..] = head else { return None };
                let mask = if second & 0x80 != 0 { 4 } else { 0 };
                let size = match second & 0x7f {
                    126 => 2,
                    127 => 8,
                    length => return (rest.len() == mask).then_some(u64::from(length)),
                };
                let length = || rest[..size].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                (rest.len() == size + mask).then(length)
            }
        }
    }
}

/// Follows the messages of one body.
#[derive(Debug, Default)]
pub(super) struct Follower {
    frames: Frames,
    head: Vec<u8>,
    /// What is missing of the message.
    left: u64,
}

impl Follower {
    pub(super) fn new(frames: Frames) -> Self {
        Self { frames, head: Vec::new(), left: 0 }
    }

    /// Takes a piece in; whether a message ends with it.
    pub(super) fn ends(&mut self, mut piece: &[u8]) -> bool {
        if self.frames == Frames::Lines {
            return false;
        }
        while let [first, rest @ ..] = piece {
            if self.left > 0 {
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(piece.len());
                self.left -= taken as u64;
                piece = &piece[taken..];
                continue;
            }
            self.head.push(*first);
            piece = rest;
            if let Some(length) = self.frames.length(&self.head) {
                self.left = length;
                self.head.clear();
            } else if self.head.len() >= LONGEST_HEAD {
                // Not what it says it is.
                *self = Self::default();
                return false;
            }
        }
        self.left == 0 && self.head.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(frames: Frames, pieces: &[&[u8]]) -> Vec<bool> {
        let mut follower = Follower::new(frames);
        pieces.iter().map(|piece| follower.ends(piece)).collect()
    }

    #[test]
    fn messages_end_where_their_heads_say() {
        assert_eq!(
            ends(Frames::Grpc, &[b"\0\0\0\0\x02ab", b"\0\0\0", b"\0\x01", b"c"]),
            [true, false, false, true]
        );
        assert_eq!(ends(Frames::WebSocket, &[b"\x81\x02ab\x81", b"\x01", b"c"]), [false, false, true]);
        let mut long = vec![0x82, 126, 0x01, 0x00];
        long.extend_from_slice(&[0; 256]);
        assert_eq!(ends(Frames::WebSocket, &[&long[..200], &long[200..]]), [false, true]);
        let masked = [0x81, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9, b'a'];
        assert_eq!(ends(Frames::WebSocket, &[&masked[..14], &masked[14..]]), [false, true]);
        assert_eq!(ends(Frames::Lines, &[b"a\n"]), [false]);
    }

    #[test]
    fn types_of_bodies() {
        for (text, frames) in [
            ("application/grpc", Frames::Grpc),
            ("application/grpc+proto; x=y", Frames::Grpc),
            ("application/grpc-web+proto", Frames::Grpc),
            ("application/grpc-web-text", Frames::Lines),
            ("text/event-stream", Frames::Lines),
        ] {
            assert_eq!(Frames::of(text), frames, "{text}");
        }
    }
}
