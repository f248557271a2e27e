//! All rules of a create request together.

use sandkeep_specs::lifecycle::CreateSandboxRequest;

use super::{
    ahead, egress, entrypoint, env, extensions, hooks, labels, platform, resources,
    source::{self, Source},
    timeout, volumes,
};
use crate::{
    api::error::ApiError,
    runtime::Limits,
    sandbox::{CreateSpec, ImageRequest, Origin, PUBLIC_PORTS, Platform},
};

/// What the configuration and the host decide.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Longest timeout in seconds.
    pub max_timeout: Option<u64>,
    pub host: Platform,
    /// What holds for a request without limits of its own.
    pub default_limits: Limits,
    pub egress: egress::Guarding,
}

/// Checks every member; the first that is wrong is named in the error.
pub(crate) fn create(request: CreateSandboxRequest, rules: &Rules) -> Result<CreateSpec, ApiError> {
    match ahead::origin(&request)? {
        Origin::Image => {}
        origin @ Origin::Pool(_) => return ahead::pooled(request, origin, rules),
        origin @ Origin::Template(_) => {
            check_secure_access(&request)?;
            return ahead::templated(request, origin, rules);
        }
    }
    check_secure_access(&request)?;
    let source = source::source(&request)?;
    let platform =
        request.platform.as_ref().map(|wanted| platform::check(wanted, &rules.host)).transpose()?;
    let limits = request
        .resource_limits
        .as_ref()
        .ok_or_else(|| ApiError::invalid("resourceLimits", "is required; {} sets no limits"))?;
    let mut limits = resources::limits(limits)?;
    let requests = request.resource_requests.unwrap_or_default();
    limits.guaranteed = resources::requests(&requests, &limits, &rules.default_limits)?;
    let (image, snapshot_id, entrypoint) = match source {
        Source::Image(image) => (image, None, request.entrypoint),
        Source::Snapshot(id) => {
            let image = ImageRequest {
                reference: String::new(),
                id: None,
                credentials: None,
                platform: None,
                tenant: None,
            };
            (image, Some(id), request.entrypoint.or_else(|| Some(entrypoint::idle())))
        }
    };
    let mut env = env::check(request.env.unwrap_or_default())?;
    let egress =
        egress::check(request.network_policy, request.credential_proxy.as_ref(), &mut env, &rules.egress)?;
    Ok(CreateSpec {
        image: ImageRequest { platform: platform.clone(), ..image },
        snapshot_id,
        volumes: volumes::check(request.volumes.unwrap_or_default())?,
        entrypoint: entrypoint::check(entrypoint)?,
        env,
        egress,
        limits,
        timeout: timeout::check(request.timeout, rules.max_timeout)?,
        metadata: labels::create(request.metadata.unwrap_or_default())?,
        extensions: extensions::check(request.extensions.unwrap_or_default())?,
        platform,
        readiness: None,
        hooks: request.lifecycle.map(hooks::check).transpose()?.flatten(),
        secure_access: request.secure_access.unwrap_or_default(),
        owner: None,
        origin: Origin::Image,
        key: None,
    })
}

