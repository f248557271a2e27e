//! What execd and the agent inside a session say to each other.

use std::path::PathBuf;

use sandkeep_specs::execd::isolated::MountMode;
use serde::{Deserialize, Serialize};

/// First argument of this binary when it is to become an agent.
pub(super) const AGENT_ARGUMENT: &str = "isolated-agent";

/// Where the agent finds the directory for runs inside its session.
pub(super) const RUNS_INSIDE: &str = "/dev/.execd";

/// A mount of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mount {
    /// What of the sandbox is shown.
    pub source: PathBuf,
    /// Where it is shown.
    pub target: PathBuf,
    pub mode: MountMode,
    /// Directory with `upper` and `work` of an overlay that is kept; without one its changes are held in memory.
    pub layer: Option<PathBuf>,
}

/// How ids of the session relate to the sandbox's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ids {
    /// They are the same.
    Same,
    /// There is one user and one group, which are execd's own outside.
    One { uid: u32, gid: u32 },
}

/// Everything the agent needs to know. Its environment is the session's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Empty directory the session's root is put together in.
    pub root: PathBuf,
    /// Directory for outputs of runs, shown at [`RUNS_INSIDE`].
    pub runs: PathBuf,
    /// Directory that holds all sessions, hidden from each.
    pub state: PathBuf,
    pub ids: Ids,
    /// User, group and groups of the shell; `None` is the agent's own.
    pub identity: Option<(u32, u32, Vec<u32>)>,
    pub cwd: PathBuf,
    /// Sorted so that what lies above comes first.
    pub mounts: Vec<Mount>,
    pub share_net: bool,
    /// A `/tmp` of its own instead of the sandbox's.
    pub private_tmp: bool,
    /// Put everything up, report and end.
    pub probe: bool,
}

/// What stands around a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Walls {
    /// The kernel's Landlock version in use, 0 when there is none.
    pub landlock: i32,
    /// A network of its own, with a loopback device.
    pub network: bool,
}

/// The agent's one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// It serves.
    Ready {
        /// Its bash session; `None` for a probe.
        session: Option<String>,
        walls: Walls,
    },
    /// The request asks for something that cannot be mounted.
    Invalid(String),
    /// The machine refuses.
    Refused(String),
}
