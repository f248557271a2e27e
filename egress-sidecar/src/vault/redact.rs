//! Takes secrets out of what comes back.
//!
//! In a header the secret becomes `[REDACTED]`. In a body every byte of it becomes `*`: lengths, ranges and frames stay
//! as they are, so that bodies can be streamed.
//!
//! A secret is found as it is, in Base64, and however JSON, URLs and HTML write it: for these what is searched is what
//! their escapes stand for.

mod forms;
mod frames;
mod plain;
mod stream;

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};
use hyper::{HeaderMap, header::HeaderValue};

pub use self::{
    frames::Frames,
    stream::{Stream, TICK},
};

/// What stands in a header for a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Shorter texts would be found everywhere, and are no secrets.
const SHORTEST: usize = 4;

/// Up to so much text the fastest finder is used, whose tables are a few hundred times as large.
const FAST_FINDER: usize = 2 << 10;

/// Up to so much text Base64 of it is looked for as well: it takes eight times as much.
const MOST_CODED: usize = 16 << 10;

/// How many bytes are kept back is a multiple of this: it is not to tell how long a secret is.
const STEP: usize = 256;

/// The texts to look for.
pub struct Redactions {
    texts: Vec<String>,
    finder: Option<AhoCorasick>,
    /// As long as the longest secret in its longest form, or longer.
    reach: usize,
    /// Whether a secret may go on in the next line.
    has_lines: bool,
}

