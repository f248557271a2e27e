//! Environment of commands.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

use crate::settings::Settings;

/// Largest environment file that is read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Longest `NAME=VALUE` that the kernel hands to a program, in bytes; longer values are left out.
pub(crate) const MAX_VALUE_BYTES: usize = 128 * 1024;

/// What the values of one file may come to, in bytes. Entries that refer to others could double with every line; those
/// beyond are left out.
pub(crate) const MAX_VALUES_BYTES: usize = 4 * 1024 * 1024;

/// An environment, by name.
pub type Environment = BTreeMap<OsString, OsString>;

/// What a command sees: the daemon's environment, under the environment file, under the request's own.
#[must_use]
pub fn for_command(settings: &Settings, own: Option<&BTreeMap<String, String>>) -> Environment {
    let mut env = settings.env().clone();
    if let Some(path) = &settings.env_file {
        apply_file(path, &mut env);
    }
    env.extend(own.into_iter().flatten().map(|(key, value)| (key.into(), value.into())));
    env
}

/// Reads the file anew each time; one that cannot be read counts as empty, as it may not have been made yet.
fn apply_file(path: &Path, env: &mut Environment) {
    let regular = fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= MAX_FILE_BYTES);
    if regular && let Ok(text) = fs::read(path) {
        apply(&text, env);
    }
}

/// Applies `KEY=VALUE` entries in order. Lines that are no entry, and `#` comments, are skipped.
///
/// A bare value lasts to the end of its line and has `$NAME` and `${NAME}` expanded. A single-quoted one is literal
/// and may span lines. A double-quoted one knows `\\`, `\"`, `\n`, `\r`, `\t` and expands as a bare one does.
pub(crate) fn apply(text: &[u8], env: &mut Environment) {
    let mut rest = text;
    let mut total = 0;
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        let Some((key, value)) = split_entry(line) else {
            rest = after;
            continue;
        };
        let offset = line.len() - value.len();
        let (value, after) = match value.first() {
            Some(b'\'') => single_quoted(&rest[offset + 1..]),
            Some(b'"') => double_quoted(&rest[offset + 1..], env),
            _ => None,
        }
        .unwrap_or_else(|| (expand(value.trim_ascii_end(), env), after));
        total += value.len();
        if total > MAX_VALUES_BYTES {
            break;
        }
        if !value.contains(&0) && value.len() < MAX_VALUE_BYTES {
            env.insert(OsString::from_vec(key.to_vec()), OsString::from_vec(value));
        }
        rest = after;
    }
}

fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', text) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[]),
    }
}

/// Key and raw value of a line that is an entry.
fn split_entry(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr::memchr(b'=', line)?;
    let key = line[..equals].trim_ascii();
    let sound =
        !key.is_empty() && !key.iter().any(|byte| byte.is_ascii_whitespace() || matches!(byte, b'#' | 0));
    sound.then(|| (key, line[equals + 1..].trim_ascii_start()))
}

/// The value up to the closing quote, and the lines after it; `None` when there is no closing quote at a line's end.
fn single_quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let end = memchr::memchr(b'\'', text)?;
    ends_line(&text[end + 1..]).map(|after| (text[..end].to_vec(), after))
}

fn double_quoted<'a>(text: &'a [u8], env: &Environment) -> Option<(Vec<u8>, &'a [u8])> {
    let mut value = Vec::new();
    let mut at = 0;
    loop {
        match (*text.get(at)?, text.get(at + 1)) {
            (b'"', _) => return ends_line(&text[at + 1..]).map(|after| (value, after)),
            (b'\\', Some(escaped @ (b'\\' | b'"' | b'$'))) => value.push(*escaped),
            (b'\\', Some(b'n')) => value.push(b'\n'),
            (b'\\', Some(b'r')) => value.push(b'\r'),
            (b'\\', Some(b't')) => value.push(b'\t'),
            (b'$', _) => {
                let (expanded, used) = variable(&text[at..], env);
                extend(&mut value, &expanded);
                at += used;
                continue;
            }
            (byte, _) => {
                value.push(byte);
                at += 1;
                continue;
            }
        }
        at += 2;
    }
}

