//! Sandboxes that something made beforehand says everything about: pools and templates.

use std::collections::BTreeMap;

use sandkeep_specs::lifecycle::CreateSandboxRequest;

use super::{Rules, egress, entrypoint, env, extensions, labels, resources, timeout};
use crate::{
    api::error::ApiError,
    runtime::Limits,
    sandbox::{CreateSpec, ImageRequest, Origin},
};

/// Extension that needs a sandbox started for it.
const ISOLATION: &str = "bootstrap.execd.isolation";

/// Which kind of source is asked for. An image given beside a pool counts for nothing: clients always send one.
pub(super) fn origin(request: &CreateSandboxRequest) -> Result<Origin, ApiError> {
    let named = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let pool = request.extensions.as_ref().and_then(|extensions| extensions.get(extensions::POOL_REF));
    let template = named(request.template_id.as_deref());
    match (named(pool.map(String::as_str)), template) {
        (Some(_), Some(_)) => Err(ApiError::invalid("templateId", "cannot be given with extensions.poolRef")),
        (Some(pool), None) => Ok(Origin::Pool(pool)),
        (None, Some(template)) => Ok(Origin::Template(template)),
        (None, None) => Ok(Origin::Image),
    }
}

/// A wish for a member of a pool. Image and limits are the pool's.
pub(super) fn pooled(
    request: CreateSandboxRequest,
    origin: Origin,
    rules: &Rules,
) -> Result<CreateSpec, ApiError> {
    let has_snapshot = request.snapshot_id.as_deref().is_some_and(|id| !id.trim().is_empty());
    let has_isolation = request.extensions.as_ref().is_some_and(|names| names.contains_key(ISOLATION));
    refuse(
        "with extensions.poolRef: the sandbox runs already",
        &[
            ("snapshotId", has_snapshot),
            ("lifecycle", request.lifecycle.is_some()),
            ("networkPolicy", request.network_policy.is_some()),
            ("credentialProxy", request.credential_proxy.as_ref().is_some_and(|proxy| proxy.enabled)),
            ("volumes", request.volumes.as_ref().is_some_and(|volumes| !volumes.is_empty())),
            ("platform", request.platform.is_some()),
            ("extensions.bootstrap.execd.isolation", has_isolation),
        ],
    )?;
    let limits = resources::limits(&request.resource_limits.unwrap_or_default())?;
    resources::requests(&request.resource_requests.unwrap_or_default(), &limits, &Limits::default())?;
    Ok(CreateSpec {
        entrypoint: match request.entrypoint {
            Some(words) => entrypoint::check(Some(words))?,
            None => Vec::new(),
        },
        env: {
            let mut env = env::check(request.env.unwrap_or_default())?;
            egress::check(None, None, &mut env, &rules.egress)?;
            env
        },
        timeout: timeout::check(request.timeout, rules.max_timeout)?,
        metadata: labels::create(request.metadata.unwrap_or_default())?,
        extensions: extensions::check(request.extensions.unwrap_or_default())?,
        secure_access: request.secure_access.unwrap_or_default(),
        ..blank(origin)
    })
}

/// A wish for a sandbox from a template, which says everything else.
pub(super) fn templated(
    request: CreateSandboxRequest,
    origin: Origin,
    rules: &Rules,
) -> Result<CreateSpec, ApiError> {
    let has_snapshot = request.snapshot_id.as_deref().is_some_and(|id| !id.trim().is_empty());
    refuse(
        "with templateId: the template says it",
        &[
            ("image", request.image.is_some()),
            ("snapshotId", has_snapshot),
            ("entrypoint", request.entrypoint.is_some()),
            ("env", request.env.is_some()),
            ("resourceLimits", request.resource_limits.is_some()),
            ("resourceRequests", request.resource_requests.is_some()),
            ("volumes", request.volumes.is_some()),
            ("platform", request.platform.is_some()),
            ("credentialProxy", request.credential_proxy.is_some()),
            ("secureAccess", request.secure_access == Some(true)),
            ("lifecycle", request.lifecycle.is_some()),
        ],
    )?;
    if request.timeout.is_none() {
        return Err(ApiError::invalid("timeout", "is required with templateId"));
    }
    Ok(CreateSpec {
        timeout: timeout::check(request.timeout, rules.max_timeout)?,
        metadata: labels::create(request.metadata.unwrap_or_default())?,
        extensions: extensions::check(request.extensions.unwrap_or_default())?,
        egress: egress::check(request.network_policy, None, &mut BTreeMap::new(), &rules.egress)?,
        ..blank(origin)
    })
}

