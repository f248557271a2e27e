//! What hosts a sandbox: one trait, several ways to implement it.
//!
//! The record (see [`crate::sandbox`]) says what should be; a [`Runtime`] says what is. Nothing here knows about
//! HTTP, records or expiry.

mod agent;
mod log;
pub mod native;
pub(crate) mod oci;
mod run;

use std::{
    collections::BTreeMap, fmt, net::Ipv4Addr, os::fd::OwnedFd, path::PathBuf, sync::Arc, time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use agent::Line;
pub use log::{Excerpt, Extent, Follower, Log, Logs, Progress};
pub use run::Run;

/// Identifier of a sandbox: a lower-case UUID with hyphens.
pub type SandboxId = String;

/// A numbered place for one sandbox on this host.
///
/// Everything that must be private to a sandbox follows from it: address, uid range, interface name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    pub number: u16,
    pub address: Ipv4Addr,
}

/// Everything a runtime needs to start a sandbox.
#[derive(Debug, Clone)]
pub struct LaunchSpec {
    pub id: SandboxId,
    pub slot: Slot,
    /// Unpacked image layers, topmost first; shared between sandboxes and never written.
    pub layers: Vec<PathBuf>,
    /// Storage mounted into the sandbox, in this order.
    pub volumes: Vec<MountedVolume>,
    /// The user's program; empty means the sandbox only answers requests.
    pub entrypoint: Vec<String>,
    /// Environment of the entrypoint and of every command, later entries winning.
    pub env: Vec<(String, String)>,
    /// Working directory inside the sandbox.
    pub cwd: String,
    /// `user[:group]` by name or number, as an image configuration states it; `None` is root.
    pub user: Option<String>,
    pub limits: Limits,
    /// Access token of the sandbox's execd; also part of the sandbox's environment.
    pub execd_token: String,
    /// Prepare the sandbox for nested isolated sessions (`bootstrap.execd.isolation=enable`).
    pub nested_isolation: bool,
    /// Start ahead of an owner, to be given to one by [`Runtime::hand_over`].
    pub standby: bool,
    /// Time the sandbox may take, on top of its own start, for a command that runs before its program.
    pub pre_start: Duration,
    /// Guards what leaves the sandbox, from before anything in it runs.
    pub sidecar: Option<Sidecar>,
}

/// A process beside a sandbox: in its network, and out of its reach.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sidecar {
    /// All it is told, but for what the runtime knows better.
    pub env: BTreeMap<String, String>,
    /// It reads TLS: the sandbox gets the certificate of its authority.
    pub intercepts: bool,
    /// Time it may take until what it is there for is in force.
    pub patience: Duration,
}

// Its variables hold secrets.
impl fmt::Debug for Sidecar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sidecar").field("intercepts", &self.intercepts).finish_non_exhaustive()
    }
}

/// What a runtime is told to start a sandbox again; the rest it kept.
#[derive(Debug, Clone)]
pub struct StartSpec {
    pub id: SandboxId,
    /// As in [`LaunchSpec`].
    pub volumes: Vec<MountedVolume>,
    pub limits: Limits,
    /// As in [`LaunchSpec`].
    pub pre_start: Duration,
    /// Start from its memory if that was kept; otherwise that is given up.
    pub memory: bool,
    /// What its owner brought, if it was started ahead of him.
    pub owner: Option<HandOver>,
}

/// Whether this host can keep the memory of stopped sandboxes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStop {
    /// Version of the tool found for it.
    pub version: Option<String>,
    /// Why not; `None` where it can.
    pub reason: Option<String>,
}

/// What a stop is to keep of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Files,
    /// The memory of its processes too, or else it goes on.
    Memory,
    /// What an earlier server was about to keep.
    AsBegun,
}

/// Storage on its way into a sandbox.
#[derive(Debug, Clone)]
pub struct MountedVolume {
    /// What the request calls it.
    pub name: String,
    /// The file or directory to mount, opened as a place.
    pub source: Arc<OwnedFd>,
    /// Absolute path inside the sandbox.
    pub target: String,
    pub read_only: bool,
    /// Owners on disk are as sandboxes see them; otherwise everything belongs to this one's root already.
    pub has_owners: bool,
}

/// Upper bounds for one sandbox; `None` means the runtime's configured default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub pids: Option<u64>,
    /// Bytes the sandbox may write to its own file system.
    pub disk_bytes: Option<u64>,
    /// What it is to have of these where others want them too.
    #[serde(default, skip_serializing_if = "Guaranteed::is_nothing")]
    pub guaranteed: Guaranteed,
}

/// Shares for one sandbox; `None` means nothing in particular.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guaranteed {
    /// Thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    pub memory_bytes: Option<u64>,
}

impl Guaranteed {
    pub const NOTHING: Self = Self { cpu_millis: None, memory_bytes: None };

    pub fn is_nothing(&self) -> bool {
        *self == Self::NOTHING
    }

