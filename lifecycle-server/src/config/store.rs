//! `[store]`: where records are kept.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{error::Problem, ingest::at_least};
use crate::store::PostgresqlOptions;

/// File of the records under the state directory.
const DATABASE_FILE: &str = "sandkeep.db";
const DSN: &str = "store.postgresql.dsn";
/// Seconds that any wait here may take: nobody waits longer for an answer.
const LONGEST_WAIT: f64 = 3600.0;

/// Where records are kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Default `sqlite`.
    pub r#type: StoreKind,
    /// The database's file. Default `sandkeep.db` under `native.state_dir`, beside the sandboxes it tells of.
    pub path: Option<PathBuf>,
    pub postgresql: PostgresqlConfig,
}

/// The server that holds the records of several servers like this one.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresqlConfig {
    /// `postgresql://user:password@host:port/database`, a secret.
    pub(super) dsn: Option<String>,
    /// Connections kept open. Default 1.
    pub min_pool_size: u32,
    /// Connections at most. Default 10.
    pub max_pool_size: u32,
    /// How long the first connection may take at start. Default 5.
    pub connect_timeout_seconds: u32,
    /// How long a change waits for a connection before it is refused with 503. Default 5.
    pub pool_timeout_seconds: f64,
    /// Where other servers on the database reach this one, such as `http://10.0.0.5:8080`. Default: `server.host` and port,
    /// or the machine's name where that is every address.
    pub advertise: Option<String>,
    // Unfinished snapshots are looked for at start and by their own server only.
    snapshot_recovery_interval_seconds: f64,
}

impl Default for PostgresqlConfig {
    fn default() -> Self {
        Self {
            dsn: None,
            min_pool_size: 1,
            max_pool_size: 10,
            connect_timeout_seconds: 5,
            pool_timeout_seconds: 5.0,
            advertise: None,
            snapshot_recovery_interval_seconds: 15.0,
        }
    }
}

// Without the secret.
impl fmt::Debug for PostgresqlConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresqlConfig")
            .field("max_pool_size", &self.max_pool_size)
            .finish_non_exhaustive()
    }
}

/// The kinds of store a file may name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    #[default]
    Sqlite,
    Postgresql,
}

impl StoreConfig {
    pub fn database(&self, state_dir: &Path) -> PathBuf {
        self.path.clone().unwrap_or_else(|| state_dir.join(DATABASE_FILE))
    }

    /// How to reach the server; `None` unless it is the one chosen.
    pub fn postgresql(&self) -> Result<Option<PostgresqlOptions>, Problem> {
        if self.r#type != StoreKind::Postgresql {
            return Ok(None);
        }
        let table = &self.postgresql;
        let Some(dsn) = table.dsn.as_deref().filter(|dsn| !dsn.is_empty()) else {
            return Err((DSN, "store.type \"postgresql\" needs it".to_owned()));
        };
        let mut options = PostgresqlOptions::new(dsn).map_err(|problem| (DSN, problem))?;
        options.min_connections = table.min_pool_size;
        options.max_connections = table.max_pool_size;
        options.connect_timeout = Duration::from_secs(table.connect_timeout_seconds.into());
        options.pool_timeout = Duration::from_secs_f64(table.pool_timeout_seconds);
        Ok(Some(options))
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        let table = &self.postgresql;
        at_least("store.postgresql.max_pool_size", table.max_pool_size.into(), 1)?;
        at_least("store.postgresql.connect_timeout_seconds", table.connect_timeout_seconds.into(), 1)?;
        wait("store.postgresql.pool_timeout_seconds", table.pool_timeout_seconds)?;
        wait(
            "store.postgresql.snapshot_recovery_interval_seconds",
            table.snapshot_recovery_interval_seconds,
        )?;
        if table.min_pool_size > table.max_pool_size {
            let problem = format!("is more than store.postgresql.max_pool_size, {}", table.max_pool_size);
            return Err(("store.postgresql.min_pool_size", problem));
        }
        if let Some(address) = &table.advertise
            && !is_plain_address(address)
        {
            let problem = format!("must be http://HOST or http://HOST:PORT, is {address:?}");
            return Err(("store.postgresql.advertise", problem));
        }
        self.postgresql()?;
        match &self.path {
            Some(path) if !path.is_absolute() => {
                Err(("store.path", format!("must be an absolute path, is {path:?}")))
            }
            _ => Ok(()),
        }
    }
}

/// Whether it is a URL of a host and perhaps a port.
fn is_plain_address(address: &str) -> bool {
    let uri: Result<axum::http::Uri, _> = address.parse();
    uri.is_ok_and(|uri| {
        let is_host = uri.authority().is_some_and(|host| !host.as_str().contains('@'));
        uri.scheme_str() == Some("http") && is_host && matches!(uri.path(), "" | "/") && uri.query().is_none()
    })
}

/// Refuses what is no time to wait.
fn wait(key: &'static str, seconds: f64) -> Result<(), Problem> {
    if seconds > 0.0 && seconds <= LONGEST_WAIT {
        return Ok(());
    }
    Err((key, format!("must be above 0 and at most {LONGEST_WAIT}, is {seconds}")))
}
