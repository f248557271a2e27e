//! `[tenants]`: several owners of sandboxes on one server.

use std::{path::PathBuf, time::Duration};

use axum::http::{HeaderName, HeaderValue};
use reqwest::Url;
use serde::Deserialize;

use super::{Quantity, error::Problem, quantity::QuantityError};
use crate::sandbox::Quota;

/// The file of tenants under the home directory.
const DEFAULT_FILE: &str = ".opensandbox/tenants.toml";

/// Several owners of sandboxes on one server. Without the table there is one, who has `server.api_key`.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantsConfig {
    /// Where tenants come from. Default `file`.
    pub provider: TenantProvider,
    /// The file. Default `~/.opensandbox/tenants.toml`; `SANDBOX_TENANTS_CONFIG_PATH` wins.
    pub path: PathBuf,
    /// Address of the service that knows tenants, for `http`.
    endpoint: Option<String>,
    /// Seconds an outdated answer is used on while the service fails. Default 300.
    max_stale_seconds: u64,
    /// Seconds the service may take to answer. Default 5.
    timeout_seconds: f64,
    /// Name and value of a header that the service wants to see.
    auth_header: Option<String>,
    auth_token: Option<String>,
    /// Quota of tenants that have none of their own. Default none.
    pub quota: QuotaTable,
}

/// Where tenants come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantProvider {
    #[default]
    File,
    Http,
}

/// Upper bounds of all sandboxes of one tenant together.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaTable {
    sandboxes: Option<u64>,
    cpu: Option<Quantity>,
    memory: Option<Quantity>,
    disk: Option<Quantity>,
}

impl QuotaTable {
    pub fn check(&self) -> Result<(), (&'static str, QuantityError)> {
        self.cpu.as_ref().map_or(Ok(0), Quantity::cpu_millis).map_err(|error| ("cpu", error))?;
        self.memory.as_ref().map_or(Ok(0), Quantity::bytes).map_err(|error| ("memory", error))?;
        self.disk.as_ref().map_or(Ok(0), Quantity::bytes).map_err(|error| ("disk", error))?;
        Ok(())
    }

    /// The bounds of a checked table.
    pub fn quota(&self) -> Quota {
        let bytes =
            |quantity: &Option<Quantity>| quantity.as_ref().and_then(|quantity| quantity.bytes().ok());
        Quota {
            sandboxes: self.sandboxes,
            cpu_millis: self.cpu.as_ref().and_then(|cpu| cpu.cpu_millis().ok()),
            memory_bytes: bytes(&self.memory),
            disk_bytes: bytes(&self.disk),
        }
    }
}

impl Default for TenantsConfig {
    fn default() -> Self {
        Self {
            provider: TenantProvider::File,
            path: PathBuf::new(),
            endpoint: None,
            max_stale_seconds: 300,
            timeout_seconds: 5.0,
            auth_header: None,
            auth_token: None,
            quota: QuotaTable::default(),
        }
    }
}

impl TenantsConfig {
    /// Puts the environment on top.
    pub(super) fn settle(&mut self, variable: Option<String>, home: Option<String>) {
        if let Some(path) = variable.filter(|path| !path.trim().is_empty()) {
            self.path = PathBuf::from(path);
        }
        if self.path.as_os_str().is_empty() {
            self.path = PathBuf::from(home.unwrap_or_default()).join(DEFAULT_FILE);
        }
    }

    pub fn timeout(&self) -> Duration {
        Duration::try_from_secs_f64(self.timeout_seconds).unwrap_or_default()
    }

    pub fn max_stale(&self) -> Duration {
        Duration::from_secs(self.max_stale_seconds)
    }

    /// The service's address.
    pub fn endpoint(&self) -> Result<Url, String> {
        let url: Url = match &self.endpoint {
            None => return Err("is needed by the provider \"http\"".to_owned()),
            Some(text) => text.parse().map_err(|error| format!("is not an address: {error}"))?,
        };
        let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
        usable.then_some(url).ok_or_else(|| "must be an http or https address".to_owned())
    }

    /// The header for the service, as it was checked.
    pub fn auth(&self) -> Option<(HeaderName, HeaderValue)> {
        let name = self.auth_header.as_deref()?.parse().ok()?;
        let mut value = HeaderValue::from_str(self.auth_token.as_deref()?).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        self.quota.check().map_err(|(key, problem)| ("tenants.quota", format!("{key}: {problem}")))?;
        if !(self.timeout_seconds > 0.0 && self.timeout_seconds <= 600.0) {
            let problem = format!("must be more than 0 and at most 600, is {}", self.timeout_seconds);
            return Err(("tenants.timeout_seconds", problem));
        }
        if self.auth_header.is_some() != self.auth_token.is_some() {
            return Err((
                "tenants.auth_header",
                "needs tenants.auth_token, and the other way round".to_owned(),
            ));
        }
        if self.auth_header.is_some() && self.auth().is_none() {
            return Err(("tenants.auth_header", "with its token is nothing HTTP can carry".to_owned()));
        }
        match self.provider {
            TenantProvider::File => Ok(()),
            TenantProvider::Http => {
                self.endpoint().map(drop).map_err(|problem| ("tenants.endpoint", problem))
            }
        }
    }
}

// The token must not reach a log through `{:?}`.
impl std::fmt::Debug for TenantsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantsConfig")
            .field("provider", &self.provider)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
