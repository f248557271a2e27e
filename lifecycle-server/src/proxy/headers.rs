//! Which headers pass, in which direction.

use std::net::IpAddr;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        AUTHORIZATION, CONNECTION, COOKIE, EXPECT, FORWARDED, HOST, LOCATION, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, SERVER, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};

use super::relay::RELAYED;
use crate::otel;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Meant for one connection only.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What was meant for this server and what only a proxy may claim. `Expect` is answered here already.
const NOT_FOR_SANDBOXES: [HeaderName; 14] = [
    HOST,
    EXPECT,
    FORWARDED,
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PROTO,
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("open-sandbox-api-key"),
    HeaderName::from_static("opensandbox-secure-access"),
    HeaderName::from_static("opensandbox-access-renew"),
    HeaderName::from_static("opensandbox-ingress-to"),
    HeaderName::from_static("open-sandbox-ingress"),
    RELAYED,
];

/// What a browser keeps for the API's own host.
const OF_THE_HOST: [HeaderName; 2] = [AUTHORIZATION, COOKIE];

/// What a request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// A path below the API, on the API's host.
    Api,
    /// An address that is the port's own, so its host, cookies and credentials are for the port.
    Gateway,
}

/// Where a request came from.
pub(super) struct Origin<'a> {
    pub(super) front: Front,
    pub(super) peer: Option<IpAddr>,
    pub(super) host: Option<&'a HeaderValue>,
}

/// Turns a caller's headers into those of the forwarded request.
pub(super) fn outgoing(headers: &mut HeaderMap, origin: &Origin<'_>) {
    let host = origin.host.cloned();
    remove_hop_by_hop(headers);
    for name in &NOT_FOR_SANDBOXES {
        headers.remove(name);
    }
    if origin.front == Front::Api {
        for name in &OF_THE_HOST {
            headers.remove(name);
        }
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    if let Some(host) = host {
        headers.insert(FORWARDED_HOST, host);
    }
    if let Some(peer) = origin.peer.and_then(|peer| HeaderValue::try_from(peer.to_string()).ok()) {
        headers.insert(FORWARDED_FOR, peer);
    }
    otel::inject(headers);
}

/// Turns a sandbox's headers into those of the answer. `mount` is the path under which the port's `/` is seen.
pub(super) fn incoming(headers: &mut HeaderMap, mount: &str) {
    remove_hop_by_hop(headers);
    headers.remove(SERVER);
    if let Some(location) = headers.get(LOCATION).and_then(|location| rerooted(location, mount)) {
        headers.insert(LOCATION, location);
    }
}

/// A path on the sandbox's own host; anything else leads where it says.
fn rerooted(location: &HeaderValue, mount: &str) -> Option<HeaderValue> {
    let path = location.to_str().ok()?;
    let is_rooted = path.starts_with('/') && !path.starts_with("//");
    is_rooted.then(|| HeaderValue::try_from(format!("{mount}{path}")).ok())?
}

pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::SET_COOKIE;

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn secrets_and_hops_stay_here() {
        let mut headers = map(&[
            ("host", "api.example"),
            ("connection", "keep-alive, X-Private"),
            ("x-private", "1"),
            ("keep-alive", "5"),
            ("transfer-encoding", "chunked"),
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("open-sandbox-api-key", "k"),
            ("opensandbox-secure-access", "t"),
            ("opensandbox-access-renew", "skip"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("accept", "text/html"),
            ("x-execd-access-token", "own"),
        ]);
        let host = HeaderValue::from_static("api.example");
        outgoing(
            &mut headers,
            &Origin { front: Front::Api, peer: Some([10, 0, 0, 1].into()), host: Some(&host) },
        );
        let expected = map(&[
            ("accept", "text/html"),
            ("x-execd-access-token", "own"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "api.example"),
            ("x-forwarded-for", "10.0.0.1"),
        ]);
        assert_eq!(headers, expected);
    }

    #[test]
    fn a_port_with_an_address_of_its_own_gets_what_is_kept_for_it() {
        let mut headers = map(&[
            ("cookie", "a=b"),
            ("authorization", "x"),
            ("opensandbox-ingress-to", "s-80"),
            ("te", "x"),
        ]);
        outgoing(&mut headers, &Origin { front: Front::Gateway, peer: None, host: None });
        assert_eq!(headers, map(&[("cookie", "a=b"), ("authorization", "x"), ("x-forwarded-proto", "http")]));
    }

    #[test]
    fn answers_lose_hops_and_the_servers_name_but_no_repeated_header() {
        let mut headers = map(&[
            ("server", "nginx"),
            ("connection", "close"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("content-encoding", "gzip"),
        ]);
        incoming(&mut headers, "/m");
        assert_eq!(headers.get_all(SET_COOKIE).iter().count(), 2);
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn only_rooted_paths_are_moved_below_the_mount() {
        let moved = |location: &'static str| {
            let mut headers = map(&[("location", location)]);
            incoming(&mut headers, "/v1/sandboxes/s/proxy/80");
            headers[LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(moved("/login?next=/"), "/v1/sandboxes/s/proxy/80/login?next=/");
        assert_eq!(moved("/"), "/v1/sandboxes/s/proxy/80/");
        assert_eq!(moved("//other.example/x"), "//other.example/x");
        assert_eq!(moved("https://other.example/x"), "https://other.example/x");
        assert_eq!(moved("next"), "next");
    }
}
