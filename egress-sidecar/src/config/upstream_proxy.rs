//! The proxy through which intercepted connections leave.

use sandkeep_specs::egress::settings;
use zeroize::Zeroizing;

use super::{ConfigError, InterceptConfig, Mode, PREFIX, Token, environment::Environment};

const PROXY: &str = "UPSTREAM_PROXY";
const AUTHORIZATION: &str = "UPSTREAM_PROXY_AUTH";

/// The proxy through which intercepted connections leave. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct UpstreamProxy {
    /// Where it is (`UPSTREAM_PROXY`).
    pub at: settings::ProxyAddress,
    /// What it is shown (`UPSTREAM_PROXY_AUTH`).
    pub authorization: Option<Token>,
}

impl UpstreamProxy {
    pub(super) fn read(env: &Environment<'_>) -> Result<Option<Self>, ConfigError> {
        let authorization = env.parsed(AUTHORIZATION, |text| {
            settings::authorization(text).map(|()| Token(Zeroizing::new(text.to_owned())))
        })?;
        match env.parsed(PROXY, settings::proxy)? {
            Some(at) => Ok(Some(Self { at, authorization })),
            None if authorization.is_some() => refuse(AUTHORIZATION, "needs UPSTREAM_PROXY"),
            None => Ok(None),
        }
    }
}

/// Whoever asks for a proxy must not find that connections go past it, or that it is believed unchecked.
pub(super) fn check(mode: Mode, intercept: &InterceptConfig) -> Result<(), ConfigError> {
    match intercept {
        InterceptConfig { upstream_proxy: None, .. } => Ok(()),
        InterceptConfig { enabled: false, .. } => refuse(PROXY, "needs MITMPROXY_TRANSPARENT"),
        InterceptConfig { ssl_insecure: true, .. } => {
            refuse(PROXY, "goes without MITMPROXY_SSL_INSECURE only")
        }
        _ if mode != Mode::DnsNft => refuse(PROXY, "needs MODE dns+nft"),
        _ => Ok(()),
    }
}

fn refuse<T>(name: &str, reason: &str) -> Result<T, ConfigError> {
    Err(ConfigError { name: format!("{PREFIX}{name}"), reason: reason.to_owned() })
}
