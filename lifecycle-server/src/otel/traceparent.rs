//! Which trace a request belongs to, as the W3C's Trace Context writes it into headers.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Longest `tracestate` that is kept; the standard asks for no more.
const MAX_STATE: usize = 512;
/// `00-` trace `-` span `-` flags, of the version that is written here.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;

pub(super) type TraceId = [u8; 16];
pub(super) type SpanId = [u8; 8];

/// The caller's span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) is_sampled: bool,
    pub(super) state: String,
}

impl Parent {
    /// What the caller's headers say; nothing if they are wrong, as the standard wants it.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let (text, None) = (given.next()?, given.next()) else { return None };
        let (trace, span, flags) = parse(text.as_bytes())?;
        Some(Self { trace, span, is_sampled: flags & SAMPLED != 0, state: state(headers) })
    }
}

/// The header for what is asked on behalf of a span.
pub(super) fn header(trace: &TraceId, span: &SpanId) -> Option<HeaderValue> {
    let (trace, span) = (u128::from_be_bytes(*trace), u64::from_be_bytes(*span));
    HeaderValue::try_from(format!("00-{trace:032x}-{span:016x}-{SAMPLED:02x}")).ok()
}

fn parse(text: &[u8]) -> Option<(TraceId, SpanId, u8)> {
    // Later versions may add to what this one has.
    let is_known = match (text.get(..2)?, text.len()) {
        (b"ff", _) => false,
        (b"00", length) => length == LENGTH,
        (_, length) => length == LENGTH || (length > LENGTH && text[LENGTH] == b'-'),
    };
    let has_dashes = [2, 35, 52].iter().all(|&at| text.get(at) == Some(&b'-'));
    if !is_known || !has_dashes {
        return None;
    }
    hex(&text[..2])?;
    let trace = hex(&text[3..35]).filter(|id| *id != 0)?;
    let span = u64::try_from(hex(&text[36..52])?).ok().filter(|id| *id != 0)?;
    let flags = u8::try_from(hex(&text[53..LENGTH])?).ok()?;
    Some((trace.to_be_bytes(), span.to_be_bytes(), flags))
}

/// At most 32 lower-case digits.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

fn state(headers: &HeaderMap) -> String {
    let given: Option<Vec<&str>> =
        headers.get_all(TRACESTATE).iter().map(|value| value.to_str().ok()).collect();
    given.map(|members| members.join(",")).filter(|state| state.len() <= MAX_STATE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn parent(pairs: &[(HeaderName, &str)]) -> Option<Parent> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        Parent::of(&headers)
    }

    #[test]
    fn what_was_written_is_read() {
        let read = parent(&[(TRACEPARENT, GIVEN), (TRACESTATE, "a=1"), (TRACESTATE, "b=2")]).unwrap();
        assert_eq!((read.is_sampled, read.state.as_str()), (true, "a=1,b=2"));
        assert_eq!(header(&read.trace, &read.span).unwrap(), GIVEN);
        let later = format!("01{}-more", &GIVEN[2..]);
        assert_eq!(parent(&[(TRACEPARENT, &later)]).unwrap().trace, read.trace);
        let unsampled = format!("{}00", &GIVEN[..53]);
        assert!(!parent(&[(TRACEPARENT, &unsampled)]).unwrap().is_sampled);
    }

    #[test]
    fn what_is_wrong_is_left_out() {
        let (trace, span) = (&GIVEN[3..35], &GIVEN[36..52]);
        for wrong in [
            String::new(),
            format!("{GIVEN}-more"),
            format!("ff{}", &GIVEN[2..]),
            GIVEN.to_uppercase(),
            GIVEN[..54].to_owned(),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{trace}_{span}-01"),
            format!("01{}x", &GIVEN[2..]),
        ] {
            assert_eq!(parent(&[(TRACEPARENT, &wrong)]), None, "{wrong}");
        }
        assert_eq!(parent(&[(TRACEPARENT, GIVEN), (TRACEPARENT, GIVEN)]), None);
        let long = "x".repeat(MAX_STATE + 1);
        assert_eq!(parent(&[(TRACEPARENT, GIVEN), (TRACESTATE, &long)]).unwrap().state, "");
    }
}
