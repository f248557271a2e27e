//! Which headers pass, in which direction.

use std::net::SocketAddr;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONNECTION, EXPECT, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Meant for one connection only.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Turns a client's headers into those of the forwarded request. `Host` and the access token stay.
pub(super) fn outgoing(headers: &mut HeaderMap, peer: SocketAddr) {
    let forwarded_for = forwarded_for(headers, peer);
    remove_hop_by_hop(headers);
    // A client that asked for it has been told to go on already.
    headers.remove(EXPECT);
    headers.remove(FORWARDED_HOST);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    if let Ok(value) = HeaderValue::try_from(forwarded_for) {
        headers.insert(FORWARDED_FOR, value);
    }
}

/// Turns a program's headers into those of the answer.
pub(super) fn incoming(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
}

/// The first client known of, and who connected to us.
fn forwarded_for(headers: &HeaderMap, peer: SocketAddr) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let first = text(FORWARDED_FOR.as_str()).and_then(|list| list.split(',').next()).map(str::trim);
    let known = first.filter(|first| !first.is_empty());
    let known = known.or_else(|| text("x-real-ip").map(str::trim).filter(|address| !address.is_empty()));
    let ip = peer.ip();
    match known {
        Some(client) => format!("{client}, {ip}"),
        None => format!("{peer}, {ip}"),
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn peer() -> SocketAddr {
        ([10, 0, 0, 1], 4711).into()
    }

    #[test]
    fn hops_end_here_and_the_rest_goes_on() {
        let mut headers = map(&[
            ("host", "sandbox.example:1"),
            ("connection", "keep-alive, X-Private"),
            ("x-private", "1"),
            ("keep-alive", "5"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("expect", "100-continue"),
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("x-forwarded-host", "outside.example"),
            ("x-forwarded-proto", "https"),
            ("x-execd-access-token", "token"),
        ]);
        outgoing(&mut headers, peer());
        let expected = map(&[
            ("host", "sandbox.example:1"),
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-for", "10.0.0.1:4711, 10.0.0.1"),
            ("x-execd-access-token", "token"),
        ]);
        assert_eq!(headers, expected);
    }

    #[test]
    fn the_first_known_client_is_named() {
        for (given, expected) in [
            (&[][..], "10.0.0.1:4711, 10.0.0.1"),
            (&[("x-real-ip", "6.6.6.6")], "6.6.6.6, 10.0.0.1"),
            (&[("x-forwarded-for", "1.1.1.1, 2.2.2.2"), ("x-real-ip", "6.6.6.6")], "1.1.1.1, 10.0.0.1"),
            (&[("x-forwarded-for", " , 2.2.2.2"), ("x-real-ip", "6.6.6.6")], "6.6.6.6, 10.0.0.1"),
        ] {
            let mut headers = map(given);
            outgoing(&mut headers, peer());
            assert_eq!(headers["x-forwarded-for"], expected);
            assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
        }
    }

    #[test]
    fn answers_lose_no_repeated_header() {
        let mut headers = map(&[
            ("server", "program"),
            ("connection", "close"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ]);
        incoming(&mut headers);
        assert_eq!(headers, map(&[("server", "program"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]));
    }
}
