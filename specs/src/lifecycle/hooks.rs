use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Variable of a sandbox that holds its [`SandboxLifecycle`] as JSON, for execd.
pub const LIFECYCLE_VARIABLE: &str = "OPENSANDBOX_LIFECYCLE";

/// Seconds a hook may take that says nothing about it.
pub const DEFAULT_HOOK_SECONDS: i64 = 60;

/// What `timeoutSeconds` of the hook before the start may be.
pub const PRE_START_SECONDS: RangeInclusive<i64> = 1..=10_800;

/// What `timeoutSeconds` of a periodic hook may be.
pub const PERIODIC_SECONDS: RangeInclusive<i64> = 1..=300;

/// Periodic hooks of one sandbox.
pub const MAX_PERIODIC_HOOKS: usize = 64;

/// Commands tied to a sandbox's life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SandboxLifecycle {
    /// Runs before the entrypoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_start: Option<LifecycleHook>,
    /// Run again and again on their schedules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub periodic: Option<Vec<PeriodicLifecycleHook>>,
}

/// A command run once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LifecycleHook {
    /// Program and arguments; no shell is involved.
    #[schema(min_items = 1)]
    pub command: Vec<String>,
    /// Seconds the command may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10800)]
    pub timeout_seconds: Option<i64>,
}

/// A command run on a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PeriodicLifecycleHook {
    /// Unique among the sandbox's hooks.
    #[schema(min_length = 1)]
    pub name: String,
    /// Five cron fields, a name such as `@hourly`, or `@every N` with whole seconds.
    #[schema(min_length = 1)]
    pub schedule: String,
    /// Program and arguments; no shell is involved.
    #[schema(min_items = 1)]
    pub command: Vec<String>,
    /// Seconds one run may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 300)]
    pub timeout_seconds: Option<i64>,
}
