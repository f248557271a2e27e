//! Paths as requests write them: `~`, `$NAME` and `${NAME}` are expanded.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use super::actor::Actor;
use super::error::FileError;
use crate::command::expand::MAX_PATH_BYTES;
use crate::settings::Settings;

/// The absolute path that `raw` means in a sandbox with these settings.
///
/// # Errors
/// When it is empty, has a NUL byte, or names an undefined variable.
pub(crate) fn resolve(raw: &[u8], settings: &Settings) -> Result<PathBuf, FileError> {
    resolve_for(&Actor::own(), raw, settings)
}

/// The same for whoever works on it: `~` is that one's home directory.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn resolve_for(actor: &Actor, raw: &[u8], settings: &Settings) -> Result<PathBuf, FileError> {
    let variable = |name: &[u8]| settings.env().get(OsStr::from_bytes(name)).cloned();
    let home = actor.home().unwrap_or(settings.home());
    let expanded = expand(raw, variable, home)?;
    Ok(clean(&settings.cwd.join(expanded)))
}

/// The path without `.`, `..` and doubled slashes, by its text alone.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

pub(crate) fn expand(
    raw: &[u8],
    variable: impl Fn(&[u8]) -> Option<OsString>,
    home: &Path,
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
        out.extend_from_slice(home.as_os_str().as_bytes());
        rest = &rest[1..];
    }
    while let Some(at) = memchr::memchr(b'$', rest) {
        out.extend_from_slice(&rest[..at]);
        let (name, after) = variable_name(&rest[at + 1..]).ok_or_else(|| {
            FileError::Invalid(format!("path {:?}: \"${{\" has no matching \"}}\"", shown()))
        })?;
        if name.is_empty() {
            out.push(b'$');
        } else {
            let value = variable(name).ok_or_else(|| {
                let name = String::from_utf8_lossy(name);
                FileError::Invalid(format!("path {:?}: variable {name:?} is not defined", shown()))
            })?;
            // A path that is too long already grows no further than its own text makes it.
            if out.len() < MAX_PATH_BYTES {
                out.extend_from_slice(value.as_bytes());
            }
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
    let is_name =
        |(i, b): (usize, &u8)| *b == b'_' || b.is_ascii_alphabetic() || (i > 0 && b.is_ascii_digit());
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
        expand(raw.as_bytes(), variable, Path::new("/home/u"))
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
    fn cleans_by_text() {
        for (path, expected) in [("/a/./b//c/", "/a/b/c"), ("/a/../../b", "/b"), ("/..", "/"), ("/", "/")] {
            assert_eq!(clean(Path::new(path)), Path::new(expected), "{path}");
            assert_eq!(clean(Path::new(path)).as_os_str(), expected);
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
            let _ = expand(&raw, |_| Some("v".into()), Path::new("/"));
        }
    }
}
