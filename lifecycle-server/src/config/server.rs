//! `[server]`: the listener and who may use it.

use std::time::Duration;

use serde::Deserialize;

use super::{error::Problem, ingest::at_least};

/// The listener and who may use it.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address to listen on. Default `0.0.0.0`.
    pub host: String,
    /// Port to listen on, 0 for any free one. Default 8080.
    pub port: u16,
    /// What callers present in `OPEN-SANDBOX-API-KEY`. Default none; `OPENSANDBOX_SERVER_API_KEY` wins.
    pub api_key: Option<String>,
    /// Host (with port or path, if any) that proxied endpoints are announced under. Default: the request's own host.
    pub eip: Option<String>,
    /// Longest `timeout` a create request may ask for, in seconds, at least 60. Default none.
    pub max_sandbox_timeout_seconds: Option<u64>,
    /// Seconds a connection may wait for its next request. Default 30.
    pub timeout_keep_alive: u64,
    /// Requests worked on at once, 0 for no limit; more are answered with 503. Default 1024.
    pub limit_concurrency: usize,
    /// Seconds that running requests get to finish when the server stops. Default 5.
    pub timeout_graceful_shutdown: u64,
    /// Connections the kernel holds until they are accepted. Default 2048.
    pub backlog: u32,
    // Knobs of another implementation, without a counterpart here.
    thread_pool_size: Option<u64>,
    r#loop: Option<String>,
    http: Option<String>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: "0.0.0.0".to_owned(),
            port: 8080,
            api_key: None,
            eip: None,
            max_sandbox_timeout_seconds: None,
            timeout_keep_alive: 30,
            limit_concurrency: 1024,
            timeout_graceful_shutdown: 5,
            backlog: 2048,
            thread_pool_size: None,
            r#loop: None,
            http: None,
        }
    }
}

impl ServerConfig {
    pub fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.timeout_keep_alive)
    }

    pub fn graceful_shutdown(&self) -> Duration {
        Duration::from_secs(self.timeout_graceful_shutdown)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        if let Some(seconds) = self.max_sandbox_timeout_seconds {
            at_least("server.max_sandbox_timeout_seconds", seconds, 60)?;
        }
        at_least("server.timeout_keep_alive", self.timeout_keep_alive, 1)?;
        at_least("server.timeout_graceful_shutdown", self.timeout_graceful_shutdown, 1)?;
        at_least("server.backlog", self.backlog.into(), 1)?;
        match &self.eip {
            Some(eip) if eip.contains("://") || eip.trim().is_empty() => {
                Err(("server.eip", format!("must be a host without a scheme, is {eip:?}")))
            }
            _ => Ok(()),
        }
    }
}

// The key must not reach a log through `{:?}`.
impl std::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("api_key", &self.api_key.as_ref().map(|_| ".."))
            .finish_non_exhaustive()
    }
}
