//! The last output of a program, for clients that come later or read slowly.

use std::collections::VecDeque;

/// Output bytes that are kept.
pub(super) const REPLAY_BYTES: usize = 1024 * 1024;

/// Changes between the two streams that are remembered. Of older bytes it is forgotten which stream they came from.
const MAX_STRETCHES: usize = 16 * 1024;

/// Where output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The terminal, or standard output in pipe mode.
    Stdout,
    /// Standard error in pipe mode.
    Stderr,
}

/// A bounded buffer whose bytes are numbered from the first one ever written.
#[derive(Debug, Default)]
pub(super) struct Replay {
    bytes: VecDeque<u8>,
    /// Number of the next byte.
    end: u64,
    /// Stretches of one source each, in order, by the number of the byte after them.
    stretches: VecDeque<(u64, Source)>,
}

impl Replay {
    /// Bytes ever written.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Number of the oldest byte kept.
    fn start(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }

    pub(super) fn push(&mut self, source: Source, new: &[u8]) {
        self.end += new.len() as u64;
        let new = &new[new.len().saturating_sub(REPLAY_BYTES)..];
        let excess = (self.bytes.len() + new.len()).saturating_sub(REPLAY_BYTES);
        self.bytes.drain(..excess);
        self.bytes.extend(new);
        match self.stretches.back_mut() {
            Some((end, last)) if *last == source => *end = self.end,
            _ => self.stretches.push_back((self.end, source)),
        }
        let start = self.start();
        while self.stretches.len() > MAX_STRETCHES
            || self.stretches.front().is_some_and(|(end, _)| *end <= start)
        {
            self.stretches.pop_front();
        }
    }

    /// All bytes from number `since` on, or from the oldest one, and the number of the first of them.
    pub(super) fn since(&self, since: u64) -> (u64, Vec<u8>) {
        let from = since.clamp(self.start(), self.end);
        (from, self.copy(from, self.end))
    }

    /// The next bytes from number `from` on, at most `limit` and all of one source, and the number behind them.
    pub(super) fn next(&self, from: u64, limit: usize) -> Option<(u64, Source, Vec<u8>)> {
        let from = from.max(self.start());
        if from >= self.end {
            return None;
        }
        let at = self.stretches.partition_point(|(end, _)| *end <= from);
        let (end, source) = self.stretches.get(at).copied().unwrap_or((self.end, Source::Stdout));
        let end = end.min(from + limit as u64);
        Some((end, source, self.copy(from, end)))
    }

    fn copy(&self, from: u64, end: u64) -> Vec<u8> {
        let index = |number: u64| usize::try_from(number - self.start()).unwrap_or(self.bytes.len());
        let (from, end) = (index(from), index(end));
        let (front, back) = self.bytes.as_slices();
        let mut copy = Vec::with_capacity(end - from);
        copy.extend_from_slice(&front[from.min(front.len())..end.min(front.len())]);
        copy.extend_from_slice(&back[from.saturating_sub(front.len())..end.saturating_sub(front.len())]);
        copy
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_too_old_is_gone() {
        let mut replay = Replay::default();
        assert_eq!(replay.since(0), (0, vec![]));
        replay.push(Source::Stdout, b"abc");
        assert_eq!(replay.since(1), (1, b"bc".to_vec()));
        assert_eq!(replay.since(99), (3, vec![]));
        replay.push(Source::Stdout, &vec![b'x'; REPLAY_BYTES - 1]);
        assert_eq!(replay.since(0).0, 2);
        assert_eq!(replay.since(0).1.len(), REPLAY_BYTES);
        replay.push(Source::Stdout, &vec![b'y'; 3 * REPLAY_BYTES]);
        assert_eq!(replay.end(), 4 * REPLAY_BYTES as u64 + 2);
        assert!(replay.bytes.len() == REPLAY_BYTES && replay.bytes.iter().all(|byte| *byte == b'y'));
    }

    #[test]
    fn memory_stays_bounded_however_the_streams_alternate() {
        let mut replay = Replay::default();
        for number in 0..4 * MAX_STRETCHES {
            replay.push(if number % 2 == 0 { Source::Stdout } else { Source::Stderr }, b"x");
        }
        assert!(replay.stretches.len() <= MAX_STRETCHES);
        let last = replay.end() - 1;
        assert_eq!(replay.next(last, 10), Some((last + 1, Source::Stderr, b"x".to_vec())));
        assert!(replay.next(0, 10).is_some());
    }

    proptest! {
        #[test]
        fn reading_piece_by_piece_gives_each_stream_back(
            writes in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..50)), 0..60),
            limit in 1usize..70,
        ) {
            let mut replay = Replay::default();
            let mut written = [Vec::new(), Vec::new()];
            for (second, bytes) in &writes {
                replay.push(if *second { Source::Stderr } else { Source::Stdout }, bytes);
                written[usize::from(*second)].extend_from_slice(bytes);
            }
            let (mut read, mut cursor) = ([Vec::new(), Vec::new()], 0);
            while let Some((next, source, bytes)) = replay.next(cursor, limit) {
                prop_assert!(bytes.len() <= limit && next == cursor + bytes.len() as u64);
                read[usize::from(source == Source::Stderr)].extend_from_slice(&bytes);
                cursor = next;
            }
            prop_assert_eq!(cursor, replay.end());
            prop_assert_eq!(read, written);
        }
    }
}
