//! Templates.

use std::collections::BTreeMap;

use sandkeep_specs::lifecycle::{CreateFsbTemplateRequest, FsbTemplateFormat, FsbTemplateReadiness};

use super::{entrypoint, env, labels, resources, source};
use crate::{
    api::error::ApiError,
    sandbox::{NewTemplate, Probe, Readiness, Recipe},
};

/// What a template without limits of its own has.
const DEFAULT_LIMITS: [(&str, &str); 3] = [("cpu", "1"), ("memory", "512Mi"), ("disk", "2Gi")];
const DEFAULT_PROBE_SECONDS: u64 = 60;
/// Longest a template may take to become ready.
const MAX_SECONDS: u64 = 3600;
const MAX_PUBLISH: usize = 1024;
const MAX_PROBE: usize = 64 * 1024;
/// Keeps a sandbox alive without doing anything.
const IDLE: [&str; 3] = ["tail", "-f", "/dev/null"];

pub(in crate::api) fn template(request: CreateFsbTemplateRequest) -> Result<NewTemplate, ApiError> {
    let publish = request.publish.trim();
    if publish.is_empty() || publish.len() > MAX_PUBLISH {
        return Err(ApiError::invalid("publish", format_args!("must have 1 to {MAX_PUBLISH} bytes")));
    }
    let mut limits: BTreeMap<String, String> =
        DEFAULT_LIMITS.map(|(name, amount)| (name.to_owned(), amount.to_owned())).into();
    for (name, amount) in request.resource_limits.iter().flatten() {
        if limits.insert(name.clone(), amount.clone()).is_none() {
            return Err(ApiError::invalid(
                format_args!("resourceLimits.{name}"),
                "is no limit of a template; there are cpu, memory and disk",
            ));
        }
    }
    let command = request.entrypoint.clone().unwrap_or_else(|| IDLE.map(str::to_owned).to_vec());
    Ok(NewTemplate {
        recipe: Recipe {
            image: source::reference("image", &request.image)?,
            image_id: None,
            command: entrypoint::check(Some(command))?,
            env: variables(request.env.unwrap_or_default())?,
            limits: resources::limits(&limits)?,
            working_dir: None,
            user: None,
            readiness: request.readiness.as_ref().map(readiness).transpose()?,
        },
        resource_limits: request.resource_limits,
        publish: publish.to_owned(),
        format: match request.format {
            FsbTemplateFormat::Native => "native".to_owned(),
            FsbTemplateFormat::Overlaybd => "overlaybd".to_owned(),
        },
        metadata: labels::create(request.metadata.unwrap_or_default())?,
        asked_entrypoint: request.entrypoint,
        asked_readiness: request.readiness.map(|asked| (asked.probe, asked.warmup_seconds)),
    })
}

