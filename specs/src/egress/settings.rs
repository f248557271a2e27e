//! How settings are written that callers may give a sidecar: read by the sidecar, and checked by the server before.

use std::{net::Ipv6Addr, time::Duration};

/// Whole or broken seconds, with or without the unit; also minutes (`m`) and milliseconds (`ms`).
///
/// # Errors
/// What is no such time, or none at all.
pub fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("{text:?} is not a positive number of seconds");
    let number = text.strip_suffix('s').unwrap_or(text);
    let (number, unit) =
        number.strip_suffix('m').map_or((number, 1.0), |number| match text.ends_with("ms") {
            true => (number, 0.001),
            false => (number, 60.0),
        });
    let seconds = number.parse::<f64>().map_err(|_| refuse())? * unit;
    if seconds > 0.0 { Duration::try_from_secs_f64(seconds).map_err(|_| refuse()) } else { Err(refuse()) }
}

/// A port, 1 to 65535.
///
/// # Errors
/// What is none.
pub fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text:?} is not a port")),
        Ok(port) => Ok(port),
    }
}

/// Parts between commas; blank ones count for nothing.
pub fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// A proxy that opens connections for others (`CONNECT` of HTTP).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyAddress {
    /// Whether it is spoken to over TLS.
    pub secure: bool,
    /// Its name or address, the latter without brackets.
    pub host: String,
    pub port: u16,
}

/// `http://HOST[:PORT]` or `https://HOST[:PORT]`, and nothing else. Whoever has put a password there is not quoted.
///
/// # Errors
/// What is none.
pub fn proxy(text: &str) -> Result<ProxyAddress, String> {
    if text.contains(|letter: char| letter.is_control() || letter.is_whitespace()) {
        return Err("must have neither blanks nor control characters".to_owned());
    }
    let (secure, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err("is not an http or https URL".to_owned()),
    };
    if rest.contains('@') {
        return Err("must not name a user: credentials have a setting of their own".to_owned());
    }
    if rest.contains(['/', '?', '#']) {
        return Err("must have no path, query or fragment".to_owned());
    }
    let (host, number) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, number)) => {
            host.parse::<Ipv6Addr>().map_err(|_| "has an address that is none".to_owned())?;
            (host, number)
        }
        None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
    };
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_fine) {
        return Err("has no host that can be looked up".to_owned());
    }
    let port = match number.strip_prefix(':') {
        Some(number) => port(number)?,
        None if number.is_empty() => {
            if secure {
                443
            } else {
                80
            }
        }
        None => return Err("is not http(s)://HOST[:PORT]".to_owned()),
    };
    Ok(ProxyAddress { secure, host: host.to_owned(), port })
}

/// What a proxy is shown (`Proxy-Authorization`), such as `Basic dXNlcjpwYXNz`: one line of visible characters.
///
/// # Errors
/// What is none; it is not repeated.
pub fn authorization(text: &str) -> Result<(), String> {
    match !text.trim().is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        true => Ok(()),
        false => Err("is not one line of visible characters".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_have_a_host_and_nothing_more() {
        for (text, secure, host, port) in [
            ("http://proxy.test", false, "proxy.test", 80),
            ("https://proxy.test", true, "proxy.test", 443),
            ("http://10.0.0.1:3128", false, "10.0.0.1", 3128),
            ("https://[2001:db8::1]:8443", true, "2001:db8::1", 8443),
        ] {
            assert_eq!(proxy(text), Ok(ProxyAddress { secure, host: host.to_owned(), port }), "{text}");
        }
        for bad in [
            "proxy.test:3128",
            "socks5://proxy.test",
            "http://",
            "http://:80",
            "http://user:pass-word@proxy.test",
            "http://proxy.test/",
            "http://proxy.test?x",
            "http://proxy.test#x",
            "http://proxy.test:0",
            "http://proxy.test:80:80",
            "http://[::1",
            "http://[x]:80",
            "http://[::1]80",
            "http://proxy.test\r\nX: y",
            "http://pro xy",
        ] {
            let refused = proxy(bad).unwrap_err();
            assert!(!refused.contains("pass-word"), "{bad}");
        }
        assert!(authorization("Basic dXNlcjpwYXNz").is_ok());
        for bad in ["", " ", "Basic x\r\nX: y", "Basic \u{e4}"] {
            assert!(authorization(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_and_ports() {
        for (text, millis) in [("5", 5000), ("0.25", 250), ("250ms", 250), ("1m", 60_000), ("2s", 2000)] {
            assert_eq!(duration(text).unwrap().as_millis(), millis, "{text}");
        }
        for bad in ["0", "-1", "soon", "inf", "NaN", "", "s", "1h", "1e300"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(port("65535"), Ok(65535));
        assert!(["0", "65536", "x", "-1", ""].iter().all(|text| port(text).is_err()));
        assert_eq!(parts(" 1, ,2,").collect::<Vec<_>>(), ["1", "2"]);
    }
}
