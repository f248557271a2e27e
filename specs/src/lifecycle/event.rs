use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::SandboxState;

/// Header with the number of the last event a reader has seen.
pub const LAST_EVENT_ID_HEADER: &str = "Last-Event-ID";

/// Something that happened to a sandbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SandboxEvent {
    /// Number of the event; a later one has a higher number.
    pub id: i64,
    /// `sandbox.state`, `sandbox.deleted`, `sandbox.image` (it has to be fetched first), `sandbox.limit` (the sandbox ran
    /// into one), or `reset`: events after the place the reader asked for are gone. The set is open.
    #[schema(example = "sandbox.state")]
    pub r#type: String,
    pub at: DateTime<Utc>,
    /// Absent in a `reset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sandbox_id: Option<String>,
    /// The state the sandbox is in now; with `sandbox.state`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub state: Option<SandboxState>,
    /// Short, stable cause of the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// What happened, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
    /// The sandbox's labels at that time, of which at most 16 KiB are kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Figures: `durationMs` and `phases` of a start, `exitCode` and `oomKilled` of an end, `limit` and `count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Object)]
    pub details: Option<Value>,
}
