use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a sandbox uses now. A limit that is absent is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SandboxMetrics {
    /// When this was measured.
    pub at: DateTime<Utc>,
    /// Microseconds of processor time used so far.
    pub cpu_micros: u64,
    /// Thousandths of a processor it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cpu_limit_millis: Option<u64>,
    /// Bytes of memory in use, those of cached files included.
    pub memory_bytes: u64,
    /// The most so far, where the kernel counts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub memory_peak_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub memory_limit_bytes: Option<u64>,
    /// Processes killed at the memory limit so far.
    pub oom_kills: u64,
    /// Processes and threads.
    pub pids: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pids_limit: Option<u64>,
    /// Starts of processes and threads refused at that limit so far.
    pub pids_refused: u64,
    /// Bytes its own files take on the host, where that is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub disk_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub disk_limit_bytes: Option<u64>,
    /// Bytes it may still write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub disk_free_bytes: Option<u64>,
}
