//! `[proxy]`: requests forwarded into sandboxes.

use std::time::Duration;

use serde::Deserialize;

use super::{error::Problem, ingest::at_least};

/// Requests forwarded into sandboxes.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyConfig {
    /// Seconds to connect to a sandbox. Default 5.
    pub connect_timeout_seconds: u64,
    /// Seconds a sandbox may be silent, before its answer and within it. Default 180.
    pub read_timeout_seconds: u64,
    /// Ports anybody may reach through the proxy. Default none: callers show the API key or the access token that
    /// `endpoints/{port}` returned.
    pub public_ports: Vec<u16>,
    // The server always knows its sandboxes' own addresses.
    resolve_internal: Option<bool>,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            connect_timeout_seconds: 5,
            read_timeout_seconds: 180,
            public_ports: Vec::new(),
            resolve_internal: None,
        }
    }
}

impl ProxyConfig {
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout_seconds)
    }

    pub fn read_timeout(&self) -> Duration {
        Duration::from_secs(self.read_timeout_seconds)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        at_least("proxy.connect_timeout_seconds", self.connect_timeout_seconds, 1)?;
        at_least("proxy.read_timeout_seconds", self.read_timeout_seconds, 1)
    }
}
