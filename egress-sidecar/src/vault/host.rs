//! The hosts a binding is for.

use super::VaultError;

/// Longest domain name.
const MAX_NAME: usize = 253;
/// Longest part of one.
const MAX_LABEL: usize = 63;

/// A full domain name, or all names below one; lower case, without a dot at the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    Exact(String),
    /// `*.` and this name.
    Below(String),
}

impl HostPattern {
    /// Reads `name.example` or `*.name.example`.
    ///
    /// # Errors
    /// If it is anything else: an address, a URL, a name without a dot, a wildcard elsewhere.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let lower = text.trim().to_ascii_lowercase();
        let (below, name) = match lower.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, lower.as_str()),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        if !is_domain(name) {
            return Err(VaultError::invalid(format!(
                "host {text:?} is neither a full domain name nor `*.` and one"
            )));
        }
        Ok(if below { Self::Below(name.to_owned()) } else { Self::Exact(name.to_owned()) })
    }

    /// The text it was read from, normalised.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Exact(name) => name.clone(),
            Self::Below(name) => format!("*.{name}"),
        }
    }

    /// A name that is meant: others are judged alike, but for those that have rules of their own.
    #[must_use]
    pub fn example(&self) -> String {
        match self {
            Self::Exact(name) => name.clone(),
            Self::Below(parent) => format!("any-name.{parent}"),
        }
    }

    /// Whether a name of this pattern can also be one of the other with the same precedence.
    pub(super) fn clashes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(two)) => one == two,
            (Self::Below(one), Self::Below(two)) => one == two || is_below(one, two) || is_below(two, one),
            // The exact one wins.
            _ => false,
        }
    }

    /// Whether `name` (lower case, no dot at the end) is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(own) => own == name,
            Self::Below(own) => is_below(name, own),
        }
    }
}

fn is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

fn is_domain(name: &str) -> bool {
    let labels = || name.split('.');
    let last_is_number =
        labels().next_back().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= MAX_NAME && labels().count() >= 2 && labels().all(is_label) && !last_is_number
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_names_are_hosts() {
        assert_eq!(
            HostPattern::parse(" API.Example.com. "),
            Ok(HostPattern::Exact("api.example.com".into()))
        );
        assert_eq!(HostPattern::parse("*.example.com"), Ok(HostPattern::Below("example.com".into())));
        for wrong in [
            "",
            "*",
            "localhost",
            "1.2.3.4",
            "::1",
            "[::1]",
            "https://a.example",
            "a.example/x",
            "a.*.example",
            "*.*.example",
            "a..example",
            ".example.com",
            "*.com",
            "a.example:443",
            "-a.example",
            "a b.example",
        ] {
            assert!(HostPattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wildcard_is_for_what_lies_below_at_any_depth() {
        let below = HostPattern::Below("example.com".into());
        assert!(below.matches("a.example.com") && below.matches("a.b.example.com"));
        assert!(
            !below.matches("example.com")
                && !below.matches("badexample.com")
                && !below.matches(".example.com")
        );
    }

    #[test]
    fn nested_wildcards_clash_and_exact_names_win() {
        let parse = |text| HostPattern::parse(text).unwrap();
        assert!(parse("*.example.com").clashes(&parse("*.a.example.com")));
        assert!(parse("a.example.com").clashes(&parse("A.example.com")));
        assert!(!parse("*.example.com").clashes(&parse("a.example.com")));
        assert!(!parse("*.example.com").clashes(&parse("*.badexample.com")));
    }
}