fn refuse(why: &str, members: &[(&str, bool)]) -> Result<(), ApiError> {
    match members.iter().find(|(_, is_given)| *is_given) {
        Some((member, _)) => Err(ApiError::invalid(member, format_args!("cannot be given {why}"))),
        None => Ok(()),
    }
}

/// To be filled in by what it comes from.
fn blank(origin: Origin) -> CreateSpec {
    CreateSpec {
        image: ImageRequest {
            reference: String::new(),
            id: None,
            credentials: None,
            platform: None,
            tenant: None,
        },
        snapshot_id: None,
        volumes: Vec::new(),
        entrypoint: Vec::new(),
        env: Default::default(),
        metadata: Default::default(),
        timeout: None,
        limits: Limits::default(),
        extensions: Default::default(),
        platform: None,
        hooks: None,
        readiness: None,
        secure_access: false,
        egress: None,
        owner: None,
        origin,
        key: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{api::validate, sandbox::Platform};

    fn check(request: Value) -> Result<CreateSpec, ApiError> {
        let host = Platform { os: "linux".to_owned(), arch: "amd64".to_owned() };
        validate::create(
            serde_json::from_value(request).unwrap(),
            &Rules {
                max_timeout: Some(3600),
                host,
                default_limits: Limits::default(),
                egress: egress::Guarding { mode: String::new(), through_proxy: false },
            },
        )
    }

    /// `base` with `patch` merged over it.
    fn merged(mut base: Value, patch: Value) -> Value {
        for (key, value) in patch.as_object().unwrap() {
            base[key] = value.clone();
        }
        base
    }

    #[test]
    fn a_pool_needs_nothing_else() {
        let spec = check(json!({"extensions": {"poolRef": " p "}})).unwrap();
        assert_eq!(spec.origin, Origin::Pool("p".to_owned()));
        assert!(spec.entrypoint.is_empty());
        // What the published clients send along.
        let spec = check(json!({
            "extensions": {"poolRef": "*"}, "image": {"uri": "x"}, "entrypoint": ["sleep", "1"],
            "resourceLimits": {"cpu": "1"}, "env": {"A": "1"}, "metadata": {"a": "b"}, "timeout": 60,
        }))
        .unwrap();
        assert_eq!((spec.origin, spec.entrypoint.len()), (Origin::Pool("*".to_owned()), 2));
    }

    #[test]
    fn a_template_needs_a_timeout() {
        let spec = check(json!({"templateId": "t", "timeout": 60, "metadata": {"a": "b"}})).unwrap();
        assert_eq!(spec.origin, Origin::Template("t".to_owned()));
        assert!(check(json!({"templateId": "t"})).unwrap_err().message.starts_with("timeout: "));
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        let pool = json!({"extensions": {"poolRef": "p"}});
        let volume = json!([{"name": "v", "mountPath": "/v", "host": {"path": "/x"}}]);
        for (patch, member) in [
            (json!({"snapshotId": "s"}), "snapshotId"),
            (json!({"templateId": "t"}), "templateId"),
            (json!({"lifecycle": {}}), "lifecycle"),
            (json!({"networkPolicy": {}}), "networkPolicy"),
            (json!({"credentialProxy": {"enabled": true}}), "credentialProxy"),
            (json!({"volumes": volume}), "volumes"),
            (json!({"platform": {"os": "linux", "arch": "amd64"}}), "platform"),
            (
                json!({"extensions": {"poolRef": "p", "bootstrap.execd.isolation": "enable"}}),
                "extensions.bootstrap.execd.isolation",
            ),
            (json!({"env": {"": "x"}}), "env"),
            (json!({"entrypoint": []}), "entrypoint"),
            (json!({"timeout": 5}), "timeout"),
        ] {
            let error = check(merged(pool.clone(), patch.clone())).unwrap_err();
            assert!(error.message.starts_with(&format!("{member}: ")), "{patch}: {error:?}");
        }
        let template = json!({"templateId": "t", "timeout": 60});
        for (patch, member) in [
            (json!({"image": {"uri": "x"}}), "image"),
            (json!({"snapshotId": "s"}), "snapshotId"),
            (json!({"entrypoint": ["x"]}), "entrypoint"),
            (json!({"env": {}}), "env"),
            (json!({"resourceLimits": {}}), "resourceLimits"),
            (json!({"resourceRequests": {}}), "resourceRequests"),
            (json!({"volumes": []}), "volumes"),
            (json!({"platform": {"os": "linux", "arch": "amd64"}}), "platform"),
            (json!({"credentialProxy": {}}), "credentialProxy"),
            (json!({"lifecycle": {}}), "lifecycle"),
        ] {
            let error = check(merged(template.clone(), patch.clone())).unwrap_err();
            assert!(error.message.starts_with(&format!("{member}: ")), "{patch}: {error:?}");
        }
    }
}
