use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    CredentialProxyConfig, ImageSpec, NetworkPolicy, PlatformSpec, SandboxLifecycle, SandboxStatus, Volume,
};

/// Header of a create request: with it a repeated request makes no second sandbox.
pub const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";

/// What to run and within which bounds.
///
/// Exactly one source is given: `image` (with `entrypoint`), `snapshotId`, `templateId` or the extension `poolRef`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateSandboxRequest {
    /// Image to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSpec>,
    /// Snapshot to restore instead of starting from an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    /// Template to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1)]
    pub template_id: Option<String>,
    /// Operating system and architecture the sandbox needs; absent takes what the host has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformSpec>,
    /// Seconds until the sandbox expires, at least 60; null or absent never expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 60, example = 600)]
    pub timeout: Option<i64>,
    /// Upper bounds: `cpu` (`500m`, `2`), `memory` and `disk` (`512Mi`, `2g`), `pids`. May be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!({"cpu": "1", "memory": "512Mi"}))]
    pub resource_limits: Option<BTreeMap<String, String>>,
    /// Guaranteed shares of `cpu` and `memory`, in the same units as the limits and at most those. Where others want them
    /// too, processor time is divided by the shares of `cpu`, which are the limits by default. A create is refused while
    /// this host cannot guarantee the memory; what a sandbox has beyond its share is taken back from it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_requests: Option<BTreeMap<String, String>>,
    /// Environment of everything that runs in the sandbox; null leaves a variable unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, Option<String>>>,
    /// Labels to find the sandbox by; keys and values follow the rules of Kubernetes labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!({"project": "demo"}))]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Program and arguments the sandbox runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, example = json!(["tail", "-f", "/dev/null"]))]
    pub entrypoint: Option<Vec<String>>,
    /// What the sandbox may reach outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicy>,
    /// Whether outgoing requests get their credentials outside the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_proxy: Option<CredentialProxyConfig>,
    /// Ask callers of the sandbox's ports for a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(default = false)]
    pub secure_access: Option<bool>,
    /// Storage mounted into the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<Volume>>,
    /// Options outside the common contract, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<BTreeMap<String, String>>,
    /// Commands tied to the sandbox's life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<SandboxLifecycle>,
}

/// The sandbox that was created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateSandboxResponse {
    /// Identifier, used in every later request.
    pub id: String,
    pub status: SandboxStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Present when the request named a platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub platform: Option<PlatformSpec>,
    /// Absent when the sandbox never expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub entrypoint: Vec<String>,
    /// Extensions of the request that are kept with the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub extensions: Option<BTreeMap<String, String>>,
}
