//! What a sandbox may reach outside, and what the sidecar that sees to it is told.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::creation::secret;
use crate::runtime::Sidecar;

/// Where a sidecar listens, in the sandbox's network.
pub const SIDECAR_PORT: u16 = 18080;
/// Set for sandbox and sidecar where connections are read on their way.
pub const INTERCEPTION_VARIABLE: &str = "OPENSANDBOX_EGRESS_MITMPROXY_TRANSPARENT";
const RULES_VARIABLE: &str = "OPENSANDBOX_EGRESS_RULES";
const TOKEN_VARIABLE: &str = "OPENSANDBOX_EGRESS_TOKEN";
const MODE_VARIABLE: &str = "OPENSANDBOX_EGRESS_MODE";
const ID_VARIABLE: &str = "OPENSANDBOX_EGRESS_SANDBOX_ID";
const TRUSTED_CA_VARIABLE: &str = "OPENSANDBOX_EGRESS_MITMPROXY_UPSTREAM_EXTRA_CA";
const PROXY_VARIABLE: &str = "OPENSANDBOX_EGRESS_UPSTREAM_PROXY";
const PROXY_AUTH_VARIABLE: &str = "OPENSANDBOX_EGRESS_UPSTREAM_PROXY_AUTH";
const COLLECTOR_VARIABLE: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
const INTERVAL_VARIABLE: &str = "OTEL_METRIC_EXPORT_INTERVAL";
/// Secrets come to the sidecar from this host, over a link that nobody else is on.
const REQUIRE_TLS_VARIABLE: &str = "OPENSANDBOX_EGRESS_CREDENTIAL_VAULT_REQUIRE_TLS";

/// A wish for a guarded sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressWish {
    /// The policy it starts with, as JSON.
    pub policy: String,
    /// Credentials are put into requests on their way.
    pub intercepts: bool,
    /// Variables of the sidecar that the request sets.
    pub env: BTreeMap<String, String>,
}

/// How a sandbox is guarded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Egress {
    policy: String,
    intercepts: bool,
    env: BTreeMap<String, String>,
    /// Opens the sidecar's API.
    pub token: String,
}

/// What the configuration says about sidecars.
#[derive(Debug, Clone)]
pub struct EgressOptions {
    /// `dns` or `dns+nft`.
    pub mode: String,
    /// Time a sidecar may take until its rules are in force.
    pub patience: Duration,
    /// Certificates that sidecars believe besides the usual ones.
    pub trusted_ca: Option<PathBuf>,
    /// What the connections they read leave through.
    pub proxy: Option<UpstreamProxy>,
    /// Who is told what they count.
    pub collector: Option<Collector>,
}

/// Where sidecars send metrics.
#[derive(Clone, PartialEq, Eq)]
pub struct Collector {
    /// The address that takes metrics; may hold a password.
    pub endpoint: String,
    /// Between two exports, whole milliseconds.
    pub interval: Duration,
}

/// A proxy through which sidecars reach the outside.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamProxy {
    /// `http(s)://HOST[:PORT]`.
    pub url: String,
    /// What it is shown, a secret.
    pub authorization: Option<String>,
}

impl Egress {
    pub fn new(wish: &EgressWish) -> Self {
        let EgressWish { policy, intercepts, env } = wish.clone();
        Self { policy, intercepts, env, token: secret() }
    }

    /// The request's variables are weaker than what the server decides.
    pub(super) fn sidecar(&self, id: &str, options: &EgressOptions) -> Sidecar {
        let mut env = BTreeMap::from([(REQUIRE_TLS_VARIABLE.to_owned(), "false".to_owned())]);
        env.extend(self.env.clone());
        let decided = [
            (RULES_VARIABLE, self.policy.as_str()),
            (TOKEN_VARIABLE, &self.token),
            (MODE_VARIABLE, &options.mode),
            (ID_VARIABLE, id),
        ];
        env.extend(decided.map(|(name, value)| (name.to_owned(), value.to_owned())));
        if let Some(path) = &options.trusted_ca {
            env.insert(TRUSTED_CA_VARIABLE.to_owned(), path.display().to_string());
        }
        if let Some(proxy) = options.proxy.as_ref().filter(|_| self.intercepts) {
            env.insert(PROXY_VARIABLE.to_owned(), proxy.url.clone());
            let authorization = proxy.authorization.clone();
            env.extend(authorization.map(|shown| (PROXY_AUTH_VARIABLE.to_owned(), shown)));
        }
        if let Some(Collector { endpoint, interval }) = &options.collector {
            env.insert(COLLECTOR_VARIABLE.to_owned(), endpoint.clone());
            env.insert(INTERVAL_VARIABLE.to_owned(), interval.as_millis().to_string());
        }
        if self.intercepts {
            env.insert(INTERCEPTION_VARIABLE.to_owned(), "true".to_owned());
        }
        Sidecar { env, intercepts: self.intercepts, patience: options.patience }
    }
}

// The token is a secret.
impl fmt::Debug for Egress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Egress").field("policy", &self.policy).finish_non_exhaustive()
    }
}

// What it is shown is a secret.
impl fmt::Debug for UpstreamProxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UpstreamProxy").field("url", &self.url).finish_non_exhaustive()
    }
}

// The address may hold a secret.
impl fmt::Debug for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Collector").field("interval", &self.interval).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_cannot_take_over_what_the_server_decides() {
        let options = EgressOptions {
            mode: "dns+nft".to_owned(),
            patience: Duration::from_secs(1),
            trusted_ca: Some("/ca.pem".into()),
            proxy: Some(UpstreamProxy {
                url: "http://proxy".to_owned(),
                authorization: Some("Basic hush-hush".to_owned()),
            }),
            collector: Some(Collector {
                endpoint: "http://u:hush-hush@c/v1/metrics".to_owned(),
                interval: Duration::from_secs(2),
            }),
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let wish = EgressWish {
            policy: "{}".to_owned(),
            intercepts: true,
            env: [pair(TOKEN_VARIABLE, "mine"), pair(REQUIRE_TLS_VARIABLE, "true")].into(),
        };
        let egress = Egress::new(&wish);
        let sidecar = egress.sidecar("a", &options);
        assert_eq!(sidecar.env[TOKEN_VARIABLE], egress.token);
        assert_eq!(sidecar.env[REQUIRE_TLS_VARIABLE], "true");
        assert_eq!(sidecar.env[INTERCEPTION_VARIABLE], "true");
        assert_eq!(sidecar.env[TRUSTED_CA_VARIABLE], "/ca.pem");
        assert_eq!(sidecar.env[PROXY_VARIABLE], "http://proxy");
        assert_eq!(sidecar.env[PROXY_AUTH_VARIABLE], "Basic hush-hush");
        assert_eq!(sidecar.env[COLLECTOR_VARIABLE], "http://u:hush-hush@c/v1/metrics");
        assert_eq!(sidecar.env[INTERVAL_VARIABLE], "2000");
        let shown = format!("{egress:?}{sidecar:?}{options:?}");
        assert!(!shown.contains(&egress.token) && !shown.contains("hush-hush"));
        assert_ne!(Egress::new(&wish).token, egress.token);
    }
}
