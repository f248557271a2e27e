//! Everything the sidecar is told, all of it by environment variables.

mod environment;
mod intercept;
mod metrics;
mod upstream_proxy;
mod warnings;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::RawFd,
    path::PathBuf,
    time::Duration,
};

use tracing::level_filters::LevelFilter;
use zeroize::Zeroizing;

pub use self::{intercept::InterceptConfig, metrics::MetricsConfig, upstream_proxy::UpstreamProxy};
use environment::Environment;
pub use sandkeep_specs::egress::Cidr;
use sandkeep_specs::egress::settings;

/// What all variables but two begin with.
pub const PREFIX: &str = "OPENSANDBOX_EGRESS_";
/// Where the API listens unless told otherwise.
const DEFAULT_PORT: u16 = 18080;
/// Rules of a policy unless told otherwise.
const DEFAULT_MAX_RULES: usize = 4096;
const DEFAULT_UPSTREAM_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_UPSTREAM_TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_PROBE_INTERVAL: u64 = 30;
const DEFAULT_RELOAD: u64 = 60;
/// Where the lists that stand above every policy are looked for.
const DEFAULT_RULES_DIR: &str = "/var/egress/rules";
/// Port of name servers.
const DNS_PORT: u16 = 53;

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name}: {reason}")]
pub struct ConfigError {
    pub name: String,
    pub reason: String,
}

/// What is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Names only.
    Dns,
    /// Names and addresses.
    DnsNft,
}

impl Mode {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::DnsNft => "dns+nft",
        }
    }
}

/// Settings of the daemon. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the API listens (`HTTP_ADDR`).
    pub http_addr: SocketAddr,
    /// What callers of the API must present (`TOKEN`); none means anybody may call it.
    pub token: Option<Token>,
    /// What is enforced (`MODE`).
    pub mode: Mode,
    /// Least important lines that are logged (`LOG_LEVEL`).
    pub log_level: LevelFilter,
    /// Most rules of a policy (`MAX_RULES`); `None` means any number.
    pub max_rules: Option<usize>,
    /// First policy as JSON (`RULES`); blank means deny everything.
    pub rules: String,
    /// Where the policy is kept across restarts (`POLICY_FILE`).
    pub policy_file: Option<PathBuf>,
    /// Where the lists are that stand above every policy (`RULES_DIR`).
    pub rules_dir: PathBuf,
    /// How often those are read again (`SANDKEEP_EGRESS_LISTS_RELOAD_SEC`).
    pub lists_reload: Duration,
    /// Whether HTTPS to name servers is blocked (`BLOCK_DOH_443`).
    pub block_doh: bool,
    /// Those name servers (`DOH_BLOCKLIST`); none means all of port 443.
    pub doh_blocklist: Vec<Cidr>,
    /// Name servers the namespace may ask itself (`NAMESERVER_EXEMPT`).
    pub nameserver_exempt: Vec<IpAddr>,
    /// Name servers the sidecar asks (`DNS_UPSTREAM`); none means those of resolv.conf.
    pub upstreams: Vec<SocketAddr>,
    /// How long one of them may take (`DNS_UPSTREAM_TIMEOUT`).
    pub upstream_timeout: Duration,
    /// Whether silent ones are asked now and then if they are back (`DNS_UPSTREAM_PROBE`).
    pub upstream_probe: bool,
    /// How often (`DNS_UPSTREAM_PROBE_INTERVAL_SEC`).
    pub probe_interval: Duration,
    /// Who is told of refused names (`DENY_WEBHOOK`).
    pub deny_webhook: Option<hyper::Uri>,
    /// Who is told of metrics, if anybody is.
    pub metrics: Option<MetricsConfig>,
    /// Whose sidecar this is (`SANDBOX_ID`).
    pub sandbox_id: String,
    /// Namespace to enter before anything else (`NETNS`), a path.
    pub netns: Option<PathBuf>,
    /// Descriptor that gets one byte and is closed once everything is in force (`READY_FD`).
    pub ready_fd: Option<u16>,
    /// Where the certificate authority is kept, so that it is the same after a restart (`SANDKEEP_EGRESS_STATE_DIR`).
    pub state_dir: Option<PathBuf>,
    /// Sockets of an earlier run that the starter kept (`SANDKEEP_EGRESS_SOCKETS`).
    pub sockets: Vec<RawFd>,
    /// What of the environment has no effect, and why; told once there is a log.
    pub warnings: Vec<String>,
    /// The proxy that opens HTTPS, and the vault it takes credentials from.
    pub intercept: InterceptConfig,
}

