//! The program a sandbox runs.

use crate::api::error::ApiError;

/// The kernel refuses a longer argument (MAX_ARG_STRLEN, its terminator included).
const MAX_ARGUMENT: usize = 128 * 1024 - 1;

/// The program of a sandbox that starts from a snapshot and names none.
const IDLE: [&str; 3] = ["tail", "-f", "/dev/null"];

pub(super) fn idle() -> Vec<String> {
    IDLE.map(str::to_owned).to_vec()
}

/// A non-empty list; a single text with spaces is split as a shell would.
pub(super) fn check(entrypoint: Option<Vec<String>>) -> Result<Vec<String>, ApiError> {
    let words = entrypoint.ok_or_else(|| ApiError::invalid("entrypoint", "is required with image"))?;
    for (index, word) in words.iter().enumerate() {
        let place = format!("entrypoint[{index}]");
        if word.contains('\0') {
            return Err(ApiError::invalid(place, "must not contain a NUL character"));
        }
        if word.len() > MAX_ARGUMENT {
            let problem = format!("must be at most {MAX_ARGUMENT} bytes, has {}", word.len());
            return Err(ApiError::invalid(place, problem));
        }
    }
    let words = match words.as_slice() {
        [line] if line.contains(char::is_whitespace) => {
            shlex::split(line).ok_or_else(|| ApiError::invalid("entrypoint[0]", "has an unclosed quote"))?
        }
        _ => words,
    };
    match words.first() {
        Some(program) if !program.trim().is_empty() => Ok(words),
        _ => Err(ApiError::invalid("entrypoint", "must name a program")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(entrypoint: &[&str]) -> Result<Vec<String>, ApiError> {
        check(Some(entrypoint.iter().map(|&word| word.to_owned()).collect()))
    }

    #[test]
    fn one_line_is_split_like_a_shell_would() {
        assert_eq!(words(&["sh -c 'echo a  b'"]).unwrap(), ["sh", "-c", "echo a  b"]);
        assert_eq!(words(&["/bin/true"]).unwrap(), ["/bin/true"]);
        assert_eq!(words(&["echo", "a b"]).unwrap(), ["echo", "a b"]);
        assert!(words(&["sh -c 'open"]).is_err());
    }

    #[test]
    fn nothing_to_run_is_refused() {
        for entrypoint in [&[][..], &[""], &[" "], &["", "x"]] {
            assert!(words(entrypoint).is_err(), "{entrypoint:?}");
        }
        assert!(words(&["x", &"y".repeat(MAX_ARGUMENT + 1)]).is_err());
    }
}
