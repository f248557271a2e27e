//! Conditional and range requests.

use axum::http::{HeaderMap, HeaderValue, header};
use chrono::DateTime;

use super::two_parts;
use crate::files::conditions::{Answer, Version};

/// Headers that decide what is sent; one byte of the input picks which one stands beside the range.
const CONDITIONS: [header::HeaderName; 5] = [
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];

/// A range in the first line; size and a condition in the rest: no part ever leaves the file, and the ranges that are
/// written as the standard has them mean what it says.
///
/// # Panics
/// When that does not hold.
pub fn range(data: &[u8]) {
    let (range, rest) = two_parts(data);
    let (size, rest) = rest.split_at(rest.len().min(8));
    let mut bytes = [0; 8];
    bytes[..size.len()].copy_from_slice(size);
    let size = u64::from_le_bytes(bytes);
    let Ok(range) = HeaderValue::from_bytes(range) else { return };
    let version = Version {
        tag: "\"tag\"".to_owned(),
        modified: DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default(),
        size,
    };
    let mut headers = HeaderMap::from_iter([(header::RANGE, range.clone())]);
    let answer = version.answer(&headers);
    if let Answer::Part { start, length } = answer {
        assert!(length >= 1, "an empty part");
        assert!(start.checked_add(length).is_some_and(|end| end <= size), "{start}+{length} of {size}");
    }
    if let Some((first, last)) = canonical(&range) {
        let expected = match (first, last) {
            (first, last) if first > last => Answer::Malformed,
            (first, _) if first >= size => Answer::Unsatisfiable,
            (first, last) => Answer::Part { start: first, length: last.min(size - 1) - first + 1 },
        };
        assert_eq!(answer, expected, "{range:?} of {size}");
    }
    let (which, condition) = rest.split_at(rest.len().min(1));
    if let (Some(which), Ok(condition)) = (which.first(), HeaderValue::from_bytes(condition)) {
        headers.insert(&CONDITIONS[usize::from(*which) % CONDITIONS.len()], condition);
        let conditional = version.answer(&headers);
        let possible = [answer, Answer::Whole, Answer::NotModified, Answer::PreconditionFailed];
        assert!(possible.contains(&conditional), "{conditional:?} under {headers:?}");
    }
}

/// First and last byte of a range written as `bytes=1-2`.
fn canonical(range: &HeaderValue) -> Option<(u64, u64)> {
    let (first, last) = range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| number.to_string() == text);
    Some((number(first)?, number(last)?))
}
