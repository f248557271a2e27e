//! `[images]`: registries and the local store.

use std::time::Duration;

use serde::Deserialize;

use super::{
    Quantity,
    error::Problem,
    ingest::{at_least, percent},
};

/// Registries and the local store.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImagesConfig {
    /// Registries (`host[:port]`) spoken to without TLS. Loopback ones always may be. With tenants, only these may be on
    /// this host, its sandboxes' network or a link. Default none.
    pub insecure_registries: Vec<String>,
    /// Seconds to connect to a registry. Default 10.
    pub connect_timeout_seconds: u64,
    /// Seconds a transfer may stand still. Default 30.
    pub stall_timeout_seconds: u64,
    /// Seconds one pull may take. Default 1800.
    pub pull_timeout_seconds: u64,
    /// Layers of one image fetched at once. Default 3.
    pub parallel_layers: usize,
    /// Space that must stay free; pulls and imports that would need it are refused. Default `1Gi`.
    pub min_free_disk: Quantity,
    /// The same in percent of the file system; the larger of the two counts. Default 2.
    pub min_free_disk_percent: u8,
}

impl Default for ImagesConfig {
    fn default() -> Self {
        Self {
            insecure_registries: Vec::new(),
            connect_timeout_seconds: 10,
            stall_timeout_seconds: 30,
            pull_timeout_seconds: 1800,
            parallel_layers: 3,
            min_free_disk: Quantity::gibibytes(1),
            min_free_disk_percent: 2,
        }
    }
}

impl ImagesConfig {
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout_seconds)
    }

    pub fn stall_timeout(&self) -> Duration {
        Duration::from_secs(self.stall_timeout_seconds)
    }

    pub fn pull_timeout(&self) -> Duration {
        Duration::from_secs(self.pull_timeout_seconds)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        at_least("images.connect_timeout_seconds", self.connect_timeout_seconds, 1)?;
        at_least("images.stall_timeout_seconds", self.stall_timeout_seconds, 1)?;
        at_least("images.pull_timeout_seconds", self.pull_timeout_seconds, 1)?;
        percent("images.min_free_disk_percent", self.min_free_disk_percent)?;
        self.min_free_disk.bytes().map_err(|error| ("images.min_free_disk", error.to_string()))?;
        at_least("images.parallel_layers", self.parallel_layers as u64, 1)
    }
}
