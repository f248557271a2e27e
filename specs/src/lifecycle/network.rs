use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a sandbox may reach outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// What happens to a target no rule names; absent means deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub default_action: Option<NetworkAction>,
    /// Rules, the first that matches decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
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

/// The policy of a sandbox and how it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatusResponse {
    /// `ok`.
    #[schema(required = false)]
    pub status: String,
    /// `allow_all` or `deny_all` while there are no rules, else `enforcing`.
    #[schema(required = false)]
    pub mode: String,
    /// `dns`: names are judged. `dns+nft`: addresses are, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub enforcement_mode: Option<String>,
    /// Why the rules are as they are, where that is not plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub policy: Option<NetworkPolicy>,
}
