//! Buckets a sandbox asks for.

use std::sync::Arc;

use sandkeep_specs::lifecycle::Ossfs;

use super::volumes::refuse;
use crate::{
    api::error::ApiError,
    volume::{Bucket, Generation, Keys, Source},
};

const MAX_BUCKET: usize = 63;
const MIN_BUCKET: usize = 3;
const MAX_TEXT: usize = 1024;
const MAX_OPTIONS: usize = 64;
/// What a shell would take for something else.
const SHELL: [char; 9] = [';', '&', '|', '`', '$', '(', ')', '<', '>'];
/// Options that the server sets itself.
const OWN: [&str; 14] = [
    "url",
    "passwd_file",
    "allow_other",
    "allow_root",
    "uid",
    "gid",
    "ro",
    "rw",
    "dev",
    "suid",
    "oss_endpoint",
    "oss_bucket",
    "oss_access_key_id",
    "oss_access_key_secret",
];

pub(super) fn bucket(place: &str, wanted: Ossfs) -> Result<Source, ApiError> {
    let wrong = |code, member: &str, problem| refuse(code, place, &format!("ossfs.{member}"), problem);
    if !is_bucket(&wanted.bucket) {
        let problem = "must be 3 to 63 small letters, digits and inner hyphens";
        return Err(wrong("INVALID_OSSFS_BUCKET", "bucket", problem));
    }
    let endpoint = wanted.endpoint.trim();
    if endpoint.is_empty()
        || !is_plain(endpoint)
        || endpoint.starts_with('-')
        || endpoint.contains([' ', ','])
    {
        let problem = "must be the address of an object store";
        return Err(wrong("INVALID_OSSFS_ENDPOINT", "endpoint", problem));
    }
    let generation = match wanted.version.as_deref() {
        Some("1.0") => Generation::First,
        Some("2.0") | None => Generation::Second,
        Some(_) => return Err(wrong("INVALID_OSSFS_VERSION", "version", "must be 1.0 or 2.0")),
    };
    let options = wanted.options.unwrap_or_default();
    if options.len() > MAX_OPTIONS {
        return Err(wrong("INVALID_OSSFS_OPTION", "options", "must be at most 64"));
    }
    for (index, option) in options.iter().enumerate() {
        if let Some(problem) = problem(option) {
            return Err(wrong("INVALID_OSSFS_OPTION", &format!("options[{index}]"), problem));
        }
    }
    for (member, key) in
        [("accessKeyId", &wanted.access_key_id), ("accessKeySecret", &wanted.access_key_secret)]
    {
        if key.trim().is_empty() || key.len() > MAX_TEXT || key.contains(|c: char| c.is_control() || c == ':')
        {
            let problem = "must be there, and hold neither colons nor control characters";
            return Err(wrong("INVALID_OSSFS_CREDENTIALS", member, problem));
        }
    }
    Ok(Source::Bucket(Bucket {
        bucket: wanted.bucket,
        endpoint: endpoint.to_owned(),
        generation,
        options,
        keys: Some(Arc::new(Keys { id: wanted.access_key_id, secret: wanted.access_key_secret })),
    }))
}