fn check_secure_access(request: &CreateSandboxRequest) -> Result<(), ApiError> {
    let public_ports = request.extensions.as_ref().is_some_and(|names| names.contains_key(PUBLIC_PORTS));
    if request.secure_access == Some(true) && public_ports {
        let problem = format!("cannot be true beside extensions.{PUBLIC_PORTS}");
        return Err(ApiError::invalid("secureAccess", problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::error::Code;

    fn rules() -> Rules {
        Rules {
            max_timeout: Some(3600),
            host: Platform { os: "linux".to_owned(), arch: "amd64".to_owned() },
            default_limits: Limits { memory_bytes: Some(1 << 40), ..Limits::default() },
            egress: egress::Guarding { mode: "dns+nft".to_owned(), through_proxy: false },
        }
    }

    /// A valid request with `patch` merged over it; null removes a member.
    fn check(patch: Value) -> Result<CreateSpec, ApiError> {
        let mut request = json!({
            "image": {"uri": "python:3.12"}, "entrypoint": ["sleep", "1"], "resourceLimits": {"cpu": "500m"},
        });
        for (key, value) in patch.as_object().unwrap() {
            request[key] = value.clone();
        }
        create(serde_json::from_value(request).unwrap(), &rules())
    }

    #[test]
    fn a_plain_request_becomes_a_spec() {
        let spec = check(json!({
            "timeout": 600, "env": {"A": "1", "B": null}, "metadata": {"team": "x"},
            "resourceLimits": {"cpu": "2", "memory": "512Mi", "disk": "1g", "pids": "64", "color": "red"},
        }))
        .unwrap();
        assert_eq!(spec.image.reference, "python:3.12");
        assert_eq!(spec.entrypoint, ["sleep", "1"]);
        assert_eq!(spec.timeout.unwrap().as_secs(), 600);
        assert_eq!(spec.env.into_iter().collect::<Vec<_>>(), [("A".to_owned(), "1".to_owned())]);
        assert_eq!(spec.limits.cpu_millis, Some(2000));
        assert_eq!(spec.limits.memory_bytes, Some(512 << 20));
        assert_eq!(spec.limits.disk_bytes, Some(1_000_000_000));
        assert_eq!(spec.limits.pids, Some(64));
        let requests = json!({"resourceRequests": {"cpu": "250m", "memory": "64Mi"}});
        let guaranteed = check(requests).unwrap().limits.guaranteed;
        assert_eq!((guaranteed.cpu_millis, guaranteed.memory_bytes), (Some(250), Some(64 << 20)));
    }

    #[test]
    fn every_refusal_names_its_member() {
        let long = "k".repeat(300);
        for (patch, code, member) in [
            (json!({"image": null}), Code::InvalidParameter, "image"),
            (json!({"image": {"uri": " "}}), Code::InvalidParameter, "image.uri"),
            (json!({"image": {"uri": "x", "auth": {"username": "u"}}}), Code::InvalidParameter, "image.auth"),
            (json!({"snapshotId": "s"}), Code::InvalidParameter, "image"),
            (json!({"entrypoint": null}), Code::InvalidParameter, "entrypoint"),
            (json!({"entrypoint": []}), Code::InvalidParameter, "entrypoint"),
            (json!({"entrypoint": ["a\u{0}b"]}), Code::InvalidParameter, "entrypoint[0]"),
            (json!({"entrypoint": ["a", "b\u{0}"]}), Code::InvalidParameter, "entrypoint[1]"),
            (json!({"resourceLimits": null}), Code::InvalidParameter, "resourceLimits"),
            (json!({"resourceLimits": {"cpu": "fast"}}), Code::InvalidParameter, "resourceLimits.cpu"),
            (json!({"resourceLimits": {"cpu": "0"}}), Code::InvalidParameter, "resourceLimits.cpu"),
            (json!({"resourceLimits": {"memory": "-1"}}), Code::InvalidParameter, "resourceLimits.memory"),
            (json!({"resourceLimits": {"memory": "1k"}}), Code::InvalidParameter, "resourceLimits.memory"),
            (json!({"resourceLimits": {"disk": "none"}}), Code::InvalidParameter, "resourceLimits.disk"),
            (json!({"resourceLimits": {"pids": "1"}}), Code::InvalidParameter, "resourceLimits.pids"),
            (json!({"resourceLimits": {"gpu": "1"}}), Code::NotSupported, "resourceLimits.gpu"),
            (json!({"resourceRequests": {"memory": "x"}}), Code::InvalidParameter, "resourceRequests.memory"),
            (
                json!({"resourceLimits": {"cpu": "1"}, "resourceRequests": {"cpu": "1500m"}}),
                Code::InvalidParameter,
                "resourceRequests.cpu",
            ),
            (json!({"resourceRequests": {"gpu": "1"}}), Code::NotSupported, "resourceRequests.gpu"),
            (json!({"resourceRequests": {"disk": "1Gi"}}), Code::NotSupported, "resourceRequests.disk"),
            (
                json!({"resourceRequests": {"memory": "2Ti"}}),
                Code::InvalidParameter,
                "resourceRequests.memory",
            ),
            (json!({"timeout": 59}), Code::InvalidParameter, "timeout"),
            (json!({"timeout": -5}), Code::InvalidParameter, "timeout"),
            (json!({"timeout": 3601}), Code::InvalidParameter, "timeout"),
            (json!({"env": {"": "x"}}), Code::InvalidParameter, "env"),
            (json!({"env": {"A=B": "x"}}), Code::InvalidParameter, "env"),
            (json!({"env": {"A": "x\u{0}"}}), Code::InvalidParameter, "env.A"),
            (
                json!({"env": {"OPENSANDBOX_LIFECYCLE": "x"}}),
                Code::InvalidParameter,
                "env.OPENSANDBOX_LIFECYCLE",
            ),
            (
                json!({"env": {"OPENSANDBOX_EGRESS_TOKEN": "x"}}),
                Code::InvalidParameter,
                "env.OPENSANDBOX_EGRESS_TOKEN",
            ),
            (json!({"metadata": {long.as_str(): "x"}}), Code::InvalidMetadataLabel, "metadata"),
            (json!({"metadata": {"opensandbox.io/x": "x"}}), Code::InvalidMetadataLabel, "metadata"),
            (json!({"platform": {"os": "plan9", "arch": "amd64"}}), Code::InvalidParameter, "platform.os"),
            (json!({"platform": {"os": "linux", "arch": "vax"}}), Code::InvalidParameter, "platform.arch"),
            (json!({"platform": {"os": "windows", "arch": "amd64"}}), Code::NotSupported, "platform"),
            (json!({"platform": {"os": "linux", "arch": "arm64"}}), Code::NotSupported, "platform"),
            (
                json!({"credentialProxy": {"enabled": true}}),
                Code::InvalidParameter,
                "credentialProxy.enabled",
            ),
            (
                json!({"secureAccess": true, "extensions": {"access.public.ports": "80"}}),
                Code::InvalidParameter,
                "secureAccess",
            ),
            (
                json!({"extensions": {"access.public.ports": "80,http"}}),
                Code::InvalidParameter,
                "extensions.access.public.ports",
            ),
            (
                json!({"lifecycle": {"preStart": {"command": []}}}),
                Code::InvalidParameter,
                "lifecycle.preStart.command",
            ),
            (
                json!({"extensions": {"access.renew.extend.seconds": "10"}}),
                Code::InvalidParameter,
                "extensions.access.renew.extend.seconds",
            ),
            (
                json!({"extensions": {"access.autopause.idle.seconds": "0"}}),
                Code::InvalidParameter,
                "extensions.access.autopause.idle.seconds",
            ),
        ] {
            let error = check(patch.clone()).map(drop).unwrap_err();
            assert_eq!(error.code, code, "{patch}: {error:?}");
            assert!(error.message.starts_with(&format!("{member}: ")), "{patch}: {error:?}");
        }
    }

    #[test]
    fn a_snapshot_needs_no_entrypoint() {
        let spec = check(json!({"image": null, "entrypoint": null, "snapshotId": " s "})).unwrap();
        assert_eq!(spec.snapshot_id.as_deref(), Some("s"));
        assert_eq!(spec.entrypoint, ["tail", "-f", "/dev/null"]);
        let spec = check(json!({"image": null, "snapshotId": "s"})).unwrap();
        assert_eq!(spec.entrypoint, ["sleep", "1"]);
    }

    #[test]
    fn members_that_say_nothing_are_as_good_as_absent() {
        for patch in [
            json!({"snapshotId": " "}),
            json!({"templateId": null}),
            json!({"extensions": {"poolRef": ""}}),
            json!({"credentialProxy": {"enabled": false}}),
            json!({"secureAccess": false}),
            json!({"secureAccess": true}),
            json!({"extensions": {"access.public.ports": "80, 8080"}}),
            json!({"volumes": []}),
            json!({"lifecycle": {}}),
            json!({"timeout": null}),
            json!({"resourceLimits": {}}),
            json!({"unheard": {"of": 1}}),
        ] {
            assert!(check(patch.clone()).is_ok(), "{patch}");
        }
    }

    #[test]
    fn the_hosts_own_platform_is_accepted_in_any_spelling() {
        let spec = check(json!({"platform": {"os": " Linux", "arch": "AMD64 "}})).unwrap();
        assert_eq!(spec.platform, Some(rules().host));
        assert_eq!(spec.image.platform, Some(rules().host));
    }
}
