//! Commands.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A command to run: exactly one of `command` and `argv`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunCommandRequest {
    /// Shell text, run by `bash -c`, or `sh -c` where there is no bash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Program and arguments, run without a shell. A bare name is looked up in the absolute entries of the command's
    /// `PATH`, any other relative path in `cwd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1)]
    pub argv: Option<Vec<String>>,
    /// Working directory; `~` and `$NAME` are expanded. Default: the sandbox's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// End the stream at once and keep the output for `GET /command/{id}/logs`.
    #[serde(default)]
    #[schema(default = false)]
    pub background: bool,
    /// Milliseconds after which the command's process group is killed; 0 or absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// User id to run as. Default: the sandbox's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group id to run as; needs `uid`. Default: the user's own group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Environment on top of the sandbox's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envs: Option<BTreeMap<String, String>>,
}

/// What is known of a command. Kept for at least 24 hours after its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CommandStatusResponse)]
pub struct CommandStatus {
    /// The command's id: 32 hexadecimal digits.
    pub id: String,
    /// Its text, or its arguments joined by spaces.
    pub content: String,
    /// Whether it is still running.
    pub running: bool,
    /// Exit status, 128 + N after signal N, 255 when it could not start; null while it runs.
    pub exit_code: Option<i32>,
    /// Why it failed; absent when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// When it ended; null while it runs.
    pub finished_at: Option<DateTime<Utc>>,
    /// Present and true when the time limit ended it (an extension).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub timed_out: Option<bool>,
}

/// Which command to interrupt.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InterruptQuery {
    /// The command's id.
    pub id: String,
}

/// Where to begin reading a background command's output.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LogsQuery {
    /// Byte offset, as the previous answer's `EXECD-COMMANDS-TAIL-CURSOR` header gave it. Default: the beginning.
    #[param(minimum = 0)]
    pub cursor: Option<i64>,
}