/// Names as shells have them.
fn variables(env: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ApiError> {
    let is_name = |name: &str| {
        let mut letters = name.bytes();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
    };
    if let Some(name) = env.keys().find(|name| !is_name(name)) {
        let problem = format!("{name:?} must begin with a letter or _ and go on with letters, digits and _");
        return Err(ApiError::invalid("env", problem));
    }
    env::check(env.into_iter().map(|(name, value)| (name, Some(value))).collect())
}

fn readiness(asked: &FsbTemplateReadiness) -> Result<Readiness, ApiError> {
    let probe = asked.probe.as_deref().map(probe).transpose()?;
    let seconds = match asked.warmup_seconds.map(u64::try_from) {
        None if probe.is_some() => DEFAULT_PROBE_SECONDS,
        None => 0,
        Some(Ok(seconds)) if seconds <= MAX_SECONDS => seconds,
        Some(_) => {
            let problem = format!("must be a whole number from 0 to {MAX_SECONDS}");
            return Err(ApiError::invalid("readiness.warmupSeconds", problem));
        }
    };
    Ok(Readiness { probe, seconds })
}

fn probe(text: &str) -> Result<Probe, ApiError> {
    let invalid = || {
        let problem = "must be tcp://PORT, tcp://HOST:PORT with a host inside the sandbox, or cmd://COMMAND";
        ApiError::invalid("readiness.probe", problem)
    };
    if let Some(command) = text.strip_prefix("cmd://") {
        let is_sound = !command.trim().is_empty() && command.len() <= MAX_PROBE && !command.contains('\0');
        return is_sound.then(|| Probe::Command(command.to_owned())).ok_or_else(invalid);
    }
    let address = text.strip_prefix("tcp://").ok_or_else(invalid)?.trim_end_matches('/');
    let (host, port) = address.rsplit_once(':').unwrap_or(("", address));
    if !matches!(host, "" | "localhost" | "127.0.0.1" | "0.0.0.0") {
        return Err(invalid());
    }
    port.parse().ok().filter(|&port| port > 0).map(Probe::Tcp).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(patch: Value) -> Result<NewTemplate, ApiError> {
        let mut request = json!({"image": "python:3.12", "publish": "team/app"});
        for (key, value) in patch.as_object().unwrap() {
            request[key] = value.clone();
        }
        template(serde_json::from_value(request).unwrap())
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let made = check(json!({})).unwrap();
        assert_eq!(made.recipe.command, IDLE);
        assert_eq!(made.recipe.limits.memory_bytes, Some(512 << 20));
        assert_eq!(made.recipe.limits.disk_bytes, Some(2 << 30));
        assert_eq!(made.recipe.readiness, None);
        assert_eq!(made.format, "overlaybd");
        let made = check(json!({"resourceLimits": {"memory": "1Gi"}})).unwrap();
        assert_eq!(
            (made.recipe.limits.memory_bytes, made.recipe.limits.cpu_millis),
            (Some(1 << 30), Some(1000))
        );
    }

    #[test]
    fn probes() {
        let probe = |text: &str, seconds: Option<i64>| {
            let asked = json!({"readiness": {"probe": text, "warmupSeconds": seconds}});
            check(asked).map(|made| made.recipe.readiness.unwrap())
        };
        let tcp = |port| Some(Probe::Tcp(port));
        assert_eq!(probe("tcp://:80", None).unwrap(), Readiness { probe: tcp(80), seconds: 60 });
        assert_eq!(
            probe("tcp://127.0.0.1:8000/", Some(5)).unwrap(),
            Readiness { probe: tcp(8000), seconds: 5 }
        );
        assert_eq!(probe("tcp://8000", None).unwrap().probe, tcp(8000));
        assert_eq!(
            probe("cmd://test -e /x", None).unwrap().probe,
            Some(Probe::Command("test -e /x".to_owned()))
        );
        for bad in ["http://x", "tcp://", "tcp://:0", "tcp://example.org:80", "cmd:// ", "tcp://:65536", ""] {
            assert!(probe(bad, None).unwrap_err().message.starts_with("readiness.probe: "), "{bad}");
        }
        assert!(probe("tcp://:80", Some(-1)).is_err() && probe("tcp://:80", Some(3601)).is_err());
    }

    #[test]
    fn every_refusal_names_its_member() {
        for (patch, member) in [
            (json!({"image": " "}), "image"),
            (json!({"publish": " "}), "publish"),
            (json!({"resourceLimits": {"gpu": "1"}}), "resourceLimits.gpu"),
            (json!({"resourceLimits": {"cpu": "x"}}), "resourceLimits.cpu"),
            (json!({"entrypoint": []}), "entrypoint"),
            (json!({"env": {"A-B": "1"}}), "env"),
            (json!({"env": {"OPENSANDBOX_LIFECYCLE": "1"}}), "env.OPENSANDBOX_LIFECYCLE"),
            (json!({"metadata": {"opensandbox.io/x": "1"}}), "metadata"),
        ] {
            let error = check(patch.clone()).unwrap_err();
            assert!(error.message.starts_with(&format!("{member}: ")), "{patch}: {error:?}");
        }
    }
}
