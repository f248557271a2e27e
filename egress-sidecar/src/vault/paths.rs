//! The paths a binding is for.

use super::VaultError;

/// A path, or the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathPattern {
    Exact(String),
    /// Everything that begins so.
    Prefix(String),
}

impl PathPattern {
    pub(super) fn parse(text: &str) -> Result<Self, VaultError> {
        let text = text.trim();
        if !text.starts_with('/') {
            return Err(VaultError::invalid(format!("path {text:?} does not begin with `/`")));
        }
        if text.contains(['?', '#']) {
            return Err(VaultError::invalid(format!("path {text:?} has a query or a fragment")));
        }
        Ok(match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        })
    }

    /// Whether every path is meant.
    pub(super) fn is_everything(&self) -> bool {
        matches!(self, Self::Prefix(prefix) if prefix == "/")
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Exact(path) => path.clone(),
            Self::Prefix(prefix) => format!("{prefix}*"),
        }
    }

    /// Whether a path can be meant by both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(two)) => one == two,
            (Self::Prefix(prefix), Self::Exact(path)) | (Self::Exact(path), Self::Prefix(prefix)) => {
                path.starts_with(prefix.as_str())
            }
            (Self::Prefix(one), Self::Prefix(two)) => {
                one.starts_with(two.as_str()) || two.starts_with(one.as_str())
            }
        }
    }

    /// Whether this path of a request is meant. A path that a server could read as another one is only meant by `/*`.
    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Prefix(prefix) if prefix == "/" => true,
            _ if is_ambiguous(path) => false,
            Self::Exact(own) => own == path,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
        }
    }
}

/// Whether a server could take the path for another: dot segments and separators, also encoded ones.
fn is_ambiguous(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let dots = lower.replace("%2e", ".");
    lower.contains('\\')
        || lower.contains("%2f")
        || lower.contains("%5c")
        || lower.contains("%25")
        || lower.contains("%00")
        || dots.contains("//")
        // A server may cut parameters off a segment (`/..;x/`).
        || dots.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_at_the_end_means_a_prefix() {
        let prefix = PathPattern::parse("/v1/*").unwrap();
        assert!(
            prefix.matches("/v1/")
                && prefix.matches("/v1/a/b")
                && !prefix.matches("/v1")
                && !prefix.matches("/v2/")
        );
        let exact = PathPattern::parse("/v1").unwrap();
        assert!(exact.matches("/v1") && !exact.matches("/v1/"));
        assert!(PathPattern::parse("v1").is_err() && PathPattern::parse("/v1?a").is_err());
    }

    #[test]
    fn paths_that_lead_elsewhere_do_not_match() {
        let prefix = PathPattern::parse("/v1/*").unwrap();
        for path in [
            "/v1/../admin",
            "/v1/%2e%2e/admin",
            "/v1/.%2E/admin",
            "/v1/..%2fadmin",
            "/v1/..\\admin",
            "/v1/./x",
            "/v1/%252e%252e/admin",
            "/v1//admin",
            "/v1/..;x/admin",
            "/v1/..",
        ] {
            assert!(!prefix.matches(path), "{path}");
            assert!(PathPattern::parse("/*").unwrap().matches(path), "{path}");
        }
        assert!(prefix.matches("/v1/a..b/.well-known/...") && prefix.matches("/v1/%20"));
    }

    #[test]
    fn overlaps_are_seen() {
        let parse = |text| PathPattern::parse(text).unwrap();
        assert!(parse("/*").overlaps(&parse("/v1")) && parse("/v1/*").overlaps(&parse("/v1/a/*")));
        assert!(!parse("/v1/*").overlaps(&parse("/v2/*")) && !parse("/v1").overlaps(&parse("/v1/")));
    }
}