impl Redactions {
    /// Looks for these texts, also as others write them.
    #[must_use]
    pub fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut texts: Vec<String> = texts.filter(|text| text.len() >= SHORTEST).map(str::to_owned).collect();
        texts.sort_unstable();
        texts.dedup();
        let with_coded = texts.iter().map(String::len).sum::<usize>() <= MOST_CODED;
        let mut patterns: Vec<String> = texts.iter().flat_map(|text| forms::of(text, with_coded)).collect();
        patterns.retain(|pattern| pattern.len() >= SHORTEST);
        patterns.sort_unstable();
        patterns.dedup();
        let is_small = patterns.iter().map(String::len).sum::<usize>() <= FAST_FINDER;
        // Too many patterns for the finder is the only way this fails; the vault's limits are far below that.
        let finder = AhoCorasickBuilder::new()
            .match_kind(MatchKind::LeftmostLongest)
            .kind((!is_small).then_some(AhoCorasickKind::ContiguousNFA))
            .build(&patterns)
            .ok()
            .filter(|_| !patterns.is_empty());
        let longest = patterns.iter().map(String::len).max().unwrap_or(0);
        let has_lines = patterns.iter().any(|pattern| pattern.contains('\n'));
        Self { texts, finder, reach: (longest * plain::LONGEST).next_multiple_of(STEP), has_lines }
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
        for value in headers.values_mut() {
            let found = self.find(value.as_bytes());
            if found.is_empty() {
                continue;
            }
            let (mut clean, mut end) = (Vec::with_capacity(value.len()), 0);
            for span in found {
                clean.extend_from_slice(&value.as_bytes()[end..span.start]);
                clean.extend_from_slice(REDACTED.as_bytes());
                end = span.end;
            }
            clean.extend_from_slice(&value.as_bytes()[end..]);
            *value = HeaderValue::from_bytes(&clean).unwrap_or(HeaderValue::from_static(REDACTED));
        }
    }

    /// Where secrets are, in order and apart from each other.
    #[must_use]
    pub fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let Some(finder) = &self.finder else { return Vec::new() };
        let mut found: Vec<_> = finder.find_iter(text).map(|found| found.range()).collect();
        let Some(plain) = plain::Plain::of(text) else { return found };
        found.extend(finder.find_iter(&plain.text).map(|found| plain.origin(found.range())));
        found.sort_unstable_by_key(|span| (span.start, span.end));
        found.dedup_by(|next, last| {
            let overlaps = next.start < last.end;
            if overlaps {
                last.end = last.end.max(next.end);
            }
            overlaps
        });
        found
    }

    /// Overwrites the secrets in a piece of a body that begin before `end`.
    fn mask(&self, bytes: &mut [u8], end: usize) {
        for span in self.find(bytes).into_iter().take_while(|span| span.start < end) {
            bytes[span].fill(b'*');
        }
    }

    /// How many bytes at the end could be the beginning of a secret. Which bytes they are makes no difference, but for
    /// the ends of lines: whoever can measure what is kept back is not to learn what secrets begin with.
    fn unfinished(&self, bytes: &[u8]) -> usize {
        let line = if self.has_lines { None } else { memchr::memrchr(b'\n', bytes) };
        let last = bytes.len() - line.map_or(0, |at| at + 1);
        last.min(self.reach.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactions(texts: &[&str]) -> Redactions {
        Redactions::new(texts.iter().copied())
    }

    fn cleaned(texts: &[&str], text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        let end = bytes.len();
        redactions(texts).mask(&mut bytes, end);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn other_ways_to_write_a_secret_are_found() {
        // Secrets, and how PHP, Go, Python, browsers, Java and pages in HTML write them.
        for (secret, written) in [
            ("a\"b/c d", r#"a\"b/c d"#),
            ("a\"b/c d", r#"a\"b\/c d"#),
            ("a\"b/c d", "a%22b%2Fc%20d"),
            ("a\"b/c d", "a%22b%2fc+d"),
            ("a\"b/c d", "a%22b/c%20d"),
            ("a\"b/c d", "a&quot;b/c d"),
            ("<a>&b'c", r"\u003ca\u003e\u0026b'c"),
            ("<a>&b'c", "&lt;a&gt;&amp;b&#39;c"),
            ("<a>&b'c", "&lt;a&gt;&amp;b&#x27;c"),
            ("<a>&b'c", "%3Ca%3E%26b'c"),
            ("ab/cd=", "ab/cd%3D"),
            ("ab/cd=", "ab%2Fcd="),
            ("caf\u{e9}\u{1f511}", r"caf\u00e9\ud83d\udd11"),
            ("caf\u{e9}\u{1f511}", "caf%C3%A9%f0%9f%94%91"),
            ("back\\slash", r"back\\slash"),
            ("50%41off", "50%2541off"),
            ("50%41off", "50%41off"),
        ] {
            let text = format!(r#"{{"x": "{written}"}} ?k={written}&l"#);
            let stars = "*".repeat(written.len());
            assert_eq!(cleaned(&[secret], &text), format!(r#"{{"x": "{stars}"}} ?k={stars}&l"#), "{written}");
        }
        assert_eq!(
            cleaned(&["s3cret"], "%73%3Cret %5 \\u00 &lt &#; \\u0073 %"),
            "%73%3Cret %5 \\u00 &lt &#; \\u0073 %"
        );
    }

    #[test]
    fn base64_hides_nothing() {
        // Basic credentials come in Base64; servers tell them as user and password.
        let basic = "dXNlcjpoZWxsby1wYXNz";
        assert_eq!(cleaned(&[basic], "user:hello-pass"), "*".repeat(15));
        assert_eq!(cleaned(&[basic], "user has hello-pass"), "user has **********");
        // Wherever in the coded text it begins; what is left of its ends is shared with their neighbours.
        for (text, kept) in
            [("czNjcmV0LXZhbHVl", ""), ("YXMzY3JldC12YWx1ZWE=", "YXE="), ("YWFzM2NyZXQtdmFsdWVh", "YWFh")]
        {
            let clean = cleaned(&["s3cret-value"], text).replace('*', "");
            assert!(clean.len() <= kept.len() + 3, "{text} {clean}");
        }
    }

    #[test]
    fn headers_say_that_something_was_there() {
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_static("https://b.example/?key=ab/cd%3D&x&y=ab%2fcd="));
        headers.insert("x", HeaderValue::from_static("clean"));
        redactions(&["ab/cd="]).clean_headers(&mut headers);
        assert_eq!(headers["location"], "https://b.example/?key=[REDACTED]&x&y=[REDACTED]");
        assert_eq!(headers["x"], "clean");
    }

    #[test]
    fn short_texts_are_left() {
        assert!(redactions(&["abc", ""]).is_empty());
        assert!(!redactions(&["abcd"]).is_empty());
    }

    #[test]
    fn what_is_kept_back_tells_nothing_of_secrets() {
        let (one, other) = (redactions(&["s3cret-value"]), redactions(&["something else"]));
        for text in ["s3cret", "no secret", "line\ns3", "line\n"] {
            assert_eq!(one.unfinished(text.as_bytes()), other.unfinished(text.as_bytes()), "{text}");
        }
        assert_eq!(one.unfinished(b"line\n"), 0);
        assert_eq!(redactions(&["two\nlines"]).unfinished(b"line\n"), 5);
    }
}
