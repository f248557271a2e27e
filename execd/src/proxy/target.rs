//! Where a request is to go.

use axum::http::Uri;

use super::api::PREFIX;

/// A port of the sandbox and what to ask of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) port: u16,
    /// Path and query, as the client wrote them.
    pub(super) uri: Uri,
}

impl Target {
    /// Takes `/proxy/{port}/rest?query` apart; the error says what is wrong with it.
    pub(super) fn of(uri: &Uri) -> Result<Self, String> {
        let rest = uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let (port, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        if port.is_empty() {
            return Err("path: no port; expected /proxy/{port}/{path}".to_owned());
        }
        let number = port.parse().ok().filter(|number| *number != 0);
        let number = number
            .ok_or_else(|| format!("path: {port:?} is not a port: expected a number from 1 to 65535"))?;
        let (mark, query) = uri.query().map_or(("", ""), |query| ("?", query));
        let uri = format!("{path}{mark}{query}").parse();
        Ok(Self { port: number, uri: uri.map_err(|error| format!("path: {error}"))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_stay_as_they_were_written() {
        for (given, port, uri) in [
            ("/proxy/80", 80, "/"),
            ("/proxy/80/", 80, "/"),
            ("/proxy/80?a=%20b&c", 80, "/?a=%20b&c"),
            ("/proxy/65535/a%2Fb/../c//d/?x=1?2", 65535, "/a%2Fb/../c//d/?x=1?2"),
            ("/proxy/80//evil.example/x", 80, "//evil.example/x"),
            ("http://sandbox/proxy/8080/a", 8080, "/a"),
        ] {
            let target = Target::of(&given.parse().unwrap()).unwrap();
            assert_eq!((target.port, target.uri.to_string()), (port, uri.to_owned()), "{given}");
        }
    }

    #[test]
    fn what_is_no_port_is_named() {
        for given in ["/proxy", "/proxy/", "/proxy//x"] {
            assert!(Target::of(&given.parse().unwrap()).unwrap_err().contains("no port"), "{given}");
        }
        for (given, named) in [
            ("/proxy/0/x", "\"0\""),
            ("/proxy/65536", "\"65536\""),
            ("/proxy/http/x", "\"http\""),
            ("/proxy/-1", "\"-1\""),
            ("/proxy/%38%30", "\"%38%30\""),
        ] {
            assert!(Target::of(&given.parse().unwrap()).unwrap_err().contains(named), "{given}");
        }
    }
}
