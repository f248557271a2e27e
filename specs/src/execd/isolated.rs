//! Isolated sessions.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// What a session that says nothing else begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IsolationProfile {
    /// Copy-on-write workspace, `/tmp` of its own, variables that look like secrets withheld.
    #[default]
    Strict,
    /// Workspace written to directly, the sandbox's `/tmp`, all variables but execd's own token.
    Balanced,
}

/// How a directory appears in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MountMode {
    /// Copy-on-write: changes stay in the session until they are committed.
    Overlay,
    /// Read-only.
    Ro,
    /// The directory itself, writable.
    Rw,
}

/// How a session's identity comes about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UidMode {
    /// The sandbox's own ids.
    #[default]
    Setpriv,
    /// One id made up for the session, which is execd's own outside.
    Userns,
}

/// The directory a session works in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IsolatedWorkspaceSpec {
    /// Absolute path, the same inside and outside.
    pub path: String,
    /// Default: `overlay` under strict, `rw` under balanced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mode: Option<MountMode>,
}

/// A further directory of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IsolatedOverlaySpec {
    /// Absolute path, the same inside and outside.
    pub path: String,
    /// How it appears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mode: Option<MountMode>,
    /// Only for overlays: whether changes are kept on disk, where diff and commit find them, or in memory.
    /// Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub persist: Option<bool>,
}

/// A path of the sandbox shown at a path of the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BindMount {
    /// Absolute path in the sandbox.
    pub source: String,
    /// Absolute path in the session; default: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub dest: Option<String>,
    /// Whether it cannot be written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, default = false)]
    pub readonly: Option<bool>,
}

/// What `keys` does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PassthroughMode {
    /// Only these pass.
    Allow,
    /// All but these pass.
    #[default]
    Deny,
}

/// Which of the sandbox's variables a session sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvPassthroughSpec {
    /// Default: `deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mode: Option<PassthroughMode>,
    /// Names, with `*` and `?`, in either case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub keys: Option<Vec<String>>,
}

/// A session to make. At least one of `workspace` and `overlays` is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateIsolatedSessionRequest {
    /// Default: strict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub profile: Option<IsolationProfile>,
    /// Where the session's shell begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub workspace: Option<IsolatedWorkspaceSpec>,
    /// More directories; with the workspace there may be 16. One below another hides what that one has there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_items = 16)]
    pub overlays: Option<Vec<IsolatedOverlaySpec>>,
    /// Paths of the sandbox that can be written to under the same path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub extra_writable: Option<Vec<String>>,
    /// Paths of the sandbox shown elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub binds: Option<Vec<BindMount>>,
    /// False leaves the session a loopback device and no other network; where network namespaces cannot be made, as
    /// in most sandboxes, no sockets but local ones. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub share_net: Option<bool>,
    /// Default: what the profile says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub env_passthrough: Option<EnvPassthroughSpec>,
    /// User id to run as. Default: the sandbox's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub uid: Option<i64>,
    /// Group id to run as. Default: the user's own group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub gid: Option<i64>,
    /// How that identity comes about. Default: setpriv.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, default = "setpriv")]
    pub uid_mode: Option<UidMode>,
    /// Seconds without a run after which the session is deleted; 0 is never. Default: 1800.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub idle_timeout_seconds: Option<i64>,
}

/// A session that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IsolatedCreateSessionResponse {
    /// Identifies the session.
    pub session_id: Uuid,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What a session is up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IsolatedSessionStatus {
    /// It takes runs.
    Active,
    /// Its processes have ended by themselves; it can only be deleted.
    Dead,
    /// It is being deleted.
    Destroyed,
}

/// A session and the parameters it was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionState {
    /// Whether it takes runs.
    pub status: IsolatedSessionStatus,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its last run began or ended; when it was made if it had none.
    pub last_run_at: DateTime<Utc>,
    /// Seconds until it is deleted if nothing runs; null when it has no time limit.
    pub idle_remaining_seconds: Option<i64>,
    /// The parameters, with defaults filled in; `overlays` holds all mounts.
    #[serde(flatten)]
    pub parameters: CreateIsolatedSessionRequest,
}

