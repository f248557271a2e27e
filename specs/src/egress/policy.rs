//! Outbound rules.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the namespace may reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[serde(deny_unknown_fields)]
pub struct NetworkPolicy {
    /// What happens to a name no rule is about; deny unless said otherwise.
    #[schema(required = false)]
    pub default_action: NetworkAction,
    /// The rules. Of those about a name the first decides; of those about an address a denying one does.
    #[schema(required = false)]
    pub egress: Vec<NetworkRule>,
}

/// One rule of a [`NetworkPolicy`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkRule {
    pub action: NetworkAction,
    /// A domain name, `*.` and a domain name for all names below it, an address, or a block of addresses.
    #[schema(example = "*.pypi.org")]
    pub target: String,
}

/// Whether traffic passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkAction {
    Allow,
    Deny,
}

/// The rules in force and how they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[serde(deny_unknown_fields)]
pub struct PolicyStatusResponse {
    /// `ok`.
    #[schema(required = false)]
    pub status: String,
    /// `allow_all` or `deny_all` while there are no rules, else `enforcing`.
    #[schema(required = false)]
    pub mode: String,
    /// `dns`: names are judged. `dns+nft`: addresses are, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub enforcement_mode: Option<String>,
    /// Why the rules are as they are, where that is not plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub policy: Option<NetworkPolicy>,
}
