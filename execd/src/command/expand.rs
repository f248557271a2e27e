//! `~`, `$NAME` and `${NAME}` in working directories.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use super::env::Environment;

/// The variable name that a text beginning with `$` refers to and the length of the reference; `None` when the `$`
/// begins none.
pub(super) fn reference(text: &[u8]) -> Option<(&[u8], usize)> {
    let after = text.strip_prefix(b"$")?;
    if let Some(inner) = after.strip_prefix(b"{") {
        let end = memchr::memchr(b'}', inner).filter(|end| *end > 0)?;
        return Some((&inner[..end], end + 3));
    }
    let letter = |byte: u8| byte == b'_' || byte.is_ascii_alphabetic();
    if !after.first().copied().is_some_and(letter) {
        return None;
    }
    let end = after.iter().position(|&byte| !letter(byte) && !byte.is_ascii_digit()).unwrap_or(after.len());
    Some((&after[..end], end + 1))
}

/// Longest path the kernel takes, in bytes. An expansion that is longer grows no further than its own text makes it.
pub(crate) const MAX_PATH_BYTES: usize = 4096;

/// Expands a working directory; an undefined variable is an error that names it.
pub(crate) fn directory(text: &str, env: &Environment, home: &Path) -> Result<PathBuf, String> {
    let mut path = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    if rest == b"~" || rest.starts_with(b"~/") {
        path.extend_from_slice(home.as_os_str().as_bytes());
        rest = &rest[1..];
    }
    while let Some(at) = memchr::memchr(b'$', rest) {
        path.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let Some((name, used)) = reference(rest) else {
            path.push(b'$');
            rest = &rest[1..];
            continue;
        };
        let value = env.get(OsStr::from_bytes(name));
        let value = value.ok_or_else(|| String::from_utf8_lossy(name).into_owned())?;
        if path.len() < MAX_PATH_BYTES {
            path.extend_from_slice(value.as_bytes());
        }
        rest = &rest[used..];
    }
    path.extend_from_slice(rest);
    Ok(PathBuf::from(OsString::from_vec(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let env = Environment::from([("A".into(), "/a".into()), ("A_1".into(), "one".into())]);
        directory(text, &env, Path::new("/home/me")).map(|path| path.into_os_string().into_string().unwrap())
    }

    #[test]
    fn home_and_variables() {
        assert_eq!(expanded("~").unwrap(), "/home/me");
        assert_eq!(expanded("~/x").unwrap(), "/home/me/x");
        assert_eq!(expanded("~other").unwrap(), "~other");
        assert_eq!(expanded("$A/$A_1/${A}b").unwrap(), "/a/one//ab");
        assert_eq!(expanded("a$/${}/$1/${").unwrap(), "a$/${}/$1/${");
        assert_eq!(expanded("/x/$GONE/y").unwrap_err(), "GONE");
    }
}
