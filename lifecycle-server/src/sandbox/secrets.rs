//! Which variables are secrets, and how they are kept out of what people read.

use crate::runtime::RuntimeError;

/// A variable whose name contains one of these holds a secret.
const MARKS: [&str; 4] = ["SECRET", "TOKEN", "PASSWORD", "KEY"];
/// What is shown instead of one.
pub(crate) const MASK: &str = "***";
/// Shorter values are part of ordinary words: hiding them would spoil the text and protect nothing.
const SHORTEST: usize = 4;

/// Whether a variable of this name is kept secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    MARKS.iter().any(|mark| name.contains(mark))
}

/// The text without the values of secret variables.
pub(crate) fn masked<'a>(text: &str, env: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let mut values: Vec<&str> = env
        .into_iter()
        .filter(|(name, value)| is_secret(name) && value.len() >= SHORTEST)
        .map(|(_, value)| value.as_str())
        .collect();
    // A value that contains another one goes first, or its rest would stay.
    values.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
    values.into_iter().fold(text.to_owned(), |text, value| text.replace(value, MASK))
}

/// A failed start quotes the program's output, and that may quote its environment.
pub(super) fn hide(error: RuntimeError, env: &[(String, String)]) -> RuntimeError {
    let pairs = || env.iter().map(|(name, value)| (name, value));
    match error {
        RuntimeError::StartFailed(text) => RuntimeError::StartFailed(masked(&text, pairs())),
        RuntimeError::Invalid(text) => RuntimeError::Invalid(masked(&text, pairs())),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_what_is_secret() {
        for name in ["API_KEY", "my_secret", "GithubToken", "PGPASSWORD"] {
            assert!(is_secret(name), "{name}");
        }
        assert!(!is_secret("PATH") && !is_secret(""));
    }

    #[test]
    fn failed_starts_keep_the_secrets_of_their_programs() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let env =
            [pair("A_TOKEN", "abcd"), pair("B_KEY", "abcdefgh"), pair("HOME", "/root"), pair("KEY", "x")];
        let error = RuntimeError::StartFailed("exit 1: abcdefgh abcd /root x".to_owned());
        assert_eq!(hide(error, &env).to_string(), "exit 1: *** *** /root x");
    }
}
