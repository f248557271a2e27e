use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How to stop a sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopSandboxRequest {
    /// Keep the memory too, where the host can; the answer says whether it did.
    #[serde(default)]
    pub memory: bool,
}

/// What a stop kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopSandboxResponse {
    /// Whether the memory was kept. Without it, a start runs the sandbox's program from its beginning.
    pub memory: bool,
    /// Why the memory was not kept though that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What to start a sandbox from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartSandboxRequest {
    /// Whether processes whose memory was kept go on where they were. Without that, the memory is given up and the
    /// sandbox's program begins anew on its files.
    #[serde(default = "kept_memory")]
    #[schema(default = true)]
    pub memory: bool,
}

fn kept_memory() -> bool {
    true
}

/// What a start began from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StartSandboxResponse {
    /// Whether processes go on where they were. Otherwise the sandbox's program began anew, on its files.
    pub memory: bool,
}

/// What this server can do on its host, beyond what every server can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Capabilities {
    /// By name: `pause`, `stop`, `stop.memory`. Further names may come.
    pub capabilities: BTreeMap<String, Capability>,
}

/// One thing a server can or cannot do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Capability {
    pub available: bool,
    /// Version of the tool it depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why it is not available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
