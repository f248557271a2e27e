//! `[native]`: sandboxes as namespaces and control groups of this machine.

use std::{net::IpAddr, path::PathBuf};

use serde::Deserialize;

use super::{
    DockerTable, Quantity,
    error::Problem,
    ingest::{at_least, percent},
};

/// Processes and threads of a sandbox unless something else is said.
const DEFAULT_PIDS: u64 = 4096;

/// Sandboxes as namespaces and control groups of this machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NativeTable {
    /// Where images, sandboxes and records are kept. Default `/var/lib/sandkeep`.
    pub state_dir: PathBuf,
    /// Network the sandboxes' addresses come from, which no other server on this host may use. Default `10.231.0.0/16` or,
    /// if another server has that, one that is free.
    pub subnet: Option<String>,
    /// Program of an OCI runtime such as `runc`; empty launches directly. Default empty.
    pub oci_runtime: String,
    /// The static execd program. Default: beside the server's own program.
    pub execd: Option<PathBuf>,
    /// The egress sidecar's program. Default: beside the server's own program.
    pub egress_sidecar: Option<PathBuf>,
    /// Directory of CRIU with its loader and libraries. Default `/usr/local/lib/sandkeep/criu`.
    pub criu: Option<PathBuf>,
    /// Keeps setuid programs such as sudo from gaining anything inside a sandbox. Default true.
    pub no_new_privileges: Option<bool>,
    /// CPUs of a sandbox whose request names none, such as `2` or `500m`. Default none.
    pub default_cpu: Option<Quantity>,
    /// Memory of a sandbox whose request names none. Default none.
    pub default_memory: Option<Quantity>,
    /// Processes and threads of a sandbox whose request names none. Default 4096.
    pub default_pids: Option<u64>,
    /// Bytes a sandbox whose request names none may write to its own file system. Default `10Gi`.
    pub default_disk: Quantity,
    /// Space that must stay free under `state_dir`; with less, creates are refused. Default `1Gi`.
    pub min_free_disk: Quantity,
    /// The same in percent of the file system; the larger of the two counts. Default 2.
    pub min_free_disk_percent: u8,
    /// Memory that must stay available on this host; with less, creates are refused. Default `256Mi`.
    pub min_free_memory: Quantity,
    /// The same in percent of the host's memory; the larger of the two counts. Default 3.
    pub min_free_memory_percent: u8,
    /// Processes and threads the host must have room for; with less, creates are refused. Default 512.
    pub min_free_pids: u64,
    /// Percent of the host's memory that the memory limits of all sandboxes may add up to; needs `default_memory`. 0 is
    /// no bound: then only memory in use counts. Default 0.
    pub max_committed_memory_percent: u32,
    /// Name servers of the sandboxes. Default: the host's, without loopback addresses.
    pub dns: Vec<IpAddr>,
    /// Networks no sandbox reaches, besides link-local ones and the sandboxes themselves. Default none.
    pub deny_cidrs: Vec<String>,
    /// First of the user ids that sandboxes map theirs to. Default 268435456.
    pub uid_base: u32,
    /// Sandbox places prepared ahead of requests. Default 8.
    pub prepared_slots: usize,
    /// How file systems of sandboxes are put together: `auto`, `detached` or `attached`. Default `auto`.
    pub overlay: OverlayKind,
    /// Connections through this host a sandbox may have at a time. Default 16384.
    pub max_flows: u32,
    /// Most that is kept of what one sandbox prints. Default `2Mi`.
    pub log_size: Quantity,
}

/// How file systems of sandboxes are put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverlayKind {
    /// Whichever works on this kernel.
    #[default]
    Auto,
    /// From detached mounts, for Linux 6.15 and newer.
    Detached,
    /// From paths in a private mount namespace.
    Attached,
}

impl Default for NativeTable {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from("/var/lib/sandkeep"),
            subnet: None,
            oci_runtime: String::new(),
            execd: None,
            egress_sidecar: None,
            criu: None,
            no_new_privileges: None,
            default_cpu: None,
            default_memory: None,
            default_pids: None,
            default_disk: Quantity::gibibytes(10),
            min_free_disk: Quantity::gibibytes(1),
            min_free_disk_percent: 2,
            min_free_memory: Quantity::mebibytes(256),
            min_free_memory_percent: 3,
            min_free_pids: 512,
            max_committed_memory_percent: 0,
            dns: Vec::new(),
            deny_cidrs: Vec::new(),
            uid_base: 0x1000_0000,
            prepared_slots: 8,
            overlay: OverlayKind::Auto,
            max_flows: 16384,
            log_size: Quantity::mebibytes(2),
        }
    }
}

impl NativeTable {
    /// Takes over what `[docker]` says and this table doesn't.
    pub(super) fn settle(&mut self, docker: &DockerTable) {
        self.no_new_privileges = self.no_new_privileges.or(docker.no_new_privileges);
        self.default_pids = self.default_pids.or(docker.pids_limit);
    }

    pub fn no_new_privileges(&self) -> bool {
        self.no_new_privileges.unwrap_or(true)
    }

    pub fn default_pids(&self) -> u64 {
        self.default_pids.unwrap_or(DEFAULT_PIDS)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        if !self.state_dir.is_absolute() {
            return Err(("native.state_dir", format!("must be an absolute path, is {:?}", self.state_dir)));
        }
        at_least("native.default_pids", self.default_pids(), 1)?;
        if let Some(path) = self.criu.as_ref().filter(|path| !path.is_absolute()) {
            return Err(("native.criu", format!("must be an absolute path, is {path:?}")));
        }
        at_least("native.max_flows", self.max_flows.into(), 1)?;
        if let Some(cpu) = &self.default_cpu {
            cpu.cpu_millis().map_err(|error| ("native.default_cpu", error.to_string()))?;
        }
        for (key, size) in [
            ("native.default_memory", self.default_memory.as_ref()),
            ("native.default_disk", Some(&self.default_disk)),
            ("native.min_free_disk", Some(&self.min_free_disk)),
            ("native.log_size", Some(&self.log_size)),
            ("native.min_free_memory", Some(&self.min_free_memory)),
        ] {
            size.map_or(Ok(0), Quantity::bytes).map_err(|error| (key, error.to_string()))?;
        }
        if self.max_committed_memory_percent > 0 && self.default_memory.is_none() {
            let problem =
                "needs native.default_memory, which sandboxes without a limit count with".to_owned();
            return Err(("native.max_committed_memory_percent", problem));
        }
        percent("native.min_free_memory_percent", self.min_free_memory_percent)?;
        percent("native.min_free_disk_percent", self.min_free_disk_percent)
    }
}