/// What follows the line when only blanks or a comment are left on it.
fn ends_line(text: &[u8]) -> Option<&[u8]> {
    let (line, after) = split_line(text);
    let left = line.trim_ascii();
    (left.is_empty() || left.starts_with(b"#")).then_some(after)
}

fn expand(text: &[u8], env: &Environment) -> Vec<u8> {
    let mut value = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'$', rest) {
        value.extend_from_slice(&rest[..at]);
        let (expanded, used) = variable(&rest[at..], env);
        extend(&mut value, &expanded);
        rest = &rest[at + used..];
    }
    value.extend_from_slice(rest);
    value
}

/// Appends what a reference stands for. A value that is too long already grows no further than its own text makes it.
fn extend(value: &mut Vec<u8>, expanded: &[u8]) {
    if value.len() < MAX_VALUE_BYTES {
        value.extend_from_slice(expanded);
    }
}

/// The value of the reference that `text` begins with, empty when undefined, and its length; `$` itself when it is
/// no reference.
fn variable(text: &[u8], env: &Environment) -> (Vec<u8>, usize) {
    match super::expand::reference(text) {
        Some((name, used)) => {
            (env.get(OsStr::from_bytes(name)).map(|v| v.as_bytes().to_vec()).unwrap_or_default(), used)
        }
        None => (b"$".to_vec(), 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> BTreeMap<String, String> {
        let mut env = Environment::from([("HOME".into(), "/root".into())]);
        apply(text.as_bytes(), &mut env);
        env.remove(OsStr::new("HOME"));
        env.into_iter().map(|(k, v)| (k.into_string().unwrap(), v.into_string().unwrap())).collect()
    }

    fn one(text: &str) -> String {
        let mut entries = parsed(text);
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries.remove("K").unwrap()
    }

    #[test]
    fn bare_values_expand_and_end_with_the_line() {
        assert_eq!(one("K=a b # c\n"), "a b # c");
        assert_eq!(one("K = $HOME/x:${HOME}:$NOPE:$ "), "/root/x:/root::$");
        assert_eq!(one("K=a=b\r\n"), "a=b");
        assert_eq!(one("K="), "");
        assert_eq!(parsed("A=1\nB=$A$A")["B"], "11");
    }

    #[test]
    fn quoted_values() {
        assert_eq!(one("K='$HOME \"\\n'"), "$HOME \"\\n");
        assert_eq!(one("K='two\nlines'\n"), "two\nlines");
        assert_eq!(one(r#"K="a\\b\"c\n\r\t$HOME\q" # note"#), "a\\b\"c\n\r\t/root\\q");
        assert_eq!(one(r#"K="\$HOME""#), "$HOME");
        assert_eq!(one("K='open"), "'open", "an unclosed quote is a bare value");
        assert_eq!(one("K='a'b"), "'a'b");
    }

    #[test]
    fn malformed_lines_are_skipped() {
        assert_eq!(one("no entry\n#X=1\n=empty\nbad key=1\nK=1\n\n"), "1");
    }

    #[test]
    fn values_that_double_line_by_line_stay_small() {
        let doubling = "A=x\n".to_owned() + &"A=$A$A$A$A\n".repeat(200);
        let env = parsed(&doubling);
        assert!(env["A"].len() < MAX_VALUE_BYTES);
        let many: String = (0..20_000).map(|n| format!("V{n}=$A\n")).collect();
        let env = parsed(&format!("A={}\n{many}", "x".repeat(100_000)));
        assert!(env.values().map(String::len).sum::<usize>() <= MAX_VALUES_BYTES);
        assert!(env.len() > 30, "what fits is kept");
    }

    proptest! {
        #[test]
        fn both_written_forms_read_back(value in "[^\0']*", other in "[^\0$]*") {
            prop_assert_eq!(one(&format!("K='{value}'\n")), value);
            let escaped = other.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
            prop_assert_eq!(one(&format!("K=\"{escaped}\"\n")), other);
        }

        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            apply(&bytes, &mut Environment::new());
        }
    }
}