fn is_bucket(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (MIN_BUCKET..=MAX_BUCKET).contains(&name.len())
        && name.bytes().all(|byte| plain(byte) || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn is_plain(text: &str) -> bool {
    text.len() <= MAX_TEXT && !text.contains(|c: char| c.is_control() || SHELL.contains(&c))
}

/// The program runs with the host's rights: an option must neither name files of the host nor undo what keeps the
/// sandbox apart.
fn problem(option: &str) -> Option<&'static str> {
    let name = option.split('=').next().unwrap_or_default().trim();
    if option.trim().is_empty() || option.starts_with('-') || !is_plain(option) || option.contains([' ', ','])
    {
        return Some(
            "must be NAME or NAME=VALUE without a leading hyphen, commas, blanks and what shells take for signs",
        );
    }
    if option.contains('/') {
        return Some("must not name a path: it would be the host's");
    }
    OWN.contains(&name.to_ascii_lowercase().as_str()).then_some("is set by the server")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::error::Code;

    fn check(patch: Value) -> Result<Source, ApiError> {
        let mut wanted = json!({
            "bucket": "my-data", "endpoint": "oss-cn.example.com", "accessKeyId": "id", "accessKeySecret": "secret",
        });
        for (key, value) in patch.as_object().unwrap() {
            wanted[key] = value.clone();
        }
        bucket("volumes[0]", serde_json::from_value(wanted).unwrap())
    }

    #[test]
    fn what_is_whole_becomes_a_bucket_of_the_second_generation() {
        let Source::Bucket(bucket) =
            check(json!({"options": ["max_stat_cache_size=0", "allow_empty"]})).unwrap()
        else {
            panic!("a bucket is no other source")
        };
        assert_eq!((bucket.generation, bucket.options.len()), (Generation::Second, 2));
        assert!(check(json!({"version": "1.0", "endpoint": "http://oss.test:8080/"})).is_ok());
    }

    #[test]
    fn every_refusal_has_its_code_and_names_its_member() {
        for (patch, code, member) in [
            (json!({"bucket": "a"}), "VOLUME::INVALID_OSSFS_BUCKET", "bucket"),
            (json!({"bucket": "ab"}), "VOLUME::INVALID_OSSFS_BUCKET", "bucket"),
            (json!({"bucket": "A-b"}), "VOLUME::INVALID_OSSFS_BUCKET", "bucket"),
            (json!({"bucket": "abc-"}), "VOLUME::INVALID_OSSFS_BUCKET", "bucket"),
            (json!({"bucket": "a".repeat(64)}), "VOLUME::INVALID_OSSFS_BUCKET", "bucket"),
            (json!({"version": "3.0"}), "VOLUME::INVALID_OSSFS_VERSION", "version"),
            (json!({"version": ""}), "VOLUME::INVALID_OSSFS_VERSION", "version"),
            (json!({"endpoint": " "}), "VOLUME::INVALID_OSSFS_ENDPOINT", "endpoint"),
            (json!({"endpoint": "a b"}), "VOLUME::INVALID_OSSFS_ENDPOINT", "endpoint"),
            (json!({"endpoint": "a\n--uid=0"}), "VOLUME::INVALID_OSSFS_ENDPOINT", "endpoint"),
            (json!({"options": ["-o"]}), "VOLUME::INVALID_OSSFS_OPTION", "options[0]"),
            (json!({"options": ["a", "b;c"]}), "VOLUME::INVALID_OSSFS_OPTION", "options[1]"),
            (json!({"options": ["a\nb"]}), "VOLUME::INVALID_OSSFS_OPTION", "options[0]"),
            (json!({"options": ["a,uid=0"]}), "VOLUME::INVALID_OSSFS_OPTION", "options[0]"),
            (json!({"options": ["use_cache=/etc"]}), "VOLUME::INVALID_OSSFS_OPTION", "options[0]"),
            (json!({"options": ["UID=0"]}), "VOLUME::INVALID_OSSFS_OPTION", "options[0]"),
            (json!({"options": ["passwd_file=x"]}), "VOLUME::INVALID_OSSFS_OPTION", "options[0]"),
            (json!({"accessKeyId": " "}), "VOLUME::INVALID_OSSFS_CREDENTIALS", "accessKeyId"),
            (json!({"accessKeySecret": "a\nb"}), "VOLUME::INVALID_OSSFS_CREDENTIALS", "accessKeySecret"),
        ] {
            let error = check(patch.clone()).map(drop).unwrap_err();
            assert_eq!(error.code, Code::Volume(code), "{patch}");
            assert!(error.message.starts_with(&format!("volumes[0].ossfs.{member}: ")), "{error:?}");
            assert!(!error.message.contains("secret"), "{error:?}");
        }
    }
}
