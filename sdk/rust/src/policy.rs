//! What sandboxes may reach outside.

use reqwest::Method;
use sandkeep_specs::egress::audit::{AuditList, AuditQuery};
use sandkeep_specs::lifecycle::{NetworkPolicy, NetworkRule, PolicyStatusResponse};

use crate::{Client, Result};

/// The calls answer once the policy is in force, and fail for a sandbox created without one.
impl Client {
    /// The policy in force.
    pub async fn network_policy(&self, id: &str) -> Result<PolicyStatusResponse> {
        self.http.json("the network policy", self.http.get(&path(id))).await
    }

    /// Replaces the policy.
    pub async fn replace_network_policy(
        &self,
        id: &str,
        policy: &NetworkPolicy,
    ) -> Result<PolicyStatusResponse> {
        let request = self.http.request(Method::PUT, &path(id)).json(policy);
        self.http.json("the network policy", request).await
    }

    /// Puts rules before those that are there; one for a target that has a rule replaces that.
    pub async fn patch_network_policy(
        &self,
        id: &str,
        rules: &[NetworkRule],
    ) -> Result<PolicyStatusResponse> {
        let request = self.http.request(Method::PATCH, &path(id)).json(rules);
        self.http.json("the network policy", request).await
    }

    /// Removes the rules for these targets.
    pub async fn delete_network_rules(&self, id: &str, targets: &[&str]) -> Result<PolicyStatusResponse> {
        let request = self.http.request(Method::DELETE, &path(id)).json(targets);
        self.http.json("the network policy", request).await
    }

    /// What the sandbox tried to reach and what came of it, oldest first; the newest two thousand attempts are kept.
    pub async fn network_audit(&self, id: &str, query: &AuditQuery) -> Result<AuditList> {
        let sidecar = self.sidecar(id, true).await?;
        let mut pairs = vec![("after", query.after.to_string())];
        pairs.extend(query.limit.map(|limit| ("limit", limit.to_string())));
        sidecar.json("the audit", sidecar.get(&["audit"]).query(&pairs)).await
    }
}

fn path(id: &str) -> [&str; 4] {
    ["v1", "sandboxes", id, "networkpolicy"]
}
