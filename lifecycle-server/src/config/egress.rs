//! `[egress]`: how what leaves a sandbox is guarded.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{error::Problem, upstream_proxy::UpstreamProxyConfig};

/// How what leaves a sandbox with a network policy is guarded.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// What a policy holds for: names (`dns`), or names and addresses (`dns+nft`, the default).
    pub mode: String,
    /// Seconds a sidecar may take until its rules are in force. Default 30.
    pub readiness_timeout_seconds: f64,
    /// File of certificates, in PEM, that sidecars believe besides the usual ones when they read TLS.
    pub trusted_ca: Option<PathBuf>,
    /// The proxy through which sidecars reach the outside. Default none.
    pub upstream_proxy: Option<UpstreamProxyConfig>,
    // The sidecar is a program beside the server and has limits of its own; sandboxes have no IPv6.
    image: Option<String>,
    disable_ipv6: bool,
    requests: toml::Table,
    limits: toml::Table,
    otlp_endpoint: Option<String>,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            mode: "dns+nft".to_owned(),
            readiness_timeout_seconds: 30.0,
            trusted_ca: None,
            upstream_proxy: None,
            image: None,
            disable_ipv6: true,
            requests: toml::Table::new(),
            limits: toml::Table::new(),
            otlp_endpoint: None,
        }
    }
}

impl EgressConfig {
    /// Time a sidecar may take until its rules are in force.
    pub fn patience(&self) -> Duration {
        Duration::try_from_secs_f64(self.readiness_timeout_seconds).unwrap_or(Duration::from_secs(30))
    }

    /// Certificates that sidecars believe besides the usual ones.
    pub fn believed(&self) -> Option<PathBuf> {
        let of_proxy = self.upstream_proxy.as_ref().and_then(|proxy| proxy.ca_cert_path.clone());
        self.trusted_ca.clone().or(of_proxy)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        if !["dns", "dns+nft"].contains(&self.mode.as_str()) {
            return Err(("egress.mode", format!("must be \"dns\" or \"dns+nft\", is {:?}", self.mode)));
        }
        if !(self.readiness_timeout_seconds > 0.0 && self.readiness_timeout_seconds <= 3600.0) {
            return Err(("egress.readiness_timeout_seconds", "must be above 0 and at most 3600".to_owned()));
        }
        if let Some(path) = self.trusted_ca.as_ref().filter(|path| !path.is_absolute()) {
            return Err(("egress.trusted_ca", format!("must be an absolute path, is {path:?}")));
        }
        if let Some(proxy) = &self.upstream_proxy {
            proxy.check()?;
            if self.mode != "dns+nft" {
                let problem = "needs egress.mode = \"dns+nft\"".to_owned();
                return Err(("egress.upstream_proxy", problem));
            }
            if self.trusted_ca.is_some() && proxy.ca_cert_path.is_some() {
                let problem = "goes without egress.trusted_ca only: put all certificates into one file";
                return Err(("egress.upstream_proxy.ca_cert_path", problem.to_owned()));
            }
        }
        let refused = [
            ("egress.disable_ipv6", !self.disable_ipv6, "sandboxes have no IPv6"),
            ("egress.otlp_endpoint", self.otlp_endpoint.is_some(), "sidecars do not export metrics"),
        ];
        match refused.into_iter().find(|(_, is_set, _)| *is_set) {
            Some((key, _, why)) => Err((key, why.to_owned())),
            None => Ok(()),
        }
    }
}
