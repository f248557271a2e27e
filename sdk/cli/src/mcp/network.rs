//! Tools for what goes in and out of a sandbox.

use std::collections::BTreeMap;

use rmcp::{Json, handler::server::wrapper::Parameters, schemars, tool, tool_router};
use sandkeep::specs::lifecycle::{NetworkAction, PolicyStatusResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{failure::Failure, tools::Tools};
use crate::commands::sandboxes::rules;

#[derive(Deserialize, JsonSchema)]
pub(super) struct GetArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct ChangeArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// Names, addresses or networks that it may reach from now on, such as `pypi.org` or `*.example.com`.
    #[serde(default)]
    allow: Vec<String>,
    /// Those that it may not reach from now on.
    #[serde(default)]
    deny: Vec<String>,
    /// Those whose rules are taken out.
    #[serde(default)]
    remove: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct PortArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// Port that a program in the sandbox listens on.
    port: u16,
}

/// What a sandbox may reach. The first rule that fits decides.
#[derive(Serialize, JsonSchema)]
pub(super) struct Policy {
    rules: Vec<Rule>,
    /// What happens to everything else: `allow` or `deny`.
    default: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Rule {
    /// `allow` or `deny`.
    action: String,
    target: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Endpoint {
    /// Where the port is reached by HTTP.
    url: String,
    /// Headers that every request to it must carry.
    headers: BTreeMap<String, String>,
}

impl From<PolicyStatusResponse> for Policy {
    fn from(status: PolicyStatusResponse) -> Self {
        let policy = status.policy.unwrap_or_default();
        let rules = policy.egress.unwrap_or_default().into_iter();
        Self {
            rules: rules.map(|rule| Rule { action: name(rule.action), target: rule.target }).collect(),
            default: name(policy.default_action.unwrap_or(NetworkAction::Deny)),
        }
    }
}

fn name(action: NetworkAction) -> String {
    match action {
        NetworkAction::Allow => "allow",
        NetworkAction::Deny => "deny",
    }
    .to_owned()
}

#[tool_router(router = network_tools, vis = "pub(super)")]
impl Tools {
    /// Tells what a sandbox may reach outside.
    #[tool(annotations(title = "See the network policy", read_only_hint = true))]
    async fn network_policy_get(
        &self,
        Parameters(given): Parameters<GetArguments>,
    ) -> Result<Json<Policy>, Failure> {
        let id = self.id(&given.sandbox_id).await?;
        Ok(Json(self.client.network_policy(&id).await?.into()))
    }

    /// Changes what a sandbox may reach outside; in force once this answers. Only for sandboxes created with a policy.
    #[tool(annotations(title = "Change the network policy", destructive_hint = true))]
    async fn network_policy_change(
        &self,
        Parameters(given): Parameters<ChangeArguments>,
    ) -> Result<Json<Policy>, Failure> {
        let id = self.id(&given.sandbox_id).await?;
        if !given.remove.is_empty() {
            let targets: Vec<&str> = given.remove.iter().map(String::as_str).collect();
            self.client.delete_network_rules(&id, &targets).await?;
        }
        let mut changes = rules(NetworkAction::Deny, &given.deny);
        changes.extend(rules(NetworkAction::Allow, &given.allow));
        if !changes.is_empty() {
            self.client.patch_network_policy(&id, &changes).await?;
        }
        Ok(Json(self.client.network_policy(&id).await?.into()))
    }

    /// Says where a port of a sandbox is reached from outside, for a preview of a web server, and with which headers.
    #[tool(annotations(title = "Reach a port", read_only_hint = true))]
    async fn port_endpoint(
        &self,
        Parameters(given): Parameters<PortArguments>,
    ) -> Result<Json<Endpoint>, Failure> {
        let id = self.id(&given.sandbox_id).await?;
        let endpoint = self.client.endpoint(&id, given.port, self.through_server()).await?;
        // A sandbox's own address speaks what its program speaks; through the server it is what the server speaks.
        let secure = self.through_server() && self.client.url().starts_with("https:");
        let scheme = if secure { "https" } else { "http" };
        Ok(Json(Endpoint {
            url: format!("{scheme}://{}", endpoint.endpoint),
            headers: endpoint.headers.unwrap_or_default(),
        }))
    }
}
