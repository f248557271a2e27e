//! The script that a session's shell runs, and texts as it takes them.

use std::{collections::BTreeMap, path::Path};

use super::SessionError;

/// Longest text of one run: the shell reads it byte by byte, as nothing behind it may be taken away.
pub(super) const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// Defines what [`MAIN`] uses; a file named `setup` in the session's directory.
pub(super) const SETUP: &str = include_str!("setup.sh");

/// Evaluates one text after the other. On one line, so that line numbers in messages are those of the user's text.
/// The control channel is closed while a text is evaluated; the outer loop survives a stray `break`.
pub(super) const MAIN: &str = r#". "$1/setup"; while :; do while { __sandkeep_next $?; } 2>/dev/null; do eval "$__sandkeep_text" 3>&-; done; done"#;

/// The signal upon which the shell leaves what it is doing and ends, keeping its state; see `setup.sh`.
pub(super) const INTERRUPT_SIGNAL: i32 = 64;

/// What the shell is to evaluate for a run. POSIX shells other than bash keep the variables afterwards.
pub(super) fn compose(text: &str, cwd: Option<&Path>, envs: &BTreeMap<String, String>) -> String {
    if cwd.is_none() && envs.is_empty() {
        return text.to_owned();
    }
    let mut whole = String::with_capacity(text.len() + 64);
    if let Some(cwd) = cwd {
        whole += &format!("cd -- {} && ", quote(&cwd.to_string_lossy()));
    }
    for (name, value) in envs {
        whole += &format!("{name}={} ", quote(value));
    }
    whole += "eval ";
    whole += &quote(text);
    whole
}

/// What the shell reads for a run: its number and its text, as assignments on one line.
pub(super) fn one_line(number: u64, text: &str) -> String {
    let text = quote(text).replace('\n', r#"'"$__sandkeep_nl"'"#);
    format!("__sandkeep_run={number} __sandkeep_text={text}\n")
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Refuses what a shell cannot be given.
pub(crate) fn check(text: &str, envs: &BTreeMap<String, String>) -> Result<(), SessionError> {
    let invalid = |message: String| Err(SessionError::Invalid(message));
    if text.trim().is_empty() {
        return invalid("command is blank".to_owned());
    }
    if text.len() > MAX_TEXT_BYTES {
        return invalid(format!("command is longer than {MAX_TEXT_BYTES} bytes"));
    }
    if text.contains('\0') {
        return invalid("command contains a NUL byte".to_owned());
    }
    for (name, value) in envs {
        let letter = |c: char| c == '_' || c.is_ascii_alphabetic();
        if !name.starts_with(letter) || !name.chars().all(|c| letter(c) || c.is_ascii_digit()) {
            return invalid(format!("envs: {name:?} is not a variable name"));
        }
        if value.contains('\0') {
            return invalid(format!("envs: the value of {name} contains a NUL byte"));
        }
    }
    let total = envs.values().map(String::len).sum::<usize>();
    if total > MAX_TEXT_BYTES {
        return invalid(format!("envs are longer than {MAX_TEXT_BYTES} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn evaluated(line: &str) -> String {
        let script =
            format!("__sandkeep_nl='\n'; {line} printf '%s:%s' \"$__sandkeep_run\" \"$__sandkeep_text\"");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_comes_back_from_one_line(text in "[^\0]{0,80}") {
            let line = one_line(17, &text);
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert_eq!(evaluated(&line), format!("17:{text}"));
        }
    }

    #[test]
    fn directory_and_variables_come_first() {
        let envs = BTreeMap::from([("A".to_owned(), "it's".to_owned())]);
        assert_eq!(compose("pwd", None, &BTreeMap::new()), "pwd");
        assert_eq!(
            compose("echo 'x'", Some(Path::new("/a b")), &envs),
            r"cd -- '/a b' && A='it'\''s' eval 'echo '\''x'\'''"
        );
    }

    #[test]
    fn what_a_shell_cannot_take_is_refused() {
        let none = BTreeMap::new();
        let envs = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert!(check("true", &envs("_A1", "x")).is_ok());
        assert!(check(" \n", &none).is_err());
        assert!(check("a\0", &none).is_err());
        assert!(check(&"x".repeat(MAX_TEXT_BYTES + 1), &none).is_err());
        for name in ["", "1A", "A-B", "A=B", "É", "a;b"] {
            assert!(
                check("true", &envs(name, "x")).unwrap_err().to_string().contains("variable name"),
                "{name}"
            );
        }
        assert!(check("true", &envs("A", "\0")).is_err());
    }
}
