//! Globs.

use super::two_parts;
use crate::files::glob::Matcher;

/// A pattern in the first line, a name in the rest: plain patterns agree with the obvious algorithm, and quoting makes
/// any name a pattern for itself.
///
/// # Panics
/// When that does not hold.
pub fn glob(data: &[u8]) {
    let (pattern, name) = two_parts(data);
    let Ok(pattern) = str::from_utf8(pattern) else { return };
    if let Ok(matcher) = Matcher::new(pattern) {
        let found = matcher.matches(name);
        let plain = |byte: &u8| byte.is_ascii_graphic() && !b"[]{}\\/!^".contains(byte);
        if pattern.bytes().all(|byte| plain(&byte))
            && name.iter().all(plain)
            && !name.is_empty()
            && !pattern.contains("**")
        {
            assert_eq!(found, matches(pattern.as_bytes(), name), "{pattern:?} against {name:?}");
        }
    }
    let Ok(name) = str::from_utf8(name) else { return };
    let usable = !name.is_empty() && name.len() < 200 && !name.contains(['/', '\0']);
    if usable {
        let quoted: String = name.chars().flat_map(|c| ['\\', c]).collect();
        let matcher = Matcher::new(&quoted).expect("a quoted name is a pattern");
        assert!(matcher.matches(name.as_bytes()), "{quoted:?} does not match {name:?}");
        assert!(!matcher.matches(&[name.as_bytes(), b"x"].concat()), "{quoted:?} matches more than {name:?}");
    }
}

/// `*` and `?` by their definition: which prefixes of the name the pattern so far matches, byte by byte.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let mut reachable = vec![false; name.len() + 1];
    reachable[0] = true;
    for byte in pattern {
        reachable = step(&reachable, *byte, name);
    }
    reachable[name.len()]
}

/// Which prefixes of the name match after one more byte of the pattern.
fn step(reachable: &[bool], byte: u8, name: &[u8]) -> Vec<bool> {
    let mut next = vec![false; reachable.len()];
    for at in 0..reachable.len() {
        next[at] = match byte {
            b'*' => reachable[at] || (at > 0 && next[at - 1]),
            b'?' => at > 0 && reachable[at - 1],
            other => at > 0 && reachable[at - 1] && name[at - 1] == other,
        };
    }
    next
}
