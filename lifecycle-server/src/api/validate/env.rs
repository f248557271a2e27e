//! The environment of a sandbox.

use std::collections::BTreeMap;

use sandkeep_specs::lifecycle::LIFECYCLE_VARIABLE;

use crate::api::error::ApiError;

/// Variables meant for the egress sidecar.
pub(super) const SIDECAR_PREFIX: &str = "OPENSANDBOX_EGRESS_";
/// The ones of them a caller may set.
const SIDECAR_ALLOWED: [&str; 11] = [
    "LOG_LEVEL",
    "DNS_UPSTREAM_TIMEOUT",
    "MITMPROXY_SSL_INSECURE",
    "MITMPROXY_TRANSPARENT",
    "MITMPROXY_EXTRA_PORTS",
    "DENY_WEBHOOK",
    "METRICS_EXTRA_ATTRS",
    "CREDENTIAL_VAULT_REQUIRE_TLS",
    "CREDENTIAL_VAULT_REQUIRE_SCOPED_MATCH",
    "CREDENTIAL_VAULT_TRUSTED_PROXY_CIDRS",
    "POLICY_FILE",
];

/// Variables to set, null ones left out; the sidecar's are still among them.
pub(super) fn check(env: BTreeMap<String, Option<String>>) -> Result<BTreeMap<String, String>, ApiError> {
    let mut checked = BTreeMap::new();
    for (name, value) in env {
        check_name(&name)?;
        let Some(value) = value else { continue };
        if value.contains('\0') {
            return Err(ApiError::invalid(format_args!("env.{name}"), "must not contain a NUL character"));
        }
        checked.insert(name, value);
    }
    Ok(checked)
}

fn check_name(name: &str) -> Result<(), ApiError> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(ApiError::invalid("env", format_args!("{name:?} cannot be the name of a variable")));
    }
    if name == LIFECYCLE_VARIABLE {
        // The server sets it when a request has hooks.
        return Err(ApiError::invalid(format_args!("env.{name}"), "is set by the server"));
    }
    match name.strip_prefix(SIDECAR_PREFIX) {
        Some(rest) if !SIDECAR_ALLOWED.contains(&rest) => {
            Err(ApiError::invalid(format_args!("env.{name}"), "is not a variable callers may set"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_variables_are_left_out() {
        let env =
            [("A", Some("1")), ("B", None), ("C", Some("")), ("OPENSANDBOX_EGRESS_LOG_LEVEL", Some("debug"))];
        let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.map(str::to_owned))).collect();
        assert_eq!(
            check(env).unwrap().into_keys().collect::<Vec<_>>(),
            ["A", "C", "OPENSANDBOX_EGRESS_LOG_LEVEL"]
        );
    }
}
