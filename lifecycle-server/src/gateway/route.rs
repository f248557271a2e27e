//! Addresses that name a port of a sandbox.

use super::signature::{MAX_BASE36, SIGNATURE_LENGTH, Stamp, parse_base36};

/// Longest label of a host name.
const MAX_LABEL: usize = 63;

/// Where in a request its port is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// `<token>.<domain>` as host.
    Wildcard { domain: String },
    /// `/<id>/<port>` at the start of the path, after `prefix`, which is empty or begins with a slash.
    Uri { prefix: String },
    /// A token in a header.
    Header,
}

/// A port of a sandbox, and what its address says about the right to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub sandbox: String,
    pub port: u16,
    pub stamp: Option<Stamp>,
}

/// The address names no port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

const NO_TOKEN: Malformed = Malformed("expected <sandbox>-<port> or <sandbox>-<port>-<expires>-<signature>");

impl Route {
    /// The route as one label: `<id>-<port>`, with `-<expires>-<signature>` when signed.
    ///
    /// # Errors
    /// When that is longer than a label may be.
    pub fn label(&self) -> Result<String, Malformed> {
        let mut label = self.token();
        label.make_ascii_lowercase();
        (label.len() <= MAX_LABEL).then_some(label).ok_or(Malformed("the name is too long for a host"))
    }

    /// The same without a bound on its length, for headers.
    pub fn token(&self) -> String {
        let Self { sandbox, port, stamp } = self;
        match stamp {
            None => format!("{sandbox}-{port}"),
            Some(Stamp { expires, signature }) => format!("{sandbox}-{port}-{expires}-{signature}"),
        }
    }

    /// The route as the start of a path, without a final slash.
    pub fn path(&self) -> String {
        let Self { sandbox, port, stamp } = self;
        match stamp {
            None => format!("/{sandbox}/{port}"),
            Some(Stamp { expires, signature }) => format!("/{sandbox}/{port}/{expires}/{signature}"),
        }
    }
}

/// Reads a label or token from its end: ids hold dashes too.
///
/// # Errors
/// When it is none.
pub fn from_label(label: &str) -> Result<Route, Malformed> {
    let (rest, last) = label.rsplit_once('-').ok_or(NO_TOKEN)?;
    if let Some(port) = port(last) {
        return named(rest, port, None);
    }
    if !is_signature(last) {
        return Err(NO_TOKEN);
    }
    let (rest, expires) = rest.rsplit_once('-').ok_or(NO_TOKEN)?;
    let (sandbox, number) = rest.rsplit_once('-').ok_or(NO_TOKEN)?;
    let port = port(number).ok_or(NO_TOKEN)?;
    if parse_base36(expires).is_none() {
        return Err(Malformed("the signed end is not a number in base 36"));
    }
    named(sandbox, port, Some(Stamp { expires: expires.to_owned(), signature: last.to_owned() }))
}

/// Reads the start of a path: the route without a signature, and the signature that may follow. Whether it is one
/// depends on the port: on a public one these segments are its own.
///
/// # Errors
/// When there are no two segments with an id and a port.
pub fn from_path(path: &str) -> Result<Route, Malformed> {
    let expected = Malformed("expected /<sandbox>/<port> at the start of the path");
    let mut segments = path.strip_prefix('/').ok_or(expected)?.split('/');
    let sandbox = segments.next().ok_or(expected)?;
    let port = segments.next().and_then(port).ok_or(expected)?;
    let stamp = segments.next().zip(segments.next()).and_then(|(expires, signature)| {
        let is_stamp = is_signature(signature) && parse_base36(expires).is_some();
        is_stamp.then(|| Stamp { expires: expires.to_owned(), signature: signature.to_owned() })
    });
    named(sandbox, port, stamp)
}

fn named(sandbox: &str, port: u16, stamp: Option<Stamp>) -> Result<Route, Malformed> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if sandbox.is_empty() || sandbox.len() > 2 * MAX_LABEL || !sandbox.bytes().all(plain) {
        return Err(Malformed("this is not the id of any sandbox"));
    }
    Ok(Route { sandbox: sandbox.to_owned(), port, stamp })
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&port| port > 0 && digits)
}

fn is_signature(text: &str) -> bool {
    const _: () = assert!(MAX_BASE36 > SIGNATURE_LENGTH);
    let Some((digits, key)) = text.as_bytes().split_at_checked(SIGNATURE_LENGTH - 1) else { return false };
    let hexadecimal = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    digits.iter().all(hexadecimal)
        && matches!(key, [name] if name.is_ascii_digit() || name.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(sandbox: &str, port: u16, stamp: Option<(&str, &str)>) -> Route {
        let stamp = stamp.map(|(expires, signature)| Stamp {
            expires: expires.to_owned(),
            signature: signature.to_owned(),
        });
        Route { sandbox: sandbox.to_owned(), port, stamp }
    }

    #[test]
    fn tokens_are_read_from_their_end() {
        for (token, expected) in [
            ("s-80", route("s", 80, None)),
            (
                "0b5c1c1e-8f53-4ad2-8a52-5f2c1a0f6c11-8080",
                route("0b5c1c1e-8f53-4ad2-8a52-5f2c1a0f6c11", 8080, None),
            ),
            ("my-sandbox-8080-x2qxvk-09d19c6ea", route("my-sandbox", 8080, Some(("x2qxvk", "09d19c6ea")))),
            ("s-80-0-123456789", route("s", 80, Some(("0", "123456789")))),
        ] {
            assert_eq!(from_label(token), Ok(expected.clone()), "{token}");
            assert_eq!(expected.label().unwrap(), token);
        }
        for token in [
            "",
            "s",
            "-80",
            "s-0",
            "s-65536",
            "s-x",
            "s-80-01-123456789",
            "s-80-1-12345678",
            "80-1-123456789",
            "s/../x-80",
            "s-+80",
        ] {
            assert!(from_label(token).is_err(), "{token}");
        }
    }

    #[test]
    fn paths_begin_with_id_and_port() {
        for (path, expected) in [
            ("/s/80", route("s", 80, None)),
            ("/s/80/", route("s", 80, None)),
            ("/s/80/a/b", route("s", 80, None)),
            ("/s/80/x2qxvk/09d19c6ea/b", route("s", 80, Some(("x2qxvk", "09d19c6ea")))),
            ("/s/80/x2qxvk/09d19c6ea", route("s", 80, Some(("x2qxvk", "09d19c6ea")))),
        ] {
            assert_eq!(from_path(path), Ok(expected), "{path}");
        }
        assert_eq!(route("s", 80, Some(("1", "2"))).path(), "/s/80/1/2");
        for path in ["", "/", "/s", "/s/x", "/s/0", "s/80", "//80", "/%2e/80"] {
            assert!(from_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_label_has_its_bound_and_a_header_has_not() {
        let long = route(&"a".repeat(60), 8080, None);
        assert!(long.label().is_err());
        assert_eq!(long.token().len(), 65);
    }
}
