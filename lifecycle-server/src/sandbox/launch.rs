//! From a record to what the runtime starts.

use super::{images::PreparedImage, record::Record};
use crate::runtime::LaunchSpec;

/// Search path of a sandbox whose image names none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Extension that prepares a sandbox for isolated sessions inside it.
const ISOLATION_EXTENSION: (&str, &str) = ("bootstrap.execd.isolation", "enable");

/// The image's environment is the weakest, then the server's, then the request's.
pub(super) fn spec(record: &Record, image: PreparedImage, server_env: &[(String, String)]) -> LaunchSpec {
    let mut env = vec![("PATH".to_owned(), DEFAULT_PATH.to_owned())];
    let request = record.plan.env.iter().map(|(name, value)| (name.clone(), value.clone()));
    for (name, value) in image.env.into_iter().chain(server_env.iter().cloned()).chain(request) {
        match env.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => env.push((name, value)),
        }
    }
    LaunchSpec {
        id: record.id.clone(),
        slot: record.slot,
        layers: image.layers,
        entrypoint: record.plan.entrypoint.clone(),
        env,
        cwd: if image.working_dir.is_empty() { "/".to_owned() } else { image.working_dir },
        user: image.user,
        limits: record.plan.limits(),
        execd_token: record.execd_token.clone(),
        nested_isolation: record.plan.extensions.get(ISOLATION_EXTENSION.0).map(String::as_str)
            == Some(ISOLATION_EXTENSION.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::record_for_tests;

    #[test]
    fn the_request_wins_over_the_server_and_the_image() {
        let mut record = record_for_tests("a", chrono::Utc::now());
        record.plan.env = [("B".to_owned(), "request".to_owned()), ("D".to_owned(), String::new())].into();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let image = PreparedImage {
            layers: vec![],
            env: vec![pair("PATH", "/image"), pair("A", "image"), pair("B", "image"), pair("C", "image")],
            working_dir: String::new(),
            user: None,
        };
        let spec = spec(&record, image, &[pair("A", "server"), pair("B", "server")]);
        assert_eq!(
            spec.env,
            [
                pair("PATH", "/image"),
                pair("A", "server"),
                pair("B", "request"),
                pair("C", "image"),
                pair("D", "")
            ]
        );
        assert_eq!(spec.cwd, "/");
    }
}
