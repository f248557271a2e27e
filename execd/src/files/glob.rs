//! Globs on base names.

use globset::{Candidate, GlobBuilder, GlobMatcher};

use super::error::FileError;

/// Longest pattern taken, in bytes.
const MAX_PATTERN: usize = 4096;

/// A compiled glob.
pub(crate) enum Matcher {
    /// Every name.
    All,
    /// Names that match.
    Glob(Box<GlobMatcher>),
}

impl Matcher {
    /// Compiles `pattern`: `*`, `?`, `[a-z]`, `[!a]`, `[^a]`, `{a,b}`, `**`, and a backslash to quote.
    ///
    /// # Errors
    /// When the pattern is malformed.
    pub(crate) fn new(pattern: &str) -> Result<Self, FileError> {
        if matches!(pattern, "*" | "**" | "**/*") {
            return Ok(Self::All);
        }
        if pattern.len() > MAX_PATTERN {
            return Err(FileError::Invalid(format!("the pattern is longer than {MAX_PATTERN} bytes")));
        }
        let glob = GlobBuilder::new(pattern).literal_separator(true).empty_alternates(true).build();
        let glob =
            glob.map_err(|error| FileError::Invalid(format!("pattern {pattern:?}: {}", error.kind())))?;
        Ok(Self::Glob(Box::new(glob.compile_matcher())))
    }

    /// Whether a base name matches.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Glob(glob) => glob.is_match_candidate(&Candidate::from_bytes(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &[u8]) -> bool {
        Matcher::new(pattern).unwrap().matches(name)
    }

    #[test]
    fn syntax() {
        for (pattern, yes, no) in [
            ("*.py", "a.py", "a.pyc"),
            ("*", ".hidden", ""),
            ("**", "anything", ""),
            ("**/*.py", "a.py", "a.rs"),
            ("?.txt", "a.txt", "ab.txt"),
            ("[a-c]1", "b1", "d1"),
            ("[!a]1", "b1", "a1"),
            ("[^a]1", "b1", "a1"),
            ("*.{rs,py}", "x.rs", "x.go"),
            ("x{,.bak}", "x.bak", "x.old"),
            (r"\*", "*", "x"),
            ("A", "A", "a"),
        ] {
            assert!(matches(pattern, yes.as_bytes()), "{pattern} should match {yes}");
            assert!(no.is_empty() || !matches(pattern, no.as_bytes()), "{pattern} should not match {no}");
        }
        assert!(matches("a*", b"a\xff\xfe"), "names need not be UTF-8");
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for bad in ["[", "[a", "{a", "a}", "[z-a]", "\\"] {
            assert!(matches!(Matcher::new(bad), Err(FileError::Invalid(_))), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn quoted_text_matches_itself(name in "[a-z.*?{}\\[\\]!-]{1,20}") {
            let quoted: String = name.chars().flat_map(|c| ['\\', c]).collect();
            prop_assert!(matches(&quoted, name.as_bytes()));
        }

        #[test]
        fn never_panics(pattern in "\\PC{0,30}", name in proptest::collection::vec(any::<u8>(), 0..30)) {
            if let Ok(matcher) = Matcher::new(&pattern) {
                matcher.matches(&name);
            }
        }
    }
}