/// A secret of the sidecar's own, cleared from memory when it is dropped.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl std::ops::Deref for Token {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Config {
    /// Reads this process's environment.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::from_variables(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Reads the variables `get` knows.
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = Environment::new(&get);
        let mode = mode(env.text("MODE").as_deref());
        let intercept = InterceptConfig::read(&env)?;
        upstream_proxy::check(mode, &intercept)?;
        let mut warnings = warnings::warnings(&env);
        Ok(Self {
            http_addr: env.parsed("HTTP_ADDR", listen_address)?.unwrap_or_else(|| any(DEFAULT_PORT)),
            token: env.text("TOKEN").map(|token| Token(Zeroizing::new(token))),
            mode,
            log_level: log_level(env.text("LOG_LEVEL").as_deref()),
            max_rules: max_rules(env.text("MAX_RULES").as_deref()),
            rules: env.text("RULES").unwrap_or_default(),
            policy_file: env.path("POLICY_FILE"),
            rules_dir: env.path("RULES_DIR").unwrap_or_else(|| DEFAULT_RULES_DIR.into()),
            lists_reload: period(env.whole("SANDKEEP_EGRESS_LISTS_RELOAD_SEC").as_deref(), DEFAULT_RELOAD),
            block_doh: env.flag("BLOCK_DOH_443"),
            doh_blocklist: env.list("DOH_BLOCKLIST", str::parse)?,
            nameserver_exempt: env.list("NAMESERVER_EXEMPT", address)?,
            upstreams: env.list("DNS_UPSTREAM", upstream)?,
            upstream_timeout: env
                .parsed("DNS_UPSTREAM_TIMEOUT", settings::duration)?
                .map_or(DEFAULT_UPSTREAM_TIMEOUT, |timeout| timeout.min(MAX_UPSTREAM_TIMEOUT)),
            upstream_probe: env.flag("DNS_UPSTREAM_PROBE"),
            probe_interval: period(
                env.text("DNS_UPSTREAM_PROBE_INTERVAL_SEC").as_deref(),
                DEFAULT_PROBE_INTERVAL,
            ),
            deny_webhook: env.parsed("DENY_WEBHOOK", webhook)?,
            metrics: MetricsConfig::read(&env, &mut warnings)?,
            sandbox_id: env.text("SANDBOX_ID").unwrap_or_default(),
            netns: env.path("NETNS"),
            ready_fd: env.parsed("READY_FD", |text| text.parse().map_err(|_| not("a descriptor", text)))?,
            state_dir: env.whole("SANDKEEP_EGRESS_STATE_DIR").map(PathBuf::from),
            sockets: sockets(env.whole("SANDKEEP_EGRESS_SOCKETS").as_deref()),
            warnings,
            intercept,
        })
    }
}

/// What is no number is none of them, and bound again.
fn sockets(text: Option<&str>) -> Vec<RawFd> {
    text.unwrap_or_default().split(',').filter_map(|number| number.parse().ok()).collect()
}

fn any(port: u16) -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, port).into()
}

fn not(kind: &str, text: &str) -> String {
    format!("{text:?} is not {kind}")
}

/// `ADDRESS:PORT`, or `:PORT` for all addresses.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let refuse = || not("an address and port such as :18080", text);
    match text.strip_prefix(':') {
        Some(port) => port.parse().map(any).map_err(|_| refuse()),
        None => text.parse().map_err(|_| refuse()),
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| not("an address", text))
}

/// An address, with a port or without. A name would have to be looked up, by whom?
fn upstream(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>()
        .map(|address| (address, DNS_PORT).into())
        .or_else(|_| text.parse())
        .map_err(|_| not("an address with or without a port", text))
}

fn webhook(text: &str) -> Result<hyper::Uri, String> {
    let refuse = || "not an http or https URL".to_owned();
    let uri: hyper::Uri = text.parse().map_err(|_| refuse())?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => Err(refuse()),
    }
}

/// Nothing but names is what an unknown mode falls back to: it is what every namespace can do.
fn mode(text: Option<&str>) -> Mode {
    text.and_then(known_mode).unwrap_or(Mode::Dns)
}

fn known_mode(text: &str) -> Option<Mode> {
    let tokens: Vec<String> = text.split('+').map(|token| token.trim().to_lowercase()).collect();
    let has = |wanted: &str| tokens.iter().any(|token| token == wanted);
    match (has("dns"), has("nft"), tokens.iter().all(|token| token == "dns" || token == "nft")) {
        (true, true, true) => Some(Mode::DnsNft),
        (true, false, true) => Some(Mode::Dns),
        _ => None,
    }
}

fn log_level(text: Option<&str>) -> LevelFilter {
    let text = text.unwrap_or("info").to_lowercase();
    if text == "warning" { LevelFilter::WARN } else { text.parse().unwrap_or(LevelFilter::INFO) }
}

fn max_rules(text: Option<&str>) -> Option<usize> {
    match text.map(|text| text.parse().unwrap_or(DEFAULT_MAX_RULES)) {
        Some(0) => None,
        Some(number) => Some(number),
        None => Some(DEFAULT_MAX_RULES),
    }
}

