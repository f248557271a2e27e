//! What must hold for any first words and any head.

use hyper::{HeaderMap, Method, Uri, header::HeaderName, http::HeaderValue};
use rustls::server::Acceptor;

use super::{authority, body::Protocol, headers, hello};
use crate::fuzz::cuts;

/// First words are the same however they arrive: the name is one a policy can judge, or they are refused.
///
/// # Panics
/// When that does not hold.
pub fn hello(data: &[u8]) {
    hello::recognise(data);
    let [one, whole, other] = cuts(data);
    let found = read(data, whole);
    for size in [one, other] {
        assert_eq!(read(data, size), found, "in pieces of {size}");
    }
    if let Ok(Some((Some(name), _))) = found {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase();
        assert!(!name.ends_with('.') && name.bytes().all(is_plain), "{name:?}");
    }
}

fn read(data: &[u8], size: usize) -> Result<Option<hello::Parsed>, ()> {
    let mut parser = Acceptor::default();
    for piece in data.chunks(size) {
        match hello::parse(&mut parser, piece) {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(_) => return Err(()),
        }
    }
    Ok(None)
}

/// A head names one host, in the form rules are written in, or is refused; what is for one connection only does not
/// leave it, and what says how a message goes on stays.
///
/// The first line is a method and a target, the others are headers.
///
/// # Panics
/// When that does not hold.
pub fn head(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let (method, target) = match memchr::memchr(b' ', first) {
        Some(end) => (&first[..end], &first[end + 1..]),
        None => return,
    };
    let (Ok(_), Ok(uri)) = (Method::from_bytes(method), Uri::try_from(target)) else { return };
    let mut map = HeaderMap::new();
    for line in lines {
        let Some(end) = memchr::memchr(b':', line) else { continue };
        let name = HeaderName::from_bytes(&line[..end]);
        let value = HeaderValue::from_bytes(line[end + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    if let Ok(host) = authority::host_of(&uri, &map, 443) {
        let is_acceptable = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_' | b':')
        };
        assert!(!host.is_empty() && host.bytes().all(is_acceptable), "{host:?}");
        assert!(map.get_all("host").iter().count() <= 1, "several hosts");
    }
    headers::expects_continue(&map);
    for protocol in [Protocol::H1, Protocol::H2] {
        let (mut sent, upgrade) = (map.clone(), headers::upgrade(&map));
        assert!(upgrade.as_ref().is_none_or(|to| !to.as_bytes().to_ascii_lowercase().starts_with(b"h2")));
        let is_upgraded = upgrade.is_some();
        headers::end_to_end(&mut sent, protocol, upgrade);
        match protocol {
            Protocol::H2 => assert!(!sent.contains_key("host")),
            Protocol::H1 => {
                assert!(!sent.contains_key("keep-alive") && !sent.contains_key("proxy-connection"));
                assert_eq!(sent.contains_key("connection"), is_upgraded);
                for kept in ["host", "content-length", "transfer-encoding"] {
                    assert_eq!(sent.get_all(kept).iter().count(), map.get_all(kept).iter().count(), "{kept}");
                }
            }
        }
    }
}
