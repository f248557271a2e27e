//! Conditional and range requests, decided without touching the file.

use axum::http::{HeaderMap, HeaderName, header};
use chrono::{DateTime, Utc};

/// How HTTP writes a date.
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// What identifies one state of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// Entity tag, with its quotes.
    pub(crate) tag: String,
    /// When the content last changed, in whole seconds.
    pub(crate) modified: DateTime<Utc>,
    /// Size in bytes.
    pub(crate) size: u64,
}

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The whole file.
    Whole,
    /// These bytes: the first and how many, at least one.
    Part { start: u64, length: u64 },
    /// The client's copy is current (304).
    NotModified,
    /// The file is not in the state the client expects (412).
    PreconditionFailed,
    /// The range lies outside the file (416).
    Unsatisfiable,
    /// The range is none (416).
    Malformed,
}

impl Version {
    /// The moment as HTTP writes it.
    pub(crate) fn last_modified(&self) -> String {
        self.modified.format(HTTP_DATE).to_string()
    }

    /// Decides by the request's headers, in the order RFC 9110 (13.2.2) gives.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Answer {
        if let Some(tags) = text(headers, &header::IF_MATCH) {
            if !lists(&tags, &self.tag, false) {
                return Answer::PreconditionFailed;
            }
        } else if date(headers, &header::IF_UNMODIFIED_SINCE).is_some_and(|date| self.modified > date) {
            return Answer::PreconditionFailed;
        }
        if let Some(tags) = text(headers, &header::IF_NONE_MATCH) {
            if lists(&tags, &self.tag, true) {
                return Answer::NotModified;
            }
        } else if date(headers, &header::IF_MODIFIED_SINCE).is_some_and(|date| self.modified <= date) {
            return Answer::NotModified;
        }
        match text(headers, &header::RANGE) {
            Some(range) if self.range_applies(headers) => part(&range, self.size),
            _ => Answer::Whole,
        }
    }

    /// Whether a range still is one of the state the client has.
    fn range_applies(&self, headers: &HeaderMap) -> bool {
        match text(headers, &header::IF_RANGE) {
            None => true,
            Some(tag) if tag.starts_with('"') => tag == self.tag,
            Some(other) => parse_date(&other) == Some(self.modified),
        }
    }
}

/// The bytes a `Range` header asks for; only its first range is served.
fn part(header: &str, size: u64) -> Answer {
    match parse_range(header, size) {
        None => Answer::Malformed,
        Some((start, end)) if start < end => Answer::Part { start, length: end - start },
        Some(_) => Answer::Unsatisfiable,
    }
}

/// Where a range begins and ends in a file of this size; it is empty if it lies outside.
fn parse_range(header: &str, size: u64) -> Option<(u64, u64)> {
    let ranges = header.trim().strip_prefix("bytes=")?;
    let (first, last) = ranges.split(',').next()?.trim().split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        return Some((size.saturating_sub(digits(last)?), size));
    }
    let first = digits(first)?;
    if last.is_empty() {
        return Some((first, size));
    }
    let last = digits(last)?;
    (first <= last).then(|| (first, last.saturating_add(1).min(size)))
}

