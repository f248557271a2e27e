//! Whom a request is for: what its target, its `Host` and the connection's name say must be the same.

use hyper::{HeaderMap, Uri, header};

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the request does not say which host it is for")]
    Missing,
    #[error("the request names its host more than once")]
    Several,
    #[error("the request's host is not acceptable")]
    Malformed,
    #[error("the request is for another host than the connection")]
    Mismatch,
}

/// The host a request is for, in lower case without a dot at the end and without brackets.
pub(super) fn host_of(uri: &Uri, headers: &HeaderMap, port: u16) -> Result<String, Refusal> {
    let mut named = headers.get_all(header::HOST).iter();
    let (host, second) = (named.next(), named.next());
    if second.is_some() {
        return Err(Refusal::Several);
    }
    let host = host.map(|host| host.to_str().map_err(|_| Refusal::Malformed)).transpose()?;
    let host = host.map(|host| parse(host, port)).transpose()?;
    let target = uri.authority().map(|authority| parse(authority.as_str(), port)).transpose()?;
    match (target, host) {
        (Some(target), Some(host)) if target != host => Err(Refusal::Mismatch),
        (Some(name), _) | (None, Some(name)) => Ok(name),
        (None, None) => Err(Refusal::Missing),
    }
}

/// Takes `HOST[:PORT]` apart; another port than the connection's is another authority.
fn parse(text: &str, port: u16) -> Result<String, Refusal> {
    let (host, given) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(Refusal::Malformed)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| Refusal::Malformed)?;
            (host, rest.strip_prefix(':').or(rest.is_empty().then_some("")).ok_or(Refusal::Malformed)?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if !given.is_empty() && given.parse::<u16>().map_err(|_| Refusal::Malformed)? != port {
        return Err(Refusal::Mismatch);
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_acceptable = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(is_acceptable) {
        return Err(Refusal::Malformed);
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn host(target: &str, hosts: &[&str]) -> Result<String, Refusal> {
        let headers = hosts.iter().map(|host| (header::HOST, HeaderValue::from_str(host).unwrap())).collect();
        host_of(&target.parse().unwrap(), &headers, 443)
    }

    #[test]
    fn one_host_is_named() {
        for (target, hosts) in [
            ("/", &["A.example."][..]),
            ("/", &["a.example:443"]),
            ("https://a.example/", &[]),
            ("https://a.example:443/", &["a.example"]),
        ] {
            assert_eq!(host(target, hosts), Ok("a.example".to_owned()), "{target} {hosts:?}");
        }
        assert_eq!(host("/", &["[2001:db8::1]:443"]), Ok("2001:db8::1".to_owned()));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(host("/", &[]), Err(Refusal::Missing));
        assert_eq!(host("/", &["a.example", "a.example"]), Err(Refusal::Several));
        assert_eq!(host("https://a.example/", &["b.example"]), Err(Refusal::Mismatch));
        assert_eq!(host("/", &["a.example:8443"]), Err(Refusal::Mismatch));
        for wrong in ["", "a b", "a.example@b.example", "[::1", "a.example:x", "a/b", "[x]", "\u{e4}.example"]
        {
            assert!(host("/", &[wrong]).is_err(), "{wrong}");
        }
    }
}
