//! Tools for sandboxes as wholes.

use std::{collections::BTreeMap, time::Duration};

use rmcp::{Json, handler::server::wrapper::Parameters, schemars, tool, tool_router};
use sandkeep::{CreateOptions, ListQuery, Sandbox, specs::lifecycle};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{failure::Failure, tools::Tools};
use crate::commands::sandboxes::policy_of;

/// Seconds a sandbox lives unless the call says otherwise.
const LIFETIME: u64 = 600;
/// Sandboxes a page.
const PAGE: u64 = 50;

#[derive(Deserialize, JsonSchema)]
pub(super) struct CreateArguments {
    /// Image to start from, such as `python:3.12`. Leave it out only with `snapshot`.
    image: Option<String>,
    /// Snapshot to start from instead of an image.
    snapshot: Option<String>,
    /// Seconds until the sandbox is deleted, at least 60; 600 unless given.
    timeout_seconds: Option<u64>,
    /// Environment variables of everything that runs in it.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Labels to find it by later.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Processors, such as `2` or `500m`.
    cpu: Option<String>,
    /// Memory, such as `512Mi`.
    memory: Option<String>,
    /// Names, addresses or networks that it may reach, such as `pypi.org` or `*.example.com`; nothing else then.
    #[serde(default)]
    allow: Vec<String>,
    /// Names, addresses or networks that it may not reach; all else may be, unless `allow` is given.
    #[serde(default)]
    deny: Vec<String>,
    /// Whether a person will keep secrets in its vault for its requests; needs `allow` or `deny`.
    #[serde(default)]
    credential_proxy: bool,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct One {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct ListArguments {
    /// Only those with all of these labels.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Only those in one of these states, such as `Running` or `Paused`.
    #[serde(default)]
    states: Vec<String>,
    /// Page, from 1.
    page: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct RenewArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// Seconds it lives on, counted from now.
    timeout_seconds: u64,
}

/// A sandbox.
#[derive(Serialize, JsonSchema)]
pub(super) struct Info {
    sandbox_id: String,
    /// `Pending`, `Running`, `Paused`, `Stopped`, `Failed` and others.
    state: String,
    /// Why it is in this state, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    /// When it was created, in UTC.
    created_at: String,
    /// When it will be deleted; absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    labels: BTreeMap<String, String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Listed {
    sandboxes: Vec<Info>,
    /// The next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Renewed {
    sandbox_id: String,
    /// When it will be deleted now.
    expires_at: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Deleted {
    /// The sandbox that is gone.
    sandbox_id: String,
}

impl From<lifecycle::Sandbox> for Info {
    fn from(sandbox: lifecycle::Sandbox) -> Self {
        Self {
            sandbox_id: sandbox.id,
            state: sandbox.status.state.to_string(),
            reason: sandbox.status.message.or(sandbox.status.reason),
            image: sandbox.image.map(|image| image.uri),
            created_at: sandbox.created_at.to_rfc3339(),
            expires_at: sandbox.expires_at.map(|at| at.to_rfc3339()),
            labels: sandbox.metadata.unwrap_or_default(),
        }
    }
}

#[tool_router(router = sandbox_tools, vis = "pub(super)")]
impl Tools {
    /// Creates a sandbox and waits until it takes commands.
    #[tool(annotations(title = "Create a sandbox", destructive_hint = false))]
    async fn sandbox_create(
        &self,
        Parameters(given): Parameters<CreateArguments>,
    ) -> Result<Json<Info>, Failure> {
        let mut options = match (given.image, given.snapshot) {
            (Some(image), None) => CreateOptions::image(image),
            (None, Some(snapshot)) => CreateOptions::snapshot(snapshot),
            _ => {
                return Err(Failure::new(
                    "a sandbox starts from one of image and snapshot",
                    "give one of the two",
                ));
            }
        };
        options = options.lifetime(Duration::from_secs(given.timeout_seconds.unwrap_or(LIFETIME)));
        for (name, value) in given.env {
            options = options.env(name, value);
        }
        for (key, value) in given.labels {
            options = options.metadata(key, value);
        }
        for (resource, amount) in [("cpu", given.cpu), ("memory", given.memory)] {
            if let Some(amount) = amount {
                options = options.limit(resource, amount);
            }
        }
        if let Some(policy) = policy_of(&given.allow, &given.deny) {
            options = options.network_policy(policy);
        }
        if given.credential_proxy {
            options = options.credential_proxy();
        }
        let created = Sandbox::create(&self.client, options.through_server(self.through_server())).await?;
        Ok(Json(created.get().await?.into()))
    }

    /// Lists sandboxes, newest first.
    #[tool(annotations(title = "List sandboxes", read_only_hint = true))]
    async fn sandbox_list(
        &self,
        Parameters(given): Parameters<ListArguments>,
    ) -> Result<Json<Listed>, Failure> {
        let page = given.page.unwrap_or(1);
        let query = ListQuery {
            states: given.states,
            metadata: given.labels,
            page: Some(page),
            page_size: Some(PAGE),
        };
        let listed = self.client.list_sandboxes(&query).await?;
        let next_page = listed.pagination.has_next_page.then_some(page + 1);
        Ok(Json(Listed { sandboxes: listed.items.into_iter().map(Info::from).collect(), next_page }))
    }

    /// Tells the state of a sandbox, and when it expires.
    #[tool(annotations(title = "Look at a sandbox", read_only_hint = true))]
    async fn sandbox_get(&self, Parameters(given): Parameters<One>) -> Result<Json<Info>, Failure> {
        self.info(&given.sandbox_id).await
    }

    /// Freezes a sandbox where it is: nothing in it runs until `sandbox_resume`, and nothing is lost.
    #[tool(annotations(title = "Pause a sandbox", destructive_hint = false, idempotent_hint = true))]
    async fn sandbox_pause(&self, Parameters(given): Parameters<One>) -> Result<Json<Info>, Failure> {
        self.client.pause_sandbox(&self.id(&given.sandbox_id).await?).await?;
        self.info(&given.sandbox_id).await
    }

    /// Lets a paused sandbox go on where it was.
    #[tool(annotations(title = "Resume a sandbox", destructive_hint = false, idempotent_hint = true))]
    async fn sandbox_resume(&self, Parameters(given): Parameters<One>) -> Result<Json<Info>, Failure> {
        self.client.resume_sandbox(&self.id(&given.sandbox_id).await?).await?;
        self.info(&given.sandbox_id).await
    }

    /// Sets when a sandbox expires, counted from now.
    #[tool(annotations(title = "Keep a sandbox longer", destructive_hint = false, idempotent_hint = true))]
    async fn sandbox_renew(
        &self,
        Parameters(given): Parameters<RenewArguments>,
    ) -> Result<Json<Renewed>, Failure> {
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        let until = sandbox.renew(Duration::from_secs(given.timeout_seconds)).await?;
        Ok(Json(Renewed { sandbox_id: sandbox.id().to_owned(), expires_at: until.to_rfc3339() }))
    }

    /// Deletes a sandbox with all its files and processes, for good.
    #[tool(annotations(title = "Delete a sandbox", destructive_hint = true))]
    async fn sandbox_delete(&self, Parameters(given): Parameters<One>) -> Result<Json<Deleted>, Failure> {
        let sandbox_id = self.id(&given.sandbox_id).await?;
        self.client.delete_sandbox(&sandbox_id).await?;
        Ok(Json(Deleted { sandbox_id }))
    }

    async fn info(&self, given: &str) -> Result<Json<Info>, Failure> {
        Ok(Json(self.client.get_sandbox(&self.id(given).await?).await?.into()))
    }
}
