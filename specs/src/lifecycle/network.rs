use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a sandbox may reach outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// What happens to a target no rule names; absent means deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_action: Option<NetworkAction>,
    /// Rules, the first that matches decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Vec<NetworkRule>>,
}

/// One rule of a [`NetworkPolicy`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkRule {
    pub action: NetworkAction,
    /// Domain name, wildcard domain, address or CIDR.
    #[schema(example = "*.pypi.org")]
    pub target: String,
}

/// Whether traffic passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkAction {
    Allow,
    Deny,
}

/// Whether outgoing requests get their credentials outside the sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialProxyConfig {
    #[serde(default)]
    pub enabled: bool,
}
