//! The configuration: a TOML file, some environment variables on top, checked once at start.

mod error;
mod images;
mod ingest;
mod log;
mod native;
mod proxy;
pub mod quantity;
mod renew;
mod runtime;
mod server;
mod store;
mod unsupported;

pub use error::ConfigError;
pub use images::ImagesConfig;
pub use ingest::{DEFAULT_FILE, Environment, PATH_VARIABLE};
pub use log::{LogConfig, LogFormat};
pub use native::NativeTable;
pub use proxy::ProxyConfig;
pub use quantity::Quantity;
pub use renew::RenewIntentConfig;
pub use runtime::{RuntimeConfig, RuntimeKind};
pub use server::ServerConfig;
pub use store::{StoreConfig, StoreKind};

use serde::Deserialize;

/// Everything that can be configured. Each field is a table of the file; every table may be absent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub server: ServerConfig,
    pub proxy: ProxyConfig,
    pub log: LogConfig,
    pub runtime: RuntimeConfig,
    pub native: NativeTable,
    pub images: ImagesConfig,
    pub store: StoreConfig,
    pub renew_intent: RenewIntentConfig,
    // Tables of other runtimes and features. They are accepted so that one file can serve several servers, and refused
    // where ignoring them would be dangerous.
    otel: toml::Table,
    tenants: Option<toml::Table>,
    docker: toml::Table,
    kubernetes: toml::Table,
    agent_sandbox: toml::Table,
    ingress: toml::Table,
    storage: toml::Table,
    egress: toml::Table,
    secure_runtime: toml::Table,
}

#[cfg(test)]
mod tests;