/// A number of any length; what does not fit is as good as the largest one that does.
fn digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    all.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Whether a list of entity tags has this one.
fn lists(tags: &str, tag: &str, weakly: bool) -> bool {
    let same = |listed: &str| listed == tag || (weakly && listed.strip_prefix("W/") == Some(tag));
    tags.trim() == "*" || tags.split(',').any(|listed| same(listed.trim()))
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<DateTime<Utc>> {
    parse_date(headers.get(name)?.to_str().ok()?)
}

fn parse_date(text: &str) -> Option<DateTime<Utc>> {
    chrono::NaiveDateTime::parse_from_str(text.trim(), HTTP_DATE).ok().map(|date| date.and_utc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version() -> Version {
        Version {
            tag: "\"abc\"".to_owned(),
            modified: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
            size: 100,
        }
    }

    fn answer(headers: &[(&'static str, &str)]) -> Answer {
        let parse = |(name, value): &(&'static str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        version().answer(&headers.iter().map(parse).collect())
    }

    #[test]
    fn ranges() {
        for (range, expected) in [
            ("bytes=0-0", Some((0, 1))),
            ("bytes=10-19", Some((10, 10))),
            ("bytes=90-", Some((90, 10))),
            ("bytes=-5", Some((95, 5))),
            ("bytes=-500", Some((0, 100))),
            ("bytes=50-5000", Some((50, 50))),
            ("bytes=0-99999999999999999999999", Some((0, 100))),
            ("bytes=1-2,5-6", Some((1, 2))),
            ("bytes=100-", None),
            ("bytes=-0", None),
        ] {
            let expected =
                expected.map_or(Answer::Unsatisfiable, |(start, length)| Answer::Part { start, length });
            assert_eq!(part(range, 100), expected, "{range}");
        }
        for range in ["bytes=5-4", "bytes=a-b", "bytes=+1-2", "bytes=", "bytes=-", "lines=1-2", "bytes=--1"] {
            assert_eq!(part(range, 100), Answer::Malformed, "{range}");
        }
        assert_eq!(part("bytes=0-0", 0), Answer::Unsatisfiable);
        assert_eq!(part("bytes=-1", 0), Answer::Unsatisfiable);
    }

    #[test]
    fn conditions() {
        let (same, before, after) = (
            version().last_modified(),
            "Tue, 14 Nov 2023 22:13:19 GMT".to_owned(),
            "Tue, 14 Nov 2023 22:13:21 GMT".to_owned(),
        );
        assert_eq!(same, "Tue, 14 Nov 2023 22:13:20 GMT");
        let part = Answer::Part { start: 0, length: 1 };
        for (headers, expected) in [
            (vec![], Answer::Whole),
            (vec![("if-none-match", "\"abc\"")], Answer::NotModified),
            (vec![("if-none-match", "\"x\", W/\"abc\"")], Answer::NotModified),
            (vec![("if-none-match", "*")], Answer::NotModified),
            (vec![("if-none-match", "\"x\""), ("if-modified-since", same.as_str())], Answer::Whole),
            (vec![("if-modified-since", same.as_str())], Answer::NotModified),
            (vec![("if-modified-since", before.as_str())], Answer::Whole),
            (vec![("if-modified-since", "nonsense")], Answer::Whole),
            (vec![("if-match", "\"abc\"")], Answer::Whole),
            (vec![("if-match", "W/\"abc\"")], Answer::PreconditionFailed),
            (vec![("if-match", "\"x\"")], Answer::PreconditionFailed),
            (vec![("if-unmodified-since", before.as_str())], Answer::PreconditionFailed),
            (vec![("if-unmodified-since", after.as_str())], Answer::Whole),
            (vec![("range", "bytes=0-0"), ("if-range", "\"abc\"")], part),
            (vec![("range", "bytes=0-0"), ("if-range", "\"old\"")], Answer::Whole),
            (vec![("range", "bytes=0-0"), ("if-range", same.as_str())], part),
            (vec![("range", "bytes=0-0"), ("if-range", before.as_str())], Answer::Whole),
            (vec![("range", "bytes=200-")], Answer::Unsatisfiable),
        ] {
            assert_eq!(answer(&headers), expected, "{headers:?}");
        }
    }

    proptest! {
        #[test]
        fn a_range_never_leaves_the_file(header in "bytes=[0-9]{0,4}-[0-9]{0,4}", size in 0u64..2000) {
            if let Answer::Part { start, length } = part(&header, size) {
                prop_assert!(length >= 1 && start + length <= size);
            }
        }

        #[test]
        fn never_panics(header in "\\PC{0,40}", size in any::<u64>()) {
            let _ = part(&header, size);
        }
    }
}
