//! `[egress]`: how what leaves a sandbox is guarded.

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

use reqwest::Url;
use serde::Deserialize;

use super::{error::Problem, otel, upstream_proxy::UpstreamProxyConfig};

const COLLECTOR: &str = "egress.otlp_endpoint";

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
    otlp_endpoint: Option<Address>,
    #[serde(skip)]
    collector: Option<Address>,
}

/// An address that may hold a password.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
struct Address(String);

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Address")
    }
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
            collector: None,
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

    /// Where sidecars send metrics; may hold a password.
    pub fn collector(&self) -> Option<&str> {
        self.collector.as_ref().map(|collector| collector.0.as_str())
    }

    /// Makes out where sidecars send metrics.
    pub(super) fn settle(&mut self) -> Result<(), Problem> {
        let given = self.otlp_endpoint.as_ref().map(|given| given.0.trim()).filter(|given| !given.is_empty());
        let Some(given) = given else { return Ok(()) };
        let (_, metrics) = otel::signals(&otel::address(COLLECTOR, given)?);
        if is_loopback(&metrics) {
            let problem = "is an address of the sidecars' own: they are in the networks of their sandboxes, where no \
                collector listens; name one that sandboxes' networks lead to";
            return Err((COLLECTOR, problem.to_owned()));
        }
        self.collector = Some(Address(metrics.into()));
        Ok(())
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
        match self.disable_ipv6 {
            true => Ok(()),
            false => Err(("egress.disable_ipv6", "sandboxes have no IPv6".to_owned())),
        }
    }
}

/// Whether whoever goes there stays in his own network.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    match host.trim_matches(['[', ']']).parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(given: &str) -> Result<Option<String>, Problem> {
        let mut config =
            EgressConfig { otlp_endpoint: Some(Address(given.to_owned())), ..EgressConfig::default() };
        config.settle()?;
        assert!(!format!("{config:?}").contains("hush-hush"));
        Ok(config.collector().map(str::to_owned))
    }

    #[test]
    fn collectors_are_elsewhere_and_have_a_place_for_metrics() {
        for (given, expected) in [
            (" ", None),
            ("http://c:4318", Some("http://c:4318/v1/metrics")),
            ("https://c/otlp/v1/metrics", Some("https://c/otlp/v1/metrics")),
            (" http://u:hush-hush@10.0.0.1/ ", Some("http://u:hush-hush@10.0.0.1/v1/metrics")),
            ("http://localhost.example", Some("http://localhost.example/v1/metrics")),
        ] {
            assert_eq!(settled(given), Ok(expected.map(str::to_owned)), "{given}");
        }
        for bad in [
            "hush-hush",
            "grpc://hush-hush@c",
            "http://c/?hush-hush",
            "http://localhost:4318",
            "http://u:hush-hush@LOCALHOST.",
            "http://c.localhost",
            "http://127.1:4318",
            "http://0.0.0.0",
            "http://[::1]:4318",
            "http://[::ffff:127.0.0.1]",
            "http://[::]",
        ] {
            let (key, problem) = settled(bad).unwrap_err();
            assert!(key == COLLECTOR && !problem.contains("hush-hush"), "{bad}: {problem}");
        }
    }
}
