//! `[egress.upstream_proxy]`: the proxy through which sidecars reach the outside.

use std::{fmt, path::PathBuf};

use sandkeep_specs::egress::settings;
use serde::Deserialize;

use super::error::Problem;

/// The proxy through which sidecars open the connections they read.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamProxyConfig {
    /// `http(s)://HOST[:PORT]`.
    pub url: String,
    /// What the proxy is shown as `Proxy-Authorization`, a secret.
    pub authorization: Option<String>,
    /// File of certificates, in PEM, that sidecars believe besides the usual ones.
    pub ca_cert_path: Option<PathBuf>,
    // Of another runtime.
    ca_secret_name: Option<String>,
}

impl UpstreamProxyConfig {
    pub(super) fn check(&self) -> Result<(), Problem> {
        settings::proxy(&self.url).map_err(|problem| ("egress.upstream_proxy.url", problem))?;
        if let Some(authorization) = &self.authorization {
            settings::authorization(authorization)
                .map_err(|problem| ("egress.upstream_proxy.authorization", problem))?;
        }
        if let Some(path) = self.ca_cert_path.as_ref().filter(|path| !path.is_absolute()) {
            let problem = format!("must be an absolute path, is {path:?}");
            return Err(("egress.upstream_proxy.ca_cert_path", problem));
        }
        if self.ca_secret_name.is_some() {
            let problem = "is of another runtime: name a file in ca_cert_path".to_owned();
            return Err(("egress.upstream_proxy.ca_secret_name", problem));
        }
        Ok(())
    }
}

// Without the secret.
impl fmt::Debug for UpstreamProxyConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UpstreamProxyConfig").field("url", &self.url).finish_non_exhaustive()
    }
}