fn period(text: Option<&str>, default: u64) -> Duration {
    let given = text.and_then(|text| text.parse().ok()).unwrap_or(default);
    Duration::from_secs(given.clamp(1, 3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_variables(|name| {
            let wanted = name.strip_prefix(PREFIX).unwrap_or(name);
            variables.iter().find(|(key, _)| *key == wanted).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_means_names_only_and_deny() {
        let config = config(&[]).unwrap();
        assert_eq!(config.http_addr, "0.0.0.0:18080".parse().unwrap());
        assert_eq!((config.mode, config.max_rules), (Mode::Dns, Some(4096)));
        assert!(config.token.is_none() && config.rules.is_empty());
        assert_eq!(config.upstream_timeout, Duration::from_secs(5));
    }

    #[test]
    fn modes() {
        for (text, mode) in [("dns", Mode::Dns), ("dns+nft", Mode::DnsNft), ("NFT + DNS", Mode::DnsNft)] {
            assert_eq!(config(&[("MODE", text)]).unwrap().mode, mode, "{text}");
        }
        for unknown in ["nft", "dns+x", "all"] {
            assert_eq!(config(&[("MODE", unknown)]).unwrap().mode, Mode::Dns, "{unknown}");
        }
    }

    #[test]
    fn limits_fall_back() {
        assert_eq!(config(&[("MAX_RULES", "0")]).unwrap().max_rules, None);
        assert_eq!(config(&[("MAX_RULES", "x")]).unwrap().max_rules, Some(4096));
        assert_eq!(
            config(&[("DNS_UPSTREAM_TIMEOUT", "900")]).unwrap().upstream_timeout,
            MAX_UPSTREAM_TIMEOUT
        );
        assert_eq!(config(&[("DNS_UPSTREAM_TIMEOUT", "250ms")]).unwrap().upstream_timeout.as_millis(), 250);
        assert_eq!(config(&[("DNS_UPSTREAM_TIMEOUT", "1m")]).unwrap().upstream_timeout.as_secs(), 60);
    }

    #[test]
    fn name_servers_have_addresses() {
        let config = config(&[("DNS_UPSTREAM", "1.1.1.1, 9.9.9.9:5353,2606::1,[::1],[::1]:54")]).unwrap();
        let expected = ["1.1.1.1:53", "9.9.9.9:5353", "[2606::1]:53", "[::1]:53", "[::1]:54"];
        assert_eq!(config.upstreams, expected.map(|text| text.parse().unwrap()));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (name, value) in [
            ("HTTP_ADDR", "x"),
            ("DNS_UPSTREAM", "dns.example"),
            ("NAMESERVER_EXEMPT", "x"),
            ("DOH_BLOCKLIST", "1.1.1.1/64"),
            ("DENY_WEBHOOK", "ftp://x"),
            ("READY_FD", "-1"),
            ("UPSTREAM_PROXY", "http://proxy:3128/"),
            ("UPSTREAM_PROXY", "http://proxy:3128"),
            ("UPSTREAM_PROXY_AUTH", "Basic eDp5"),
            ("DNS_UPSTREAM_TIMEOUT", "0"),
        ] {
            assert_eq!(config(&[(name, value)]).unwrap_err().name, format!("{PREFIX}{name}"));
        }
    }

    #[test]
    fn a_proxy_is_for_what_is_read_and_verified() {
        let all = [
            ("UPSTREAM_PROXY", "http://proxy:3128"),
            ("UPSTREAM_PROXY_AUTH", "Basic hush-hush"),
            ("MODE", "dns+nft"),
            ("MITMPROXY_TRANSPARENT", "1"),
        ];
        let proxy = config(&all).unwrap().intercept.upstream_proxy.unwrap();
        assert_eq!((proxy.at.host.as_str(), proxy.at.port), ("proxy", 3128));
        assert_eq!(proxy.authorization.as_deref(), Some("Basic hush-hush"));
        for left_out in ["MODE", "MITMPROXY_TRANSPARENT"] {
            let some: Vec<_> = all.into_iter().filter(|(name, _)| *name != left_out).collect();
            assert_eq!(config(&some).unwrap_err().name, format!("{PREFIX}UPSTREAM_PROXY"));
        }
        let insecure = [&all[..], &[("MITMPROXY_SSL_INSECURE", "1")]].concat();
        assert_eq!(config(&insecure).unwrap_err().name, format!("{PREFIX}UPSTREAM_PROXY"));
    }

    #[test]
    fn secrets_are_never_shown() {
        let proxy = [("UPSTREAM_PROXY", "http://a"), ("UPSTREAM_PROXY_AUTH", "Basic hush-hush")];
        let more = [("TOKEN", "hush-hush"), ("MODE", "dns+nft"), ("MITMPROXY_TRANSPARENT", "1")];
        let collector = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hush-hush@c"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hush-hush"),
        ];
        let config = config(&[&proxy[..], &more, &collector].concat()).unwrap();
        assert!(!format!("{config:?}").contains("hush-hush"));
    }
}
