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
    /// Give the command a standard input that `POST /command/{id}/stdin` writes and closes; otherwise it is empty
    /// (an extension).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(default = false)]
    pub stdin: bool,
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

/// Which commands to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListCommandsQuery {
    /// Only those that are running, or only those that have ended. Default: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<bool>,
    /// How many at most. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// What a list says about a command (an extension).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandSummary {
    /// The command's id: 32 hexadecimal digits.
    pub id: String,
    /// The first thousand characters of its text, or of its arguments joined by spaces.
    pub content: String,
    /// Whether it was started in the background.
    pub background: bool,
    /// Whether its standard input can be written.
    pub stdin_open: bool,
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
    /// Present and true when the time limit ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub timed_out: Option<bool>,
}

/// Where to go on in a command's stream.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttachQuery {
    /// Bytes of output to leave out, because the client has them. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

/// What to do with a command's standard input after the bytes are written.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StdinQuery {
    /// Close it, so that the command reads its end. Default: leave it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<bool>,
}

/// What was written to a command's standard input (an extension).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StdinWritten {
    /// Bytes of this request that the command has, or will find in its pipe.
    pub written: u64,
    /// Whether the standard input is closed now.
    pub closed: bool,
}