    /// Bytes of memory that others must leave it.
    pub fn memory(&self) -> u64 {
        self.memory_bytes.unwrap_or_default()
    }
}

/// What the owner of a sandbox that was started ahead of him brings.
#[derive(Clone, PartialEq, Eq)]
pub struct HandOver {
    /// Access token of the sandbox's execd from now on.
    pub execd_token: String,
    /// Variables on top of those it was launched with, for everything that starts from now on.
    pub env: BTreeMap<String, String>,
    /// Becomes the sandbox's program; empty leaves that to the one it was launched with.
    pub entrypoint: Vec<String>,
}

// Token and variables are secrets.
impl fmt::Debug for HandOver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HandOver").field("entrypoint", &self.entrypoint).finish_non_exhaustive()
    }
}

/// How a sandbox's first process ended.
#[derive(Debug, Clone)]
pub struct Exit {
    pub id: SandboxId,
    /// What ended. A sandbox that was stopped and started meanwhile has another one.
    pub run: Run,
    /// Exit status, 128 + N after signal N; `None` when it ended unseen.
    pub code: Option<i32>,
    /// Processes the memory limit has killed during this run, whichever they were.
    pub oom_kills: u64,
}

/// A sandbox the runtime found on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub id: SandboxId,
    pub slot: Slot,
    /// Its first process is alive and adopted: a later end is reported as an [`Exit`].
    pub alive: bool,
    /// That process went on from kept memory: it is as far as it will be.
    pub went_on: bool,
    /// Known status of a first process that is gone.
    pub exit_code: Option<i32>,
}

/// Where the time of a launch went.
#[derive(Debug, Clone, Default)]
pub struct LaunchReport {
    /// Processes go on where they were; nothing began anew.
    pub memory: bool,
    pub phases: Vec<(&'static str, Duration)>,
}

/// Why a runtime could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The request cannot be met on this host; the text says what to change.
    #[error("{0}")]
    Invalid(String),
    /// The host has no room: slots, disk watermark, memory.
    #[error("{0}")]
    Exhausted(String),
    /// The sandbox's program could not be started.
    #[error("{0}")]
    StartFailed(String),
    /// The memory of the sandbox cannot be kept; it goes on.
    #[error("the sandbox's memory cannot be kept: {0}")]
    NotSaved(String),
    #[error("no sandbox {0} on this host")]
    NotFound(SandboxId),
    #[error("{context}: {source}")]
    Os { context: String, source: std::io::Error },
}

impl RuntimeError {
    /// A disk of the host has no room for it.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Os { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}

/// Measured use of one sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    pub cpu_micros: u64,
    pub memory_bytes: u64,
    pub memory_peak_bytes: Option<u64>,
    pub pids: u64,
    /// Processes the memory limit has killed.
    pub oom_kills: u64,
    /// Starts of processes and threads that the limit of pids has refused.
    pub pids_refused: u64,
    pub disk_bytes: Option<u64>,
    /// Bytes it may still write.
    pub disk_free_bytes: Option<u64>,
}

/// Something a sandbox wanted of the outside and did not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub at: DateTime<Utc>,
    /// The name, the connection or the request.
    pub what: String,
    pub why: String,
    /// Refusals before this one that were too many to be noted.
    pub unsaid: u64,
}

/// What passes on one sandbox's network: beginnings of connections and data, either way.
#[async_trait]
pub trait Traffic: Send + Sync {
    /// Whether anything passed since the last call.
    fn moved(&self) -> bool;

    /// Waits until something arrives for the sandbox. What [`Traffic::moved`] has told of is forgotten.
    async fn arrival(&self);
}

/// What a sandbox has written, for copying.
#[derive(Debug)]
pub struct PrivateLayer {
    /// The upper directory of its overlay. Owners are as the sandbox sees them; larger ids are the host's root.
    pub upper: OwnedFd,
    /// Paths in it that are made anew for every sandbox.
    pub skip: &'static [&'static str],
}

