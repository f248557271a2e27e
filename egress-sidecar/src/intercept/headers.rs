//! Headers that are for one connection only, and those that say how a message goes on.

use hyper::{
    HeaderMap, Method, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

use super::body::Protocol;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const UPGRADE: HeaderValue = HeaderValue::from_static("upgrade");

/// The protocol a request wants to change to, if it is one that can be passed through.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let wanted = has_token(headers, &header::CONNECTION, "upgrade");
    let to = headers.get(header::UPGRADE)?;
    let mut offered = to.to_str().ok()?.split(',').map(|offer| offer.trim().to_ascii_lowercase());
    // These would hide the requests after this one.
    let hides = |offer: String| ["h2", "http", "tls"].iter().any(|hidden| offer.starts_with(hidden));
    (wanted && !offered.any(hides)).then(|| to.clone())
}

/// Takes out what is for this connection only, and puts back a change of the protocol.
pub(super) fn end_to_end(headers: &mut HeaderMap, protocol: Protocol, upgrade: Option<HeaderValue>) {
    if protocol == Protocol::H2 {
        // There is nothing else of the kind in HTTP/2.
        headers.remove(header::HOST);
        return;
    }
    let wants_trailers = has_token(headers, &header::TE, "trailers");
    if let Some(named) = headers.remove(header::CONNECTION) {
        let named = named.to_str().unwrap_or_default().split(',').map(str::trim);
        for name in named.filter(|name| !is_needed(name)) {
            headers.remove(name);
        }
    }
    for name in [&KEEP_ALIVE, &PROXY_CONNECTION, &header::TE, &header::UPGRADE] {
        headers.remove(name);
    }
    if wants_trailers {
        headers.insert(header::TE, TRAILERS);
    }
    if let Some(to) = upgrade {
        headers.insert(header::CONNECTION, UPGRADE);
        headers.insert(header::UPGRADE, to);
    }
}

/// Headers that nobody may have taken out by naming them in `Connection`.
fn is_needed(name: &str) -> bool {
    const NEEDED: [&str; 5] =
        ["host", "content-length", "transfer-encoding", "content-type", "authorization"];
    NEEDED.iter().any(|needed| name.eq_ignore_ascii_case(needed))
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// Whether the client waits to be asked for the body.
pub(super) fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Whether an answer to such a request has a body at all.
pub(super) fn has_body(method: &Method, status: StatusCode) -> bool {
    *method != Method::HEAD && !status.is_informational() && !matches!(status.as_u16(), 204 | 304)
}

/// Asks for an answer that can be searched.
pub(super) fn ask_unpacked(headers: &mut HeaderMap) {
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    // Of messages in the body: compression is all these can offer.
    for name in ["sec-websocket-extensions", "grpc-accept-encoding", "connect-accept-encoding"] {
        headers.remove(name);
    }
}

/// How the body of an answer, or what follows it, is packed.
pub(super) fn packed(headers: &HeaderMap) -> Option<String> {
    const NAMES: [&str; 5] = [
        "content-encoding",
        "transfer-encoding",
        "sec-websocket-extensions",
        "grpc-encoding",
        "connect-content-encoding",
    ];
    let values = NAMES.iter().flat_map(|name| headers.get_all(*name));
    // A word nobody can read is none that is known.
    let mut words = values.flat_map(|value| value.to_str().unwrap_or("unknown").split(',')).map(str::trim);
    let is_plain =
        |word: &&str| ["", "identity", "chunked"].iter().any(|plain| word.eq_ignore_ascii_case(plain));
    words.find(|word| !is_plain(word)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_is_for_one_connection_stays_there() {
        let mut all = headers(&[
            ("connection", "close, X-Private, host"),
            ("keep-alive", "5"),
            ("x-private", "1"),
            ("te", "trailers, gzip"),
            ("host", "a.example"),
            ("x-kept", "1"),
            ("proxy-connection", "x"),
            ("upgrade", "websocket"),
        ]);
        end_to_end(&mut all, Protocol::H1, None);
        assert_eq!(names(&all), ["host", "te", "x-kept"]);
        assert_eq!(all["te"], "trailers");
    }

    #[test]
    fn websockets_may_change_the_protocol_and_http2_may_not() {
        let mut all = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        let wanted = upgrade(&all);
        end_to_end(&mut all, Protocol::H1, wanted);
        assert_eq!((&all["connection"], &all["upgrade"]), (&UPGRADE, &HeaderValue::from_static("websocket")));
        for hidden in ["h2c", "websocket, H2C", "HTTP/2.0", "TLS/1.2"] {
            let wanted = [("connection", "upgrade, http2-settings"), ("upgrade", hidden)];
            assert_eq!(upgrade(&headers(&wanted)), None, "{hidden}");
        }
        assert_eq!(upgrade(&headers(&[("upgrade", "websocket")])), None);
    }

    #[test]
    fn what_is_packed_says_so() {
        for (name, value, packed_as) in [
            ("content-encoding", "gzip", Some("gzip")),
            ("content-encoding", "identity, br", Some("br")),
            ("content-encoding", "Identity", None),
            ("content-encoding", "", None),
            ("transfer-encoding", "gzip, chunked", Some("gzip")),
            ("transfer-encoding", "chunked", None),
            ("sec-websocket-extensions", "permessage-deflate; x", Some("permessage-deflate; x")),
            ("grpc-encoding", "identity", None),
            // A file that is packed is what was asked for.
            ("content-type", "application/gzip", None),
        ] {
            assert_eq!(packed(&headers(&[(name, value)])).as_deref(), packed_as, "{name}: {value}");
        }
    }
}
