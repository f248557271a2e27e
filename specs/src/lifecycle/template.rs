use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PaginationInfo;

/// A template to build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateFsbTemplateRequest {
    /// Image to start from.
    #[schema(min_length = 1)]
    pub image: String,
    /// Name the template goes by for people.
    #[schema(min_length = 1)]
    pub publish: String,
    /// `cpu` (1), `memory` (`512Mi`) and `disk` (`2Gi`), with what counts without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_limits: Option<BTreeMap<String, String>>,
    /// Program and arguments; absent keeps the sandbox idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1)]
    pub entrypoint: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Labels to find the template by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<FsbTemplateReadiness>,
    /// Format other servers store templates in; this one has its own and only remembers what was asked for.
    #[serde(default)]
    pub format: FsbTemplateFormat,
}

/// How a template is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FsbTemplateFormat {
    Native,
    #[default]
    Overlaybd,
}

/// When a sandbox from the template counts as working.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FsbTemplateReadiness {
    /// `tcp://[HOST:]PORT`: something listens on the port. `cmd://COMMAND`: the shell command ends with status 0. Holds
    /// for every sandbox of the template: each is pending until then, and one that does not get there fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "tcp://127.0.0.1:8000")]
    pub probe: Option<String>,
    /// Seconds the probe may take to succeed (60); without a probe, seconds the template's trial runs before it is judged
    /// (0), for which no other sandbox waits. What the trial does is in no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub warmup_seconds: Option<i64>,
}

/// How far a template is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FsbTemplateStatus {
    pub phase: FsbTemplatePhase,
    /// The image sandboxes of this template start from, for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub manifest_ref: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
}

/// Step of a template's build. Only a template that succeeded can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum FsbTemplatePhase {
    Pending,
    Building,
    Succeeded,
    Failed,
}

/// A template as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FsbTemplate {
    pub template_id: String,
    pub image: String,
    pub publish: String,
    pub format: FsbTemplateFormat,
    pub status: FsbTemplateStatus,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub resource_limits: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub entrypoint: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub env: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub metadata: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub readiness: Option<FsbTemplateReadiness>,
}

/// One page of templates, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ListFsbTemplatesResponse {
    pub items: Vec<FsbTemplate>,
    pub pagination: PaginationInfo,
}
