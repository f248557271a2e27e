//! Cleans one body while it streams by.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::{
    Redactions,
    frames::{Follower, Frames},
};

/// What may be the beginning of a secret is kept back for one to two of these, hoping for the rest: longer than a packet
/// takes that was lost and sent again.
pub const TICK: Duration = Duration::from_millis(500);

/// Cleans one body while it streams by.
#[derive(Default)]
pub struct Stream {
    frames: Follower,
    /// The end of what has come.
    held: BytesMut,
    /// How much of it was given out already, as the rest did not come. It stays here, so that if that comes after all it
    /// is found to be one.
    given: usize,
    /// How much of it was there at the last tick.
    ripe: usize,
}

impl Stream {
    /// For a body that is made of these.
    #[must_use]
    pub fn new(frames: Frames) -> Self {
        Self { frames: Follower::new(frames), ..Self::default() }
    }

    /// Takes a piece of the body in and gives out what is certain to be clean; may be empty.
    pub fn push(&mut self, chunk: Bytes, redactions: &Redactions) -> Bytes {
        let is_whole = self.frames.ends(&chunk);
        let unfinished = |bytes: &[u8]| if is_whole { 0 } else { redactions.unfinished(bytes) };
        if self.held.is_empty() && redactions.find(&chunk).is_empty() {
            let certain = chunk.len() - unfinished(&chunk);
            self.held.extend_from_slice(&chunk[certain..]);
            return chunk.slice(..certain);
        }
        self.held.extend_from_slice(&chunk);
        let certain = self.held.len() - unfinished(&self.held);
        self.give(certain, redactions)
    }

    /// What was kept back: the body has ended.
    pub fn finish(&mut self, redactions: &Redactions) -> Bytes {
        self.give(self.held.len(), redactions)
    }

    /// Gives out so many bytes of what is held, but for those that were given out before.
    fn give(&mut self, certain: usize, redactions: &Redactions) -> Bytes {
        redactions.mask(&mut self.held, certain);
        let mut certain = self.held.split_to(certain);
        let given = self.given.min(certain.len());
        self.given -= given;
        self.ripe = self.ripe.saturating_sub(certain.len());
        certain.advance(given);
        certain.freeze()
    }

    /// Called every [`TICK`]: gives out what has been kept since the one before, as the rest does not come. That happens
    /// whatever it is.
    pub fn tick(&mut self, redactions: &Redactions) -> Bytes {
        let end = self.ripe.max(self.given);
        redactions.mask(&mut self.held, end);
        let ripe = Bytes::copy_from_slice(&self.held[self.given..end]);
        self.given = end;
        self.ripe = self.held.len();
        ripe
    }

    /// How many bytes are kept back.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.held.len() - self.given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactions(texts: &[&str]) -> Redactions {
        Redactions::new(texts.iter().copied())
    }

    #[test]
    fn a_secret_is_masked_wherever_chunks_end() {
        let redactions = redactions(&["s3cret-value", "other", "s3cret-value-and-more"]);
        let body = "s3cret s3cret-value, s3cret-\ns3cret-value other %73%33cret-value-and-more s3cret-valu";
        let expected =
            "s3cret ************, s3cret-\n************ ***** ************************* s3cret-valu";
        for size in 1..=body.len() {
            let mut stream = Stream::default();
            let mut clean = Vec::new();
            for chunk in body.as_bytes().chunks(size) {
                clean.extend_from_slice(&stream.push(Bytes::copy_from_slice(chunk), &redactions));
            }
            clean.extend_from_slice(&stream.finish(&redactions));
            assert_eq!(String::from_utf8(clean).unwrap(), expected, "chunks of {size}");
        }
    }

    #[test]
    fn whole_lines_and_messages_pass_at_once() {
        let redactions = redactions(&["s3cret-value"]);
        let mut lines = Stream::default();
        assert_eq!(
            lines.push(Bytes::from_static(b"data: s3cret-value\n\n"), &redactions),
            "data: ************\n\n"
        );
        assert_eq!((lines.waiting(), lines.push(Bytes::new(), &redactions)), (0, Bytes::new()));
        let mut messages = Stream::new(Frames::Grpc);
        assert_eq!(messages.push(Bytes::from_static(b"\0\0\0\0\x03s3c"), &redactions), "\0\0\0\0\x03s3c");
    }

    #[test]
    fn what_waits_for_its_rest_waits_alike_whatever_it_is() {
        let redactions = redactions(&["s3cret-value"]);
        for text in ["s3cret-", "another"] {
            let mut stream = Stream::default();
            assert_eq!(stream.push(Bytes::from_static(text.as_bytes()), &redactions), "");
            assert_eq!(stream.tick(&redactions), "");
            assert_eq!(stream.push(Bytes::from_static(b"val"), &redactions), "");
            assert_eq!(stream.tick(&redactions), text);
            assert_eq!(stream.waiting(), 3);
            assert_eq!(stream.tick(&redactions), "val");
            assert_eq!(stream.waiting(), 0);
        }
    }

    #[test]
    fn a_rest_that_comes_late_is_masked() {
        let redactions = redactions(&["s3cret-value"]);
        let mut stream = Stream::default();
        stream.push(Bytes::from_static(b"a s3cret-"), &redactions);
        stream.tick(&redactions);
        assert_eq!(stream.tick(&redactions), "a s3cret-");
        assert_eq!(stream.push(Bytes::from_static(b"value\n"), &redactions), "*****\n");
        // And a whole one that waits is.
        stream.push(Bytes::from_static(b"s3cret-value"), &redactions);
        stream.tick(&redactions);
        assert_eq!(stream.tick(&redactions), "************");
    }
}
