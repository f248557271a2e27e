//! Metadata: keys and values as Kubernetes labels have them.

use std::collections::BTreeMap;

use crate::{
    api::error::{ApiError, Code},
    sandbox,
};

const MAX_NAME: usize = 63;
const MAX_PREFIX: usize = 253;
const MAX_VALUE: usize = 63;
/// Keys under this prefix belong to the platform.
const RESERVED_PREFIX: &str = "opensandbox.io";

/// Metadata of a create request.
pub(super) fn create(metadata: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ApiError> {
    for (key, value) in &metadata {
        check(key, value).map_err(|problem| ApiError::new(Code::InvalidMetadataLabel, problem))?;
    }
    sandbox::check_metadata(&metadata)
        .map_err(|problem| ApiError::new(Code::InvalidMetadataLabel, problem.to_string()))?;
    Ok(metadata)
}

/// A metadata patch. Keys that are removed need only not be reserved: whatever is there may be removed.
pub(crate) fn patch(
    patch: BTreeMap<String, Option<String>>,
) -> Result<BTreeMap<String, Option<String>>, ApiError> {
    for (key, value) in &patch {
        let checked = match value {
            Some(value) => check(key, value),
            None => check_not_reserved(key),
        };
        checked.map_err(|problem| ApiError::new(Code::InvalidPatchLabel, problem))?;
    }
    Ok(patch)
}

fn check(key: &str, value: &str) -> Result<(), String> {
    check_not_reserved(key)?;
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| !is_subdomain(prefix)) {
        return Err(format!(
            "metadata: key {}: what comes before the slash must be a DNS name of at most {MAX_PREFIX} characters",
            shown(key)
        ));
    }
    if name.is_empty() || !is_word(name, MAX_NAME) {
        return Err(format!(
            "metadata: key {}: must be 1 to {MAX_NAME} letters, digits, '-', '_' or '.', with a letter or digit at \
             both ends",
            shown(key)
        ));
    }
    if !value.is_empty() && !is_word(value, MAX_VALUE) {
        return Err(format!(
            "metadata.{key}: value {} must be empty or at most {MAX_VALUE} letters, digits, '-', '_' or '.', with a \
             letter or digit at both ends",
            shown(value)
        ));
    }
    Ok(())
}

fn check_not_reserved(key: &str) -> Result<(), String> {
    match key.split_once('/') {
        Some((RESERVED_PREFIX, _)) => {
            Err(format!("metadata: key {}: {RESERVED_PREFIX}/ is reserved for the platform", shown(key)))
        }
        _ => Ok(()),
    }
}

fn is_word(text: &str, longest: usize) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= longest
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

fn is_subdomain(text: &str) -> bool {
    let is_label = |label: &str| {
        is_word(label, MAX_NAME)
            && label.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit() || byte.is_ascii_lowercase())
    };
    text.len() <= MAX_PREFIX && text.split('.').all(is_label)
}

/// Quoted, and cut where it would fill the message.
fn shown(text: &str) -> String {
    const MAX_SHOWN: usize = 80;
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{:?}… ({} bytes)", &text[..end], text.len()),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_valid(key: &str, value: &str) -> bool {
        create(BTreeMap::from([(key.to_owned(), value.to_owned())])).is_ok()
    }

    #[test]
    fn keys() {
        for key in
            ["a", "A-b_c.d", "example.com/name", &"k".repeat(63), &format!("{}/k", vec!["a"; 100].join("."))]
        {
            assert!(is_valid(key, ""), "{key}");
        }
        let long_prefix = format!("{}/k", vec!["abc"; 64].join("."));
        for key in [
            "",
            "-a",
            "a-",
            "a b",
            "ü",
            "/a",
            "a/",
            "a/b/c",
            "Ex.com/a",
            "a..b/c",
            &"k".repeat(64),
            &long_prefix,
        ] {
            assert!(!is_valid(key, ""), "{key}");
        }
    }

    #[test]
    fn values() {
        for value in ["", "v", "1.2_3-4", &"v".repeat(63)] {
            assert!(is_valid("k", value), "{value}");
        }
        for value in ["-v", "v.", "a b", "é", &"v".repeat(64)] {
            assert!(!is_valid("k", value), "{value}");
        }
    }

    #[test]
    fn the_platforms_own_keys_can_be_neither_set_nor_removed() {
        assert!(!is_valid("opensandbox.io/id", "x"));
        for value in [Some("x".to_owned()), None] {
            let error = patch(BTreeMap::from([("opensandbox.io/id".to_owned(), value)])).unwrap_err();
            assert_eq!(error.code, Code::InvalidPatchLabel);
        }
    }

    #[test]
    fn a_patch_may_remove_any_other_key() {
        assert!(patch(BTreeMap::from([("not a valid key".to_owned(), None)])).is_ok());
        assert!(patch(BTreeMap::from([("not a valid key".to_owned(), Some(String::new()))])).is_err());
    }

    #[test]
    fn long_texts_are_cut_in_messages() {
        let error = create(BTreeMap::from([("é".repeat(300), String::new())])).unwrap_err();
        assert!(error.message.len() < 400 && error.message.contains("600 bytes"), "{}", error.message);
    }
}
