//! What sandboxes may reach outside.

use reqwest::Method;
use sandkeep_specs::egress::audit::{AuditList, AuditQuery};
use sandkeep_specs::lifecycle::{NetworkPolicy, NetworkRule, PolicyStatusResponse};

use crate::{Client, Result};

/// The calls answer once the policy is in force, and fail for a sandbox created without one.
impl Client {
    /// The policy in force.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox or it has no policy, 409 if it does not run, 503 if the sidecar does not
    /// answer: nothing passes until it does.
    pub async fn network_policy(&self, id: &str) -> Result<PolicyStatusResponse> {
        self.http.json("the network policy", self.http.get(&path(id))).await
    }

    /// Replaces the policy.
    ///
    /// # Errors
    ///
    /// As of [`Client::network_policy`], and 400 names a rule that is wrong, 413 says that there are too many.
    pub async fn replace_network_policy(
        &self,
        id: &str,
        policy: &NetworkPolicy,
    ) -> Result<PolicyStatusResponse> {
        let request = self.http.request(Method::PUT, &path(id)).json(policy);
        self.http.json("the network policy", request).await
    }

    /// Puts rules before those that are there; one for a target that has a rule replaces that.
    ///
    /// # Errors
    ///
    /// As of [`Client::replace_network_policy`].
    pub async fn patch_network_policy(
        &self,
        id: &str,
        rules: &[NetworkRule],
    ) -> Result<PolicyStatusResponse> {
        let request = self.http.request(Method::PATCH, &path(id)).json(rules);
        self.http.json("the network policy", request).await
    }

    /// Removes the rules for these targets.
    ///
    /// # Errors
    ///
    /// As of [`Client::network_policy`], and 400 if there are no targets.
    pub async fn delete_network_rules(&self, id: &str, targets: &[&str]) -> Result<PolicyStatusResponse> {
        let request = self.http.request(Method::DELETE, &path(id)).json(targets);
        self.http.json("the network policy", request).await
    }

    /// What the sandbox tried to reach and what came of it, oldest first; the newest two thousand attempts are kept.
    ///
    /// # Errors
    ///
    /// As of [`Client::network_policy`].
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
