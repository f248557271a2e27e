//! What was asked for, and what became of it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which entries of the audit log.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Only entries after the one with this number; `next` of an earlier answer.
    #[serde(default)]
    pub after: u64,
    /// At most so many entries: 1 to 1,000, 100 unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// The newest entries, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditList {
    pub entries: Vec<AuditEntry>,
    /// What to ask for next, as `after`.
    pub next: u64,
    /// Entries after the asked-for one that are no longer kept.
    pub lost: u64,
}

/// One attempt to reach something. Never holds a secret, nor a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Counts up from 1 since the sidecar was started.
    pub id: u64,
    /// Milliseconds since the beginning of 1970.
    pub time: u64,
    pub kind: AuditKind,
    /// Whether it was let pass. What became of it then is in `status` and `reason`.
    pub allowed: bool,
    /// The name that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The address and port that were to be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// HTTP method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path as the sandbox sent it, without the query; long ones are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The rule that decided; absent: the default action, or no rule was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The credential binding that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<String>,
    /// HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was refused or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What was attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditKind {
    /// A name was looked up.
    Dns,
    /// A connection that was not opened: another protocol, or a host that is passed through.
    Connection,
    /// A request over HTTPS.
    Https,
    /// A request over HTTP.
    Http,
}

/// Where the sidecar notes what it refuses, in the directory it was given for its state.
pub const REFUSALS_FILE: &str = "refusals.jsonl";
/// Those before, put aside when there were many.
pub const REFUSALS_BEFORE_FILE: &str = "refusals.before.jsonl";

/// One line of these files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// Refusals before this one that were too many to be noted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unsaid: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
