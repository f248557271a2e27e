use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a client measured on its side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricsEvent {
    pub event_type: MetricsEventType,
    /// Milliseconds from the create request until the sandbox was usable.
    pub create_duration_ms: u64,
    /// Whether the sandbox became usable.
    pub success: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// Kind of a [`MetricsEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum MetricsEventType {
    #[serde(rename = "sandbox.create")]
    SandboxCreate,
}
