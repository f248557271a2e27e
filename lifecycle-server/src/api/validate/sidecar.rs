//! Settings of the egress sidecar that a request gives: one it cannot use would end it at its start.

use std::collections::BTreeMap;

use hyper::Uri;
use sandkeep_specs::egress::{Cidr, settings};

use super::env::SIDECAR_PREFIX;
use crate::api::error::ApiError;

/// As the sidecar reads them: a blank one counts as absent.
pub(super) fn check(variables: &BTreeMap<String, String>) -> Result<(), ApiError> {
    for (name, value) in variables {
        let (setting, value) = (name.strip_prefix(SIDECAR_PREFIX).unwrap_or(name), value.trim());
        if !value.is_empty() {
            form(setting, value).map_err(|problem| ApiError::invalid(format_args!("env.{name}"), problem))?;
        }
    }
    Ok(())
}

fn form(setting: &str, value: &str) -> Result<(), String> {
    match setting {
        "DNS_UPSTREAM_TIMEOUT" => settings::duration(value).map(drop),
        "DENY_WEBHOOK" => web_address(value),
        "MITMPROXY_EXTRA_PORTS" => settings::parts(value).try_for_each(|part| settings::port(part).map(drop)),
        "CREDENTIAL_VAULT_TRUSTED_PROXY_CIDRS" => {
            settings::parts(value).try_for_each(|part| part.parse::<Cidr>().map(drop))
        }
        _ => Ok(()),
    }
}

/// It may hold a secret: what is wrong with it is not repeated.
fn web_address(text: &str) -> Result<(), String> {
    match text.parse::<Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => Ok(()),
        _ => Err("not an http or https URL".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(setting: &str, value: &str) -> Result<(), String> {
        check(&[(format!("{SIDECAR_PREFIX}{setting}"), value.to_owned())].into())
            .map_err(|error| error.message)
    }

    #[test]
    fn what_would_end_the_sidecar_is_refused_by_name() {
        for (setting, good, bad) in [
            ("DNS_UPSTREAM_TIMEOUT", &["5", "250ms", " "][..], &["soon", "0", "-1"][..]),
            (
                "DENY_WEBHOOK",
                &["http://a.example:80/x?y", "https://[::1]/"],
                &["ftp://a", "a.example", "http:"],
            ),
            ("MITMPROXY_EXTRA_PORTS", &["", "8080", "1, 65535,"], &["0", "80,x", "70000"]),
            (
                "CREDENTIAL_VAULT_TRUSTED_PROXY_CIDRS",
                &["10.0.0.0/8,::1", "1.2.3.4"],
                &["10.0.0.0/33", "10.0.0.0/8,x"],
            ),
            ("LOG_LEVEL", &["whatever"], &[]),
        ] {
            for value in good {
                assert_eq!(checked(setting, value), Ok(()), "{setting}={value}");
            }
            for value in bad {
                let refused = checked(setting, value).unwrap_err();
                assert!(refused.starts_with(&format!("env.{SIDECAR_PREFIX}{setting}: ")), "{refused}");
            }
        }
    }
}