/// A session in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IsolatedSessionSummary {
    /// Identifies the session.
    pub session_id: Uuid,
    /// Whether it takes runs.
    pub status: IsolatedSessionStatus,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its last run began or ended; when it was made if it had none.
    pub last_run_at: DateTime<Utc>,
    /// Seconds until it is deleted if nothing runs; null when it has no time limit.
    pub idle_remaining_seconds: Option<i64>,
}

/// All sessions, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListIsolatedSessionsResponse {
    /// The sessions.
    pub sessions: Vec<IsolatedSessionSummary>,
}

/// Shell text to run in a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IsolatedRunRequest {
    /// The text. Directory, variables and functions last from run to run.
    pub code: String,
    /// Environment of this run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub envs: Option<BTreeMap<String, String>>,
    /// Seconds after which everything this run started is killed; 0 or absent means after 24 hours. Not for
    /// background runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub timeout_seconds: Option<i64>,
    /// Answer at once and keep the output for the run's logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, default = false)]
    pub background: Option<bool>,
}

/// A background run that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IsolatedBackgroundRunResponse {
    /// The session it runs in.
    pub session_id: Uuid,
    /// Identifies the run.
    pub run_id: Uuid,
    /// When it was accepted.
    pub started_at: DateTime<Utc>,
}

/// What is known of a background run. Kept as long as its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IsolatedRunStatus {
    /// The session it runs in.
    pub session_id: Uuid,
    /// Identifies the run.
    pub run_id: Uuid,
    /// Whether it is still running.
    pub running: bool,
    /// When it was accepted.
    pub started_at: DateTime<Utc>,
    /// Exit status, 128 + N after signal N; null while it runs.
    pub exit_code: Option<i32>,
    /// Why it failed; absent when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// When it ended; null while it runs.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Where to begin reading a background run's output.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RunLogsQuery {
    /// Byte offset, as the previous answer's `EXECD-ISOLATED-TAIL-CURSOR` header gave it. Default: the beginning.
    #[param(minimum = 0)]
    pub cursor: Option<i64>,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IsolatedCommitResponse {
    /// Files, directories and links written.
    pub written: u64,
    /// Entries removed.
    pub removed: u64,
}

/// Whether a wall stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LayerState {
    /// It stands.
    Active,
    /// A part of it is missing.
    Degraded,
    /// It is not used.
    Disabled,
    /// The machine cannot do it.
    Unsupported,
}

/// One wall around a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HardeningLayerState {
    /// Whether it stands.
    pub state: LayerState,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
}

/// What a session's first process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InitMode {
    /// There is none.
    None,
    /// The first of its PID namespace.
    Pid1,
    /// One that adopts orphans.
    Subreaper,
}

/// The walls around a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CapabilitiesResponseHardening {
    /// What a session's first process is.
    pub init_mode: InitMode,
    /// Whether the session's code cannot signal that process.
    pub signal_shield: bool,
    /// Capabilities given up.
    pub cap_drop: HardeningLayerState,
    /// System calls refused.
    pub seccomp: HardeningLayerState,
    /// Writes confined to what is mounted for writing.
    pub landlock: HardeningLayerState,
    /// Observation by eBPF.
    pub ebpf: HardeningLayerState,
}

/// What isolation this machine can give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CapabilitiesResponse {
    /// Whether sessions can be made.
    pub available: bool,
    /// What makes them.
    pub isolator: String,
    /// Its version.
    pub version: String,
    /// Why sessions cannot be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
    /// Whether sessions can have the sandbox's own ids.
    pub setpriv_available: bool,
    /// Whether sessions can have made-up ids.
    pub userns_available: bool,
    /// Whether changes can be written to the sandbox.
    pub commit_supported: bool,
    /// Whether changes can be fetched.
    pub diff_supported: bool,
    /// The walls around a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub hardening: Option<CapabilitiesResponseHardening>,
}
