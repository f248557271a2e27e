use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// How many members a pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolCapacitySpec {
    /// Most members that wait for an owner.
    #[schema(minimum = 0)]
    pub buffer_max: u32,
    /// Fewest members that wait for an owner.
    #[schema(minimum = 0)]
    pub buffer_min: u32,
    /// Most members, those with an owner included.
    #[schema(minimum = 0)]
    pub pool_max: u32,
    /// Fewest members, those with an owner included.
    #[schema(minimum = 0)]
    pub pool_min: u32,
}

/// A pool to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatePoolRequest {
    /// DNS label that `extensions.poolRef` names the pool by.
    #[schema(max_length = 253, pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    pub name: String,
    /// A Kubernetes PodTemplateSpec. Its only container becomes the sandbox; what has no meaning for a sandbox is refused.
    #[schema(value_type = Object, additional_properties = true)]
    pub template: Map<String, Value>,
    pub capacity_spec: PoolCapacitySpec,
}

/// The part of a pool that can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdatePoolRequest {
    pub capacity_spec: PoolCapacitySpec,
}

/// Where a pool stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolStatus {
    /// Members that are ready or have an owner.
    pub total: u64,
    /// Members that have an owner.
    pub allocated: u64,
    /// Members that can be handed over now.
    pub available: u64,
    /// Tells templates apart.
    pub revision: String,
    /// Why the last member could not be started (an extension).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
}

/// A pool as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolResponse {
    pub name: String,
    pub capacity_spec: PoolCapacitySpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<PoolStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub created_at: Option<DateTime<Utc>>,
}

/// Every pool, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListPoolsResponse {
    pub items: Vec<PoolResponse>,
}