#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Whether this host has memory, processes and disk for another sandbox that takes `memory` bytes, with `guaranteed`
    /// ones for all sandboxes together then. Cheap; nothing on the host changes.
    ///
    /// # Errors
    /// `Exhausted` says of what there is too little.
    fn check_room(&self, _memory: u64, _guaranteed: u64) -> Result<(), RuntimeError> {
        Ok(())
    }

    /// Takes a free slot for `id`. Cheap; nothing on the host changes.
    fn reserve(&self, id: &str) -> Result<Slot, RuntimeError>;

    /// The host's number of the root of a sandbox in this slot.
    fn root_of(&self, _slot: Slot) -> u32 {
        0
    }

    /// Gives back a slot that was reserved and never launched.
    fn release(&self, id: &str);

    /// Starts the sandbox and returns once its execd accepts connections. On an error (or if the returned future
    /// is dropped) nothing of it remains except the slot's reservation.
    async fn launch(&self, spec: &LaunchSpec) -> Result<LaunchReport, RuntimeError>;

    /// Kills the sandbox at once and frees everything it held, its slot included. Returns as soon as no process of
    /// it runs; the rest is cleaned in the background and survives a restart. Unknown ids are fine.
    async fn destroy(&self, id: &str) -> Result<(), RuntimeError>;

    /// Everything on the host that belongs to this runtime, live sandboxes adopted. Called once, at start, before any
    /// other method; half-made leftovers that hold no sandbox are removed on the way.
    async fn adopt(&self) -> Result<Vec<Found>, RuntimeError>;

    /// The ends of first processes, each reported once. Can be taken once.
    fn exits(&self) -> mpsc::UnboundedReceiver<Exit>;

    /// Ends every process of a sandbox and keeps its files, its address and its place, for [`Runtime::start`], also of
    /// a later server. One that is stopped already is fine. After an error it is as before, or stopped.
    /// Says whether a start will find the memory of its processes.
    ///
    /// # Errors
    /// `NotSaved` when that was to be kept and cannot; it goes on then.
    async fn stop(&self, id: &str, keep: Keep) -> Result<bool, RuntimeError>;

    /// Starts a stopped sandbox anew on its files; returns once its execd accepts connections. On an error it is
    /// stopped as before.
    async fn start(&self, wish: &StartSpec) -> Result<LaunchReport, RuntimeError>;

    /// Whether a stopped sandbox could keep its memory.
    async fn memory_stop(&self) -> MemoryStop;

    /// Stops every process of a sandbox where it is; returns once all of them stand still, or undoes it. One that is
    /// frozen already is fine.
    async fn freeze(&self, id: &str) -> Result<(), RuntimeError>;

    /// Lets the processes of a frozen sandbox go on. One that is not frozen is fine.
    async fn thaw(&self, id: &str) -> Result<(), RuntimeError>;

    /// An ear on the sandbox's network, open while the sandbox is there. Must be called within an async runtime.
    fn traffic(&self, id: &str) -> Result<Arc<dyn Traffic>, RuntimeError>;

    /// Opens what the sandbox has written. The caller sees to it that nothing in it runs while it is read, and that the
    /// sandbox is neither started nor destroyed before the answer is dropped.
    async fn private_layer(&self, id: &str) -> Result<PrivateLayer, RuntimeError>;

    /// Whether the execd in `slot` answers, and to this token.
    async fn answers(&self, slot: Slot, execd_token: &str) -> bool {
        agent::Agent::of(slot, execd_token).answers().await
    }

    /// A connection to the execd in `slot`, so that [`hand_over`](Self::hand_over) need not make one.
    async fn line(&self, slot: Slot, execd_token: &str) -> Option<Line> {
        agent::Agent::of(slot, execd_token).line().await
    }

    /// Gives a sandbox launched with [`LaunchSpec::standby`] to its owner; returns once his program runs. Works once.
    /// After an error it is of no use to anybody.
    ///
    /// # Errors
    /// `StartFailed` when the owner's program cannot be started.
    async fn hand_over(
        &self,
        slot: Slot,
        execd_token: &str,
        line: Option<Line>,
        order: HandOver,
    ) -> Result<(), RuntimeError> {
        agent::Agent::of(slot, execd_token).on(line).hand_over(order).await
    }

    /// Whether something in the sandbox listens on `port`, on its address or on its loopback.
    async fn listens(&self, slot: Slot, execd_token: &str, port: u16) -> bool {
        agent::Agent::of(slot, execd_token).listens(port).await
    }

    /// Runs a shell command in the sandbox; whether it ended with status 0 within `limit`.
    async fn succeeds(
        &self,
        slot: Slot,
        execd_token: &str,
        command: &str,
        limit: Duration,
    ) -> Result<bool, RuntimeError> {
        agent::Agent::of(slot, execd_token).succeeds(command, limit).await
    }

    async fn usage(&self, id: &str) -> Result<Usage, RuntimeError>;

    /// Bytes on the disk of the memory that a stopped sandbox can be started from.
    async fn kept_memory(&self, _id: &str) -> u64 {
        0
    }

    /// The limits that hold for a sandbox with these of its own.
    fn effective(&self, limits: Limits) -> Limits {
        limits
    }

    /// The newest of what a sandbox was refused outside, oldest first.
    async fn refusals(&self, _id: &str) -> Result<Vec<Refusal>, RuntimeError> {
        Ok(Vec::new())
    }

    /// What the sandbox's program has printed, also after its end; `None` if the runtime keeps no logs.
    fn log(&self, _id: &str) -> Option<Arc<Log>> {
        None
    }

    /// Removes a sandbox's log, which outlives the sandbox otherwise.
    fn forget_logs(&self, _id: &str) {}

    /// Removes all logs but those of sandboxes that `keep` names.
    fn keep_logs(&self, _keep: &dyn Fn(&str) -> bool) {}

    /// Stops what the runtime runs for itself; sandboxes keep running.
    async fn shutdown(&self);
}
