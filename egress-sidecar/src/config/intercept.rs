//! Settings of interception and of the vault.

use std::path::PathBuf;

use sandkeep_specs::egress::settings;

use crate::{roots::Roots, vault::HostPattern};

use super::{Cidr, ConfigError, UpstreamProxy, environment::Environment};

const DEFAULT_PORT: u16 = 18081;
const DEFAULT_SOCKET: &str = "/run/opensandbox/credential-proxy/active.sock";
const DEFAULT_CA_FILE: &str = "/opt/opensandbox/mitmproxy-ca-cert.pem";
/// Always intercepted.
const WEB_PORTS: [u16; 2] = [80, 443];

/// Settings of the proxy that opens HTTPS, and of the vault.
#[derive(Debug, Clone)]
pub struct InterceptConfig {
    /// Whether connections are intercepted (`MITMPROXY_TRANSPARENT`).
    pub enabled: bool,
    /// Local port they are redirected to (`MITMPROXY_PORT`).
    pub port: u16,
    /// Ports that are intercepted: 80, 443, and more (`MITMPROXY_EXTRA_PORTS`).
    pub ports: Vec<u16>,
    /// Whether certificates of the outside are believed unchecked (`MITMPROXY_SSL_INSECURE`).
    pub ssl_insecure: bool,
    /// Directory of more certificates to trust (`MITMPROXY_UPSTREAM_TRUST_DIR`).
    pub trust_dir: Option<PathBuf>,
    /// File of more certificates to trust (`MITMPROXY_UPSTREAM_EXTRA_CA`).
    pub extra_ca: Option<PathBuf>,
    /// What connections to the outside go through.
    pub upstream_proxy: Option<UpstreamProxy>,
    /// Where the certificate the namespace must trust is written (`CA_FILE`).
    pub ca_file: PathBuf,
    /// Hosts whose connections are passed on unopened (`INTERCEPT_PASS_HOSTS`).
    pub pass_hosts: Vec<HostPattern>,
    /// Where the vault hands over what is active (`OPENSANDBOX_CREDENTIAL_PROXY_SOCKET`).
    pub vault_socket: PathBuf,
    /// Whether the vault may only be changed over TLS or from this host; unless said otherwise it may (`CREDENTIAL_VAULT_REQUIRE_TLS`).
    pub vault_require_tls: bool,
    /// Whether bindings must say more than a host (`CREDENTIAL_VAULT_REQUIRE_SCOPED_MATCH`).
    pub vault_require_scoped_match: bool,
    /// Callers that are believed to have ended TLS (`CREDENTIAL_VAULT_TRUSTED_PROXY_CIDRS`).
    pub vault_trusted_proxies: Vec<Cidr>,
}

impl InterceptConfig {
    /// Whose certificates the sidecar's own connections believe.
    #[must_use]
    pub fn roots(&self) -> Roots {
        Roots { directory: self.trust_dir.clone(), file: self.extra_ca.clone() }
    }

    pub(super) fn read(env: &Environment<'_>) -> Result<Self, ConfigError> {
        let mut ports = WEB_PORTS.to_vec();
        ports.extend(env.list("MITMPROXY_EXTRA_PORTS", settings::port)?);
        ports.sort_unstable();
        ports.dedup();
        Ok(Self {
            enabled: env.flag("MITMPROXY_TRANSPARENT"),
            port: env.parsed("MITMPROXY_PORT", settings::port)?.unwrap_or(DEFAULT_PORT),
            ports,
            ssl_insecure: env.flag("MITMPROXY_SSL_INSECURE"),
            trust_dir: env.path("MITMPROXY_UPSTREAM_TRUST_DIR"),
            extra_ca: env.path("MITMPROXY_UPSTREAM_EXTRA_CA"),
            upstream_proxy: UpstreamProxy::read(env)?,
            ca_file: env.path("CA_FILE").unwrap_or_else(|| DEFAULT_CA_FILE.into()),
            pass_hosts: env.list("INTERCEPT_PASS_HOSTS", |text| {
                HostPattern::parse(text).map_err(|error| error.to_string())
            })?,
            vault_socket: env
                .whole("OPENSANDBOX_CREDENTIAL_PROXY_SOCKET")
                .map_or_else(|| DEFAULT_SOCKET.into(), PathBuf::from),
            vault_require_tls: env.text("CREDENTIAL_VAULT_REQUIRE_TLS").is_none()
                || env.flag("CREDENTIAL_VAULT_REQUIRE_TLS"),
            vault_require_scoped_match: env.flag("CREDENTIAL_VAULT_REQUIRE_SCOPED_MATCH"),
            vault_trusted_proxies: env.list("CREDENTIAL_VAULT_TRUSTED_PROXY_CIDRS", str::parse)?,
        })
    }
}
