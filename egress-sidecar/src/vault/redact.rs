//! Takes secrets out of what comes back.
//!
//! In a header the secret becomes `[REDACTED]`. In a body every byte of it becomes `*`: lengths, ranges and frames stay
//! as they are, so that bodies can be streamed.

use std::time::Duration;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use bytes::{Bytes, BytesMut};
use hyper::{HeaderMap, header::HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands in a header for a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Shorter texts would be found everywhere, and are no secrets.
const SHORTEST: usize = 4;

/// The end of a chunk that may be the beginning of a secret is kept back this long, hoping for the rest.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same where the end is too short to tell anything, so that a dialogue is not slowed down by chance.
const SHORT_PATIENCE: Duration = Duration::from_millis(20);

/// What the characters that stay as they are in a URL are.
pub(super) const URL_ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The texts to look for.
pub struct Redactions {
    texts: Vec<String>,
    patterns: Vec<String>,
    finder: Option<AhoCorasick>,
}

impl Redactions {
    /// Looks for these texts, also as JSON and URLs write them.
    #[must_use]
    pub fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut texts: Vec<String> = texts.filter(|text| text.len() >= SHORTEST).map(str::to_owned).collect();
        texts.sort_unstable();
        texts.dedup();
        let mut patterns: Vec<String> = texts.iter().flat_map(|text| written_forms(text)).collect();
        patterns.sort_unstable();
        patterns.dedup();
        // Too many patterns for the finder is the only way this fails; the vault's limits are far below that.
        let finder = AhoCorasickBuilder::new().match_kind(MatchKind::LeftmostLongest).build(&patterns).ok();
        Self { texts, finder: finder.filter(|_| !patterns.is_empty()), patterns }
    }

    /// Looks for all that either of them looks for.
    #[must_use]
    pub fn united(&self, other: &Self) -> Self {
        Self::new(self.texts.iter().chain(&other.texts).map(String::as_str))
    }

    /// The texts themselves.
    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.finder.is_none()
    }

    /// Takes secrets out of the values of headers.
    pub fn clean_headers(&self, headers: &mut HeaderMap) {
        let Some(finder) = &self.finder else { return };
        for value in headers.values_mut() {
            if !finder.is_match(value.as_bytes()) {
                continue;
            }
            let mut clean = Vec::with_capacity(value.len());
            finder.replace_all_with_bytes(value.as_bytes(), &mut clean, |_, _, clean| {
                clean.extend_from_slice(REDACTED.as_bytes());
                true
            });
            *value = HeaderValue::from_bytes(&clean).unwrap_or(HeaderValue::from_static(REDACTED));
        }
    }

    /// Overwrites secrets in a piece of a body.
    fn mask(&self, bytes: &mut [u8]) {
        let Some(finder) = &self.finder else { return };
        let found: Vec<_> = finder.find_iter(&*bytes).map(|found| found.range()).collect();
        for range in found {
            bytes[range].fill(b'*');
        }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.finder.as_ref().is_some_and(|finder| finder.is_match(bytes))
    }

    /// How many bytes at the end could be the beginning of a secret.
    fn unfinished(&self, bytes: &[u8]) -> usize {
        let of = |pattern: &String| {
            let pattern = pattern.as_bytes();
            let longest = (pattern.len() - 1).min(bytes.len());
            (1..=longest).rev().find(|length| bytes.ends_with(&pattern[..*length])).unwrap_or(0)
        };
        self.patterns.iter().map(of).max().unwrap_or(0)
    }
}

/// Cleans one body while it streams by.
#[derive(Default)]
pub struct Stream {
    /// What may be the beginning of a secret.
    held: BytesMut,
}

impl Stream {
    /// Takes a piece of the body in and gives out what is certain to be clean; may be empty.
    pub fn push(&mut self, chunk: Bytes, redactions: &Redactions) -> Bytes {
        if self.held.is_empty() && !redactions.is_in(&chunk) && redactions.unfinished(&chunk) == 0 {
            return chunk;
        }
        self.held.extend_from_slice(&chunk);
        redactions.mask(&mut self.held);
        let certain = self.held.len() - redactions.unfinished(&self.held);
        self.held.split_to(certain).freeze()
    }

    /// What was kept back: the body has ended, or the rest does not come.
    pub fn flush(&mut self) -> Bytes {
        self.held.split().freeze()
    }

    /// How many bytes are kept back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// How long to keep them, if there are any.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        match self.held.len() {
            0 => None,
            1..SHORTEST => Some(SHORT_PATIENCE),
            _ => Some(PATIENCE),
        }
    }
}

/// A text as bodies may write it.
fn written_forms(text: &str) -> [String; 3] {
    let json = serde_json::to_string(text).unwrap_or_default();
    let json = json.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned();
    [text.to_owned(), json, utf8_percent_encode(text, URL_ENCODED).to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactions(texts: &[&str]) -> Redactions {
        Redactions::new(texts.iter().copied())
    }

    /// The body in pieces of `size` bytes, cleaned.
    fn cleaned(redactions: &Redactions, body: &str, size: usize) -> String {
        let mut stream = Stream::default();
        let mut clean = Vec::new();
        for chunk in body.as_bytes().chunks(size) {
            clean.extend_from_slice(&stream.push(Bytes::copy_from_slice(chunk), redactions));
        }
        clean.extend_from_slice(&stream.flush());
        String::from_utf8(clean).unwrap()
    }

    #[test]
    fn a_secret_is_masked_wherever_chunks_end() {
        let redactions = redactions(&["s3cret-value", "other"]);
        let body = "s3cret s3cret-value, s3cret-s3cret-value other s3cret-valu";
        let expected = "s3cret ************, s3cret-************ ***** s3cret-valu";
        for size in 1..=body.len() {
            assert_eq!(cleaned(&redactions, body, size), expected, "chunks of {size}");
        }
    }

    #[test]
    fn what_is_clean_passes_untouched_and_at_once() {
        let redactions = redactions(&["s3cret-value"]);
        let mut stream = Stream::default();
        assert_eq!(stream.push(Bytes::from_static(b"data: hello\n\n"), &redactions), "data: hello\n\n");
        assert_eq!(stream.patience(), None);
        assert_eq!(stream.push(Bytes::from_static(b"end: s3"), &redactions), "end: ");
        assert_eq!((stream.held(), stream.patience()), (2, Some(SHORT_PATIENCE)));
        assert_eq!(stream.push(Bytes::from_static(b"cret-"), &redactions), "");
        assert_eq!(stream.patience(), Some(PATIENCE));
        assert_eq!(stream.flush(), "s3cret-");
    }

    #[test]
    fn other_ways_to_write_a_secret_are_found() {
        let redactions = redactions(&["a\"b/c d"]);
        assert_eq!(cleaned(&redactions, r#"{"x": "a\"b/c d"}"#, 100), r#"{"x": "********"}"#);
        assert_eq!(cleaned(&redactions, "?x=a%22b%2Fc%20d", 3), "?x=*************");
    }

    #[test]
    fn headers_say_that_something_was_there() {
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_static("https://b.example/?key=s3cret-value&x"));
        headers.insert("x", HeaderValue::from_static("clean"));
        redactions(&["s3cret-value"]).clean_headers(&mut headers);
        assert_eq!(headers["location"], "https://b.example/?key=[REDACTED]&x");
        assert_eq!(headers["x"], "clean");
    }

    #[test]
    fn short_texts_are_left() {
        assert!(redactions(&["abc", ""]).is_empty());
        assert!(!redactions(&["abcd"]).is_empty());
    }
}
