//! From a record to what the runtime starts.

use std::{collections::BTreeMap, time::Duration};

use super::{
    egress::EgressOptions,
    images::PreparedImage,
    record::{Hooks, Record},
};
use crate::runtime::LaunchSpec;

/// Variable from which execd takes the sandbox's hooks.
const HOOKS_VARIABLE: &str = "OPENSANDBOX_LIFECYCLE";

/// What execd may need beyond a hook's own timeout to end it.
const HOOK_END: Duration = Duration::from_secs(10);

/// Search path of a sandbox whose image names none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Extension that prepares a sandbox for isolated sessions inside it.
const ISOLATION_EXTENSION: (&str, &str) = ("bootstrap.execd.isolation", "enable");

/// The image's environment is the weakest, then the server's, then the request's. Hooks come from the request alone.
pub(super) fn spec(
    record: &Record,
    image: PreparedImage,
    server_env: &[(String, String)],
    egress: &EgressOptions,
) -> LaunchSpec {
    let mut env = environment(image.env, server_env, &record.plan.env);
    let hooks = record.plan.hooks.as_ref();
    env.extend(hooks.map(|hooks| (HOOKS_VARIABLE.to_owned(), hooks.document.clone())));
    LaunchSpec {
        id: record.id.clone(),
        slot: record.slot,
        layers: image.layers,
        volumes: Vec::new(),
        entrypoint: record.plan.entrypoint.clone(),
        env,
        cwd: directory(&image.working_dir),
        user: image.user,
        limits: record.plan.limits(),
        execd_token: record.execd_token.clone(),
        nested_isolation: record.plan.extensions.get(ISOLATION_EXTENSION.0).map(String::as_str)
            == Some(ISOLATION_EXTENSION.1),
        standby: false,
        pre_start: hooks.map_or(Duration::ZERO, pre_start),
        sidecar: record.plan.egress.as_ref().map(|own| own.sidecar(&record.id, egress)),
    }
}

/// The image's variables under the server's under the request's. Hooks are none of theirs.
pub(super) fn environment(
    image: Vec<(String, String)>,
    server: &[(String, String)],
    request: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let mut env = vec![("PATH".to_owned(), DEFAULT_PATH.to_owned())];
    let request = request.iter().map(|(name, value)| (name.clone(), value.clone()));
    for (name, value) in image.into_iter().chain(server.iter().cloned()).chain(request) {
        match env.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => env.push((name, value)),
        }
    }
    env.retain(|(name, _)| name != HOOKS_VARIABLE);
    env
}

/// An image that names no directory means the root.
pub(super) fn directory(named: &str) -> String {
    if named.is_empty() { "/".to_owned() } else { named.to_owned() }
}

pub(super) fn pre_start(hooks: &Hooks) -> Duration {
    match hooks.pre_start_seconds {
        0 => Duration::ZERO,
        seconds => Duration::from_secs(seconds) + HOOK_END,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::record_for_tests;

    fn egress() -> EgressOptions {
        EgressOptions {
            mode: "dns+nft".to_owned(),
            patience: Duration::from_secs(1),
            trusted_ca: None,
            proxy: None,
            collector: None,
        }
    }

    #[test]
    fn the_request_wins_over_the_server_and_the_image() {
        let mut record = record_for_tests("a", chrono::Utc::now());
        record.plan.env = [("B".to_owned(), "request".to_owned()), ("D".to_owned(), String::new())].into();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let image = PreparedImage {
            id: String::new(),
            layers: vec![],
            env: vec![pair("PATH", "/image"), pair("A", "image"), pair("B", "image"), pair("C", "image")],
            working_dir: String::new(),
            user: None,
        };
        let spec = spec(&record, image, &[pair("A", "server"), pair("B", "server")], &egress());
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
        assert!(spec.pre_start.is_zero());
    }

    #[test]
    fn hooks_come_from_the_request_alone() {
        let mut record = record_for_tests("a", chrono::Utc::now());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let image = || PreparedImage {
            id: String::new(),
            layers: vec![],
            env: vec![pair(HOOKS_VARIABLE, "image")],
            working_dir: String::new(),
            user: None,
        };
        let hooks_of = |spec: &LaunchSpec| -> Vec<String> {
            let found = spec.env.iter().filter(|(name, _)| name == HOOKS_VARIABLE);
            found.map(|(_, value)| value.clone()).collect()
        };
        assert!(hooks_of(&spec(&record, image(), &[], &egress())).is_empty());
        record.plan.hooks = Some(Hooks { document: "{}".to_owned(), pre_start_seconds: 90 });
        let spec = spec(&record, image(), &[pair(HOOKS_VARIABLE, "server")], &egress());
        assert_eq!(hooks_of(&spec), ["{}"]);
        assert_eq!(spec.pre_start, Duration::from_secs(100));
    }
}
