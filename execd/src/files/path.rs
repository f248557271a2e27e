//! Paths as requests write them: `~`, `$NAME` and `${NAME}` are expanded.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::accounts::Accounts;
use super::error::FileError;

/// The absolute path that `raw` means for this process.
///
/// # Errors
/// When it is empty, has a NUL byte, or names an undefined variable.
pub(crate) fn resolve(raw: &[u8]) -> Result<PathBuf, FileError> {
    let expanded = expand(raw, |name| std::env::var_os(OsStr::from_bytes(name)), home)?;
    std::path::absolute(&expanded).map_err(|error| FileError::io(&expanded, error))
}

/// Home directory of the daemon's user.
fn home() -> OsString {
    std::env::var_os("HOME").filter(|home| !home.is_empty()).unwrap_or_else(|| {
        let uid = rustix::process::geteuid().as_raw();
        Accounts::read().home(uid).unwrap_or_else(|| "/".into())
    })
}

fn expand(
    raw: &[u8],
    variable: impl Fn(&[u8]) -> Option<OsString>,
    home: impl Fn() -> OsString,
) -> Result<PathBuf, FileError> {
    let shown = || String::from_utf8_lossy(raw).into_owned();
    if raw.is_empty() {
        return Err(FileError::Invalid("the path is empty".to_owned()));
    }
    if raw.contains(&0) {
        return Err(FileError::Invalid(format!("path {:?} has a NUL byte", shown())));
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    if rest == b"~" || rest.starts_with(b"~/") {
        out.extend_from_slice(home().as_bytes());
        rest = &rest[1..];
    }
    while let Some(at) = memchr::memchr(b'$', rest) {
        out.extend_from_slice(&rest[..at]);
        let (name, after) = variable_name(&rest[at + 1..])
            .ok_or_else(|| FileError::Invalid(format!("path {:?}: \"${{\" has no matching \"}}\"", shown())))?;
        if name.is_empty() {
            out.push(b'$');
        } else {
            let value = variable(name).ok_or_else(|| {
                let name = String::from_utf8_lossy(name);
                FileError::Invalid(format!("path {:?}: variable {name:?} is not defined", shown()))
            })?;
            out.extend_from_slice(value.as_bytes());
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    Ok(PathBuf::from(OsString::from_vec(out)))
}

/// The name after a `$` and what follows it: no name when the `$` stands for itself, `None` when a brace is not closed.
fn variable_name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(inner) = text.strip_prefix(b"{") {
        let end = memchr::memchr(b'}', inner)?;
        return Some((&inner[..end], &inner[end + 1..]));
    }
    let is_name = |(i, b): (usize, &u8)| *b == b'_' || b.is_ascii_alphabetic() || (i > 0 && b.is_ascii_digit());
    let end = text.iter().enumerate().position(|pair| !is_name(pair)).unwrap_or(text.len());
    Some(text.split_at(end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(raw: &str) -> Result<String, String> {
        let variable = |name: &[u8]| match name {
            b"A" => Some("/a".into()),
            b"A_1" => Some("one".into()),
            _ => None,
        };
        expand(raw.as_bytes(), variable, || "/home/u".into())
            .map(|path| path.to_string_lossy().into_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn expands_variables_and_home() {
        for (raw, expected) in [
            ("/x/y", "/x/y"),
            ("~", "/home/u"),
            ("~/x", "/home/u/x"),
            ("~x", "~x"),
            ("/x/~", "/x/~"),
            ("$A/x", "/a/x"),
            ("${A}x", "/ax"),
            ("/$A_1/", "/one/"),
            ("/$A-1", "//a-1"),
            ("/cost$", "/cost$"),
            ("/$1", "/$1"),
        ] {
            assert_eq!(of(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_expand() {
        assert!(of("/x/$NOPE").unwrap_err().contains("\"NOPE\" is not defined"));
        assert!(of("/${A").unwrap_err().contains("no matching"));
        assert!(of("").is_err());
        assert!(of("/a\0b").unwrap_err().contains("NUL"));
    }

    proptest! {
        #[test]
        fn leaves_plain_paths_alone(raw in "/[^$~\0]{0,40}") {
            prop_assert_eq!(of(&raw), Ok(raw));
        }

        #[test]
        fn never_panics(raw in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = expand(&raw, |_| Some("v".into()), || "/".into());
        }
    }
}
