//! The configuration: a TOML file, some environment variables on top, checked once at start.

mod docker;
mod egress;
mod error;
mod foreign;
mod images;
mod ingest;
mod ingress;
mod log;
mod mistakes;
mod native;
mod otel;
mod proxy;
pub mod quantity;
mod renew;
mod runtime;
mod server;
mod storage;
mod store;
mod tenants;
mod unsupported;
mod upstream_proxy;

pub use docker::DockerTable;
pub use egress::EgressConfig;
pub use error::ConfigError;
pub use images::ImagesConfig;
pub use ingest::{DEFAULT_FILE, Environment, PATH_VARIABLE};
pub use ingress::{GatewayConfig, IngressConfig};
pub use log::{LogConfig, LogFormat};
pub use mistakes::Mistake;
pub use native::{NativeTable, OverlayKind};
pub use otel::{OtelConfig, OtelTargets};
pub use proxy::ProxyConfig;
pub use quantity::Quantity;
pub use renew::RenewIntentConfig;
pub use runtime::{RuntimeConfig, RuntimeKind};
pub use server::ServerConfig;
pub use storage::StorageConfig;
pub use store::{PostgresqlConfig, StoreConfig, StoreKind};
pub use tenants::{QuotaTable, TenantProvider, TenantsConfig};

use serde::Deserialize;

/// Every key with its default, commented out, so that a file keeps following the defaults it doesn't touch.
pub const SKELETON: &str = include_str!("../../assets/config.toml");

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
    pub tenants: Option<TenantsConfig>,
    pub ingress: IngressConfig,
    pub otel: OtelConfig,
    pub docker: DockerTable,
    // Tables of other runtimes and features. They are accepted so that one file can serve several servers, and refused
    // where ignoring them would be dangerous.
    kubernetes: toml::Table,
    agent_sandbox: toml::Table,
    pub storage: StorageConfig,
    pub egress: EgressConfig,
    secure_runtime: toml::Table,
}

#[cfg(test)]
mod tests;
