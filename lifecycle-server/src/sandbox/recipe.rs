//! What sandboxes that are started ahead of a request are made of, and how one is started and found to be ready.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{
    error::ServiceError,
    images::{ImageRequest, PreparedImage},
    launch,
    service::Inner,
};
use crate::runtime::{LaunchSpec, Limits, RuntimeError, Slot};

/// Pause between two looks at whether a sandbox is ready.
const PROBE_PAUSE: Duration = Duration::from_millis(50);
/// Longest a single look may take.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// A sandbox without anything that belongs to its owner.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// The image by name.
    pub image: String,
    /// Exactly this image, whatever the name means by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// Program it runs from its start; empty for none.
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub limits: Limits,
    /// Instead of the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// `user[:group]` instead of the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
}

/// When a sandbox counts as ready, beyond its execd answering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    pub probe: Option<Probe>,
    /// With a probe the time it may take to succeed, otherwise the time the sandbox is left alone to warm up.
    pub seconds: u64,
}

/// A question asked until the answer is yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// Does something listen on this port?
    Tcp(u16),
    /// Does this shell command end with status 0?
    Command(String),
}

// The environment may hold secrets.
impl fmt::Debug for Recipe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Recipe").field("image", &self.image).finish_non_exhaustive()
    }
}

/// A sandbox to start that no record speaks of.
pub(super) struct Ahead<'a> {
    pub id: &'a str,
    pub slot: Slot,
    pub execd_token: &'a str,
    pub recipe: &'a Recipe,
    /// Whose it is, where there are tenants.
    pub tenant: Option<&'a str>,
    /// It is to get an owner later.
    pub standby: bool,
}

impl Inner {
    /// Starts it and waits until it is ready; answers with its image. On an error it may still run: the caller frees it.
    pub(super) async fn start_ahead(&self, ahead: &Ahead<'_>) -> Result<PreparedImage, ServiceError> {
        let request = ImageRequest {
            reference: ahead.recipe.image.clone(),
            id: ahead.recipe.image_id.clone(),
            credentials: None,
            platform: None,
            tenant: ahead.tenant.map(str::to_owned),
        };
        let image = self.images.acquire(&request, ahead.id).await?;
        {
            let _permit = self.launches.acquire().await.map_err(|_| ServiceError::ShuttingDown)?;
            self.runtime.launch(&spec(ahead, &image, &self.options.env)).await?;
        }
        if let Some(readiness) = &ahead.recipe.readiness {
            self.wait_until_ready(ahead.slot, ahead.execd_token, readiness).await?;
        }
        Ok(image)
    }

    /// Waits for the time the readiness says, or until it holds.
    pub(super) async fn wait_until_ready(
        &self,
        slot: Slot,
        execd_token: &str,
        readiness: &Readiness,
    ) -> Result<(), ServiceError> {
        let limit = Duration::from_secs(readiness.seconds);
        let deadline = Instant::now() + limit;
        loop {
            if !self.runtime.answers(slot, execd_token).await {
                return Err(not_ready("it ended before it was ready"));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let is_ready = match &readiness.probe {
                None => left.is_zero(),
                Some(Probe::Tcp(port)) => self.runtime.listens(slot, execd_token, *port).await,
                Some(Probe::Command(command)) => {
                    let patience = left.clamp(PROBE_PAUSE, PROBE_LIMIT);
                    self.runtime.succeeds(slot, execd_token, command, patience).await?
                }
            };
            if is_ready {
                return Ok(());
            }
            if left.is_zero() {
                return Err(not_ready(&format!("its probe did not succeed within {} s", limit.as_secs())));
            }
            let pause = if readiness.probe.is_some() { PROBE_PAUSE } else { Duration::from_secs(1) };
            sleep(pause.min(left)).await;
        }
    }
}

fn not_ready(problem: &str) -> ServiceError {
    RuntimeError::StartFailed(format!("the sandbox did not become ready: {problem}")).into()
}

fn spec(ahead: &Ahead<'_>, image: &PreparedImage, server_env: &[(String, String)]) -> LaunchSpec {
    let Recipe { command, env, limits, working_dir, user, .. } = ahead.recipe;
    LaunchSpec {
        id: ahead.id.to_owned(),
        slot: ahead.slot,
        layers: image.layers.clone(),
        volumes: Vec::new(),
        entrypoint: command.clone(),
        env: launch::environment(image.env.clone(), server_env, env),
        cwd: launch::directory(working_dir.as_deref().unwrap_or(&image.working_dir)),
        user: user.clone().or_else(|| image.user.clone()),
        limits: *limits,
        execd_token: ahead.execd_token.to_owned(),
        nested_isolation: false,
        standby: ahead.standby,
        pre_start: Duration::ZERO,
        sidecar: None,
    }
}
