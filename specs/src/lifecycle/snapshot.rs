use std::{borrow::Cow, fmt};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use super::PaginationInfo;

/// What the snapshot is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateSnapshotRequest {
    /// For people, and to filter the list by; several snapshots may share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    pub name: Option<String>,
}

/// The files of a sandbox at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    pub id: String,
    /// The sandbox it was made of, which may be gone.
    pub sandbox_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
    pub status: SnapshotStatus,
    pub created_at: DateTime<Utc>,
}

/// Where a snapshot stands in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotStatus {
    pub state: SnapshotState,
    /// Short machine-readable cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// The cause for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_transition_at: Option<DateTime<Utc>>,
}

/// A page of snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListSnapshotsResponse {
    pub items: Vec<Snapshot>,
    pub pagination: PaginationInfo,
}

/// Phase of a snapshot's life.
///
/// The set is open: a client must cope with a name it doesn't know.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum SnapshotState {
    /// Accepted, not usable yet.
    Creating,
    /// Sandboxes can start from it.
    Ready,
    /// It could not be made, or its content is gone.
    Failed,
    /// Being removed.
    Deleting,
    /// A state this version doesn't know.
    Other(String),
}

impl SnapshotState {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Creating => "Creating",
            Self::Ready => "Ready",
            Self::Failed => "Failed",
            Self::Deleting => "Deleting",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for SnapshotState {
    fn from(name: String) -> Self {
        match name.as_str() {
            "Creating" => Self::Creating,
            "Ready" => Self::Ready,
            "Failed" => Self::Failed,
            "Deleting" => Self::Deleting,
            _ => Self::Other(name),
        }
    }
}

impl From<SnapshotState> for String {
    fn from(state: SnapshotState) -> Self {
        state.as_str().to_owned()
    }
}

impl fmt::Display for SnapshotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// An enum in the document would make generated clients refuse states added later.
impl PartialSchema for SnapshotState {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "Phase of a snapshot's life: Creating, Ready, Failed or Deleting. The set is open: a client must cope \
                 with a name it doesn't know.",
            ))
            .examples(["Ready"])
            .into()
    }
}

impl ToSchema for SnapshotState {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("SnapshotState")
    }
}
