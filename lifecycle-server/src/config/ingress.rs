//! `[ingress]`: under which addresses the ports of sandboxes are announced.

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;

use super::error::Problem;
use crate::gateway::{Mode, SigningKeys};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Under which addresses the ports of sandboxes are announced.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngressConfig {
    /// `direct` (the sandboxes' own addresses) or `gateway` (this server forwards). Default `direct`.
    mode: IngressMode,
    gateway: Option<GatewayTable>,
    secure_access: Option<SecureAccessTable>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum IngressMode {
    #[default]
    Direct,
    Gateway,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct GatewayTable {
    /// Host, with port if it is not the scheme's own; `*.domain` in wildcard mode, a path may follow in uri mode.
    address: String,
    route: RouteTable,
    /// `host:port` of a listener of its own. Default: the server's listener serves both.
    listen: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteTable {
    mode: RouteMode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RouteMode {
    Wildcard,
    Header,
    Uri,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecureAccessTable {
    /// Name of the key that signs.
    active_key: String,
    #[serde(default)]
    keys: Vec<KeyTable>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTable {
    key_id: String,
    key: String,
}

/// The gateway as it was asked for.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Host and port announced in endpoints; without the `*.` of wildcard mode, without the path of uri mode.
    pub host: String,
    pub mode: Mode,
    /// Host and port of the gateway's own listener.
    pub listen: Option<(String, u16)>,
    pub keys: Option<SigningKeys>,
}

impl IngressConfig {
    /// Puts the environment's keys in place of the file's.
    pub(super) fn settle(&mut self, keys: Option<&str>, active: Option<&str>) -> Result<(), Problem> {
        const PLACE: &str = "OPENSANDBOX_SECURE_ACCESS_KEYS";
        let (keys, active) = match (keys, active) {
            (None, None) => return Ok(()),
            (Some(keys), Some(active)) => (keys, active),
            _ => {
                let problem = "must be set together with OPENSANDBOX_SECURE_ACCESS_ACTIVE_KEY";
                return Err((PLACE, problem.to_owned()));
            }
        };
        if self.mode != IngressMode::Gateway {
            return Err((PLACE, "is for ingress.mode = \"gateway\" only".to_owned()));
        }
        let pair = |pair: &str| {
            let (key_id, key) = pair.split_once('=')?;
            Some(KeyTable { key_id: key_id.trim().to_owned(), key: key.trim().to_owned() })
        };
        let keys: Option<Vec<_>> = keys.split(',').filter(|text| !text.trim().is_empty()).map(pair).collect();
        let keys = keys.ok_or_else(|| (PLACE, "must be name=base64 pairs joined by commas".to_owned()))?;
        self.secure_access = Some(SecureAccessTable { active_key: active.trim().to_owned(), keys });
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        self.parse().map(drop)
    }

    /// The gateway, when there is one. The tables have been checked.
    pub fn gateway(&self) -> Option<GatewayConfig> {
        self.parse().ok().flatten()
    }

    fn parse(&self) -> Result<Option<GatewayConfig>, Problem> {
        let table = match (self.mode, &self.gateway) {
            (IngressMode::Direct, None) if self.secure_access.is_none() => return Ok(None),
            (IngressMode::Direct, None) => {
                return Err(("ingress.secure_access", "is for mode = \"gateway\" only".to_owned()));
            }
            (IngressMode::Direct, Some(_)) => {
                return Err(("ingress.gateway", "is for mode = \"gateway\" only".to_owned()));
            }
            (IngressMode::Gateway, None) => {
                return Err(("ingress.gateway", "is needed by mode = \"gateway\"".to_owned()));
            }
            (IngressMode::Gateway, Some(table)) => table,
        };
        let (host, mode) = table.address().map_err(|problem| ("ingress.gateway.address", problem))?;
        let listen = table.listen.as_deref().map(listen).transpose();
        let listen = listen.map_err(|problem| ("ingress.gateway.listen", problem))?;
        let keys = self.secure_access.as_ref().map(SecureAccessTable::keys).transpose();
        let keys = keys.map_err(|problem| ("ingress.secure_access", problem))?;
        Ok(Some(GatewayConfig { host, mode, listen, keys }))
    }
}

impl GatewayTable {
    fn address(&self) -> Result<(String, Mode), String> {
        let address = self.address.trim();
        if address.is_empty() || address.contains("://") || address.contains(char::is_whitespace) {
            return Err(format!("must be a host without a scheme, is {:?}", self.address));
        }
        let (authority, path) = match address.find('/') {
            Some(slash) => address.split_at(slash),
            None => (address, ""),
        };
        let prefix = path.trim_end_matches('/');
        if !prefix.is_empty() && self.route.mode != RouteMode::Uri {
            return Err("may have a path in uri mode only".to_owned());
        }
        let (host, mode) = match (self.route.mode, authority.strip_prefix("*.")) {
            (RouteMode::Wildcard, Some(domain)) => {
                let name = domain.split(':').next().unwrap_or_default().to_ascii_lowercase();
                (domain, Mode::Wildcard { domain: name })
            }
            (RouteMode::Wildcard, None) => {
                return Err("must be \"*.\" and a domain in wildcard mode".to_owned());
            }
            (RouteMode::Header, None) => (authority, Mode::Header),
            (RouteMode::Uri, None) => (authority, Mode::Uri { prefix: prefix.to_owned() }),
            (_, Some(_)) => return Err("may have a \"*\" in wildcard mode only".to_owned()),
        };
        match host.parse::<axum::http::uri::Authority>() {
            Ok(parsed) if !host.contains(['*', '@']) && !parsed.host().is_empty() => {
                Ok((host.to_owned(), mode))
            }
            _ => Err(format!("must be a host with an optional port, is {:?}", self.address)),
        }
    }
}

fn listen(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("must be host:port")?;
    let port = port.parse().map_err(|_| format!("must end with a port, is {text:?}"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err("must begin with a host".to_owned()) } else { Ok((host.to_owned(), port)) }
}

impl SecureAccessTable {
    fn keys(&self) -> Result<SigningKeys, String> {
        let keys: Result<Vec<_>, String> = self
            .keys
            .iter()
            .enumerate()
            .map(|(index, table)| {
                // The text itself is the secret.
                let key = BASE64
                    .decode(table.key.trim())
                    .map_err(|_| format!("keys[{index}].key: is not base64"))?;
                Ok((table.key_id.clone(), key))
            })
            .collect();
        SigningKeys::new(&self.active_key, keys?)
    }
}

// Keys must not reach a log through `{:?}`.
impl std::fmt::Debug for SecureAccessTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecureAccessTable").field("active_key", &self.active_key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<GatewayConfig>, Problem> {
        toml::from_str::<IngressConfig>(text).unwrap().parse()
    }

    fn gateway(mode: &str, address: &str) -> String {
        format!("mode = \"gateway\"\n[gateway]\naddress = \"{address}\"\nroute.mode = \"{mode}\"\n")
    }

    #[test]
    fn addresses_follow_their_mode() {
        let of = |mode, address| {
            parsed(&gateway(mode, address)).map(|gateway| {
                let gateway = gateway.unwrap();
                (gateway.host, gateway.mode)
            })
        };
        let wildcard = |domain: &str| Mode::Wildcard { domain: domain.to_owned() };
        assert_eq!(
            of("wildcard", "*.Box.example").unwrap(),
            ("Box.example".to_owned(), wildcard("box.example"))
        );
        assert_eq!(of("wildcard", "*.box:8080").unwrap(), ("box:8080".to_owned(), wildcard("box")));
        assert_eq!(of("header", "10.0.0.1:80").unwrap(), ("10.0.0.1:80".to_owned(), Mode::Header));
        assert_eq!(of("uri", "gw/a/b/").unwrap(), ("gw".to_owned(), Mode::Uri { prefix: "/a/b".to_owned() }));
        for (mode, address) in [
            ("wildcard", "box.example"),
            ("header", "*.box"),
            ("uri", "*.box"),
            ("header", "gw/path"),
            ("header", "http://gw"),
            ("header", ""),
            ("header", "a b"),
            ("wildcard", "*.*.box"),
            ("header", "u@h"),
        ] {
            assert_eq!(of(mode, address).unwrap_err().0, "ingress.gateway.address", "{mode} {address}");
        }
    }

    #[test]
    fn a_gateway_and_its_table_belong_together() {
        assert!(parsed("").unwrap().is_none());
        assert_eq!(parsed("mode = \"gateway\"").unwrap_err().0, "ingress.gateway");
        let table = gateway("header", "gw").replace("mode = \"gateway\"\n", "");
        assert_eq!(parsed(&table).unwrap_err().0, "ingress.gateway");
        assert_eq!(parsed("[secure_access]\nactive_key = \"a\"").unwrap_err().0, "ingress.secure_access");
    }

    #[test]
    fn keys_are_base64_with_or_without_padding() {
        let with = |keys: &str| {
            parsed(&format!("{}[secure_access]\nactive_key = \"a\"\n{keys}", gateway("header", "gw")))
        };
        for key in ["c2VjcmV0", "YQ==", "YQ"] {
            assert!(
                with(&format!("[[secure_access.keys]]\nkey_id = \"a\"\nkey = \"{key}\"")).is_ok(),
                "{key}"
            );
        }
        let error = with("[[secure_access.keys]]\nkey_id = \"a\"\nkey = \"not base64!\"").unwrap_err();
        assert!(error.1.contains("keys[0].key") && !error.1.contains("not base64!"), "{error:?}");
        assert!(with("").is_err());
    }

    #[test]
    fn the_environments_keys_replace_the_files() {
        let mut config: IngressConfig = toml::from_str(&gateway("header", "gw")).unwrap();
        config.settle(Some("a=c2VjcmV0, b=b3RoZXI="), Some("a")).unwrap();
        let stamp = config.gateway().unwrap().keys.unwrap().sign("my-sandbox", 8080, 2_000_000_000);
        assert_eq!(stamp.signature, "09d19c6ea");
        assert!(config.settle(Some("a=x"), None).is_err());
        assert!(config.settle(Some("a"), Some("a")).is_err());
        assert!(IngressConfig::default().settle(Some("a=c2VjcmV0"), Some("a")).is_err());
    }

    #[test]
    fn a_listener_of_its_own_needs_host_and_port() {
        assert_eq!(listen("[::1]:80"), Ok(("::1".to_owned(), 80)));
        for text in ["", "80", ":80", "h:", "h:x"] {
            assert!(listen(text).is_err(), "{text}");
        }
    }
}
