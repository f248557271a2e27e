//! What a sandbox is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use sandkeep_specs::lifecycle::{
    CreateSandboxRequest, CredentialProxyConfig, ImageAuth, ImageSpec, NetworkPolicy,
};

/// How long a sandbox lives when nothing else is asked for.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);

/// Keeps a sandbox alive without doing anything.
const IDLE_ENTRYPOINT: [&str; 3] = ["tail", "-f", "/dev/null"];

/// What to create, with the defaults of an idle sandbox: ten minutes of life, no limits of its own.
#[derive(Debug, Clone)]
pub struct CreateOptions {
    pub(crate) request: CreateSandboxRequest,
    pub(crate) server_proxy: bool,
}

impl CreateOptions {
    /// A sandbox from an image.
    #[must_use]
    pub fn image(reference: impl Into<String>) -> Self {
        let request = CreateSandboxRequest {
            image: Some(ImageSpec { uri: reference.into(), auth: None }),
            entrypoint: Some(IDLE_ENTRYPOINT.map(String::from).to_vec()),
            resource_limits: Some(BTreeMap::new()),
            timeout: i64::try_from(DEFAULT_LIFETIME.as_secs()).ok(),
            ..CreateSandboxRequest::default()
        };
        Self::from(request)
    }

    /// A sandbox from a snapshot.
    #[must_use]
    pub fn snapshot(id: impl Into<String>) -> Self {
        let mut options = Self::image("");
        options.request.image = None;
        options.request.snapshot_id = Some(id.into());
        options
    }

    /// A sandbox from a pool, or with `*` from any: image and limits are the pool's.
    #[must_use]
    pub fn pool(name: impl Into<String>) -> Self {
        let request = CreateSandboxRequest {
            entrypoint: Some(IDLE_ENTRYPOINT.map(String::from).to_vec()),
            timeout: i64::try_from(DEFAULT_LIFETIME.as_secs()).ok(),
            ..CreateSandboxRequest::default()
        };
        Self::from(request).extension("poolRef", name)
    }

    /// A sandbox from a template, which says everything but metadata and lifetime.
    #[must_use]
    pub fn template(id: impl Into<String>) -> Self {
        Self::from(CreateSandboxRequest {
            template_id: Some(id.into()),
            timeout: i64::try_from(DEFAULT_LIFETIME.as_secs()).ok(),
            ..CreateSandboxRequest::default()
        })
    }

    /// Credentials for the image's registry.
    #[must_use]
    pub fn image_auth(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        if let Some(image) = &mut self.request.image {
            image.auth = Some(ImageAuth { username: Some(username.into()), password: Some(password.into()) });
        }
        self
    }

    /// What the sandbox may reach outside, from before anything in it runs. Default: whatever the server allows.
    #[must_use]
    pub fn network_policy(mut self, policy: NetworkPolicy) -> Self {
        self.request.network_policy = Some(policy);
        self
    }

    /// Has credentials put into the sandbox's requests on their way, from the vault of its sidecar. Needs a network
    /// policy.
    #[must_use]
    pub fn credential_proxy(mut self) -> Self {
        self.request.credential_proxy = Some(CredentialProxyConfig { enabled: true });
        self
    }

    /// The program the sandbox runs; the sandbox ends with it.
    #[must_use]
    pub fn entrypoint(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.request.entrypoint = Some(words.into_iter().map(Into::into).collect());
        self
    }

    /// A variable in the environment of everything that runs in the sandbox.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.env.get_or_insert_default().insert(name.into(), Some(value.into()));
        self
    }

    /// A label to find the sandbox by.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.metadata.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// An upper bound: `cpu` (`500m`), `memory` and `disk` (`512Mi`), `pids`.
    #[must_use]
    pub fn limit(mut self, resource: impl Into<String>, amount: impl Into<String>) -> Self {
        self.request.resource_limits.get_or_insert_default().insert(resource.into(), amount.into());
        self
    }

    /// When the sandbox expires, at least a minute from now; whole seconds count.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.request.timeout = Some(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
        self
    }

    /// The sandbox never expires.
    #[must_use]
    pub fn immortal(mut self) -> Self {
        self.request.timeout = None;
        self
    }

    /// An option outside the common contract.
    #[must_use]
    pub fn extension(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.extensions.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// Reach the sandbox through the server instead of at its own address, which only the server's machine knows.
    #[must_use]
    pub fn through_server(mut self, yes: bool) -> Self {
        self.server_proxy = yes;
        self
    }
}

/// The request as it is, reached at the sandbox's own address.
impl From<CreateSandboxRequest> for CreateOptions {
    fn from(request: CreateSandboxRequest) -> Self {
        Self { request, server_proxy: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_the_contract_s_request() {
        let options = CreateOptions::image("python:3.12")
            .image_auth("me", "secret")
            .env("A", "b")
            .metadata("team", "x")
            .limit("memory", "512Mi")
            .lifetime(Duration::from_secs(90));
        let json = serde_json::to_value(&options.request).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "image": { "uri": "python:3.12", "auth": { "username": "me", "password": "secret" } },
                "entrypoint": ["tail", "-f", "/dev/null"],
                "env": { "A": "b" },
                "metadata": { "team": "x" },
                "resourceLimits": { "memory": "512Mi" },
                "timeout": 90,
            })
        );
        let immortal = CreateOptions::image("x").immortal();
        assert_eq!(immortal.request.timeout, None);
    }
}
