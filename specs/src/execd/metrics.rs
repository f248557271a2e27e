//! Resource use.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Resources as seen from inside the sandbox: of its control group where that is visible, else of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Metrics {
    /// CPUs that may be used.
    pub cpu_count: f32,
    /// Share of those CPUs in use since the previous sample, 0 to 100.
    pub cpu_used_pct: f32,
    /// Memory that may be used, in MiB.
    pub mem_total_mib: f32,
    /// Memory in use, in MiB, caches that can be dropped not counted.
    pub mem_used_mib: f32,
    /// When this was measured, in Unix milliseconds.
    pub timestamp: i64,
}
