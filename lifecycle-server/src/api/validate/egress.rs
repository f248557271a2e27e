//! What a sandbox may reach outside.

use std::collections::BTreeMap;

use sandkeep_specs::lifecycle::{CredentialProxyConfig, NetworkPolicy};

use super::{env::SIDECAR_PREFIX, sidecar};
use crate::{
    api::error::ApiError,
    sandbox::{EgressWish, INTERCEPTION_VARIABLE},
};

/// Rules a policy may have, as the sidecar has it.
const MAX_RULES: usize = 4096;
/// What makes the sidecar trust anybody.
const INSECURE: &str = "OPENSANDBOX_EGRESS_MITMPROXY_SSL_INSECURE";
/// The server keeps policies itself; a path of the caller's would be one of the host's.
const POLICY_FILE: &str = "OPENSANDBOX_EGRESS_POLICY_FILE";
/// The mode in which addresses are guarded, not names alone.
const FULL_MODE: &str = "dns+nft";

/// What the configuration says of sidecars.
#[derive(Debug, Clone)]
pub struct Guarding {
    /// How they guard: `dns` or `dns+nft`.
    pub mode: String,
    /// Whether what they read leaves through a proxy.
    pub through_proxy: bool,
}

/// Takes the sidecar's variables out of `env`; what is left is the sandbox's. Without a policy there is no sidecar.
pub(super) fn check(
    policy: Option<NetworkPolicy>,
    proxy: Option<&CredentialProxyConfig>,
    env: &mut BTreeMap<String, String>,
    guarding: &Guarding,
) -> Result<Option<EgressWish>, ApiError> {
    let wants_proxy = proxy.is_some_and(|proxy| proxy.enabled);
    let (mut sidecars, own): (BTreeMap<_, _>, _) =
        std::mem::take(env).into_iter().partition(|(name, _)| name.starts_with(SIDECAR_PREFIX));
    *env = own;
    sidecars.remove(POLICY_FILE);
    let Some(policy) = policy else {
        if wants_proxy {
            return Err(ApiError::invalid("credentialProxy.enabled", "needs networkPolicy"));
        }
        for variable in sidecars.keys() {
            tracing::warn!(%variable, "dropping a variable of the egress sidecar: there is no network policy");
        }
        return Ok(None);
    };
    sidecar::check(&sidecars)?;
    let truthy = |name: &str| sidecars.get(name).is_some_and(|value| is_true(value));
    if wants_proxy && truthy(INSECURE) {
        let problem = "cannot be set with credentialProxy.enabled: secrets go to verified destinations only";
        return Err(ApiError::invalid(format_args!("env.{INSECURE}"), problem));
    }
    let intercepts = wants_proxy || truthy(INTERCEPTION_VARIABLE);
    if guarding.through_proxy && truthy(INSECURE) {
        let problem = "cannot be set: this server's sidecars reach the outside through a proxy";
        return Err(ApiError::invalid(format_args!("env.{INSECURE}"), problem));
    }
    if guarding.through_proxy && !intercepts {
        let problem = "needs credentialProxy.enabled: this server's sidecars reach the outside through a proxy, \
            which only connections they read can go through";
        return Err(ApiError::invalid("networkPolicy", problem));
    }
    if wants_proxy && guarding.mode != FULL_MODE {
        let problem = format!("needs egress.mode = \"{FULL_MODE}\" in the server's configuration");
        return Err(ApiError::not_supported("credentialProxy.enabled", problem));
    }
    if intercepts {
        env.insert(INTERCEPTION_VARIABLE.to_owned(), "true".to_owned());
    }
    check_rules(&policy)?;
    let policy = serde_json::to_string(&policy).map_err(ApiError::internal)?;
    Ok(Some(EgressWish { policy, intercepts, env: sidecars }))
}

/// What can be said of a policy without reading its targets.
pub(in crate::api) fn check_rules(policy: &NetworkPolicy) -> Result<(), ApiError> {
    let rules = policy.egress.as_deref().unwrap_or_default();
    if rules.len() > MAX_RULES {
        let problem = format!("has {} rules, more than {MAX_RULES}", rules.len());
        return Err(ApiError::invalid("networkPolicy.egress", problem));
    }
    match rules.iter().position(|rule| rule.target.trim().is_empty()) {
        Some(at) => Err(ApiError::invalid(format_args!("networkPolicy.egress[{at}].target"), "is blank")),
        None => Ok(()),
    }
}

fn is_true(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "y" | "on")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn checked(
        policy: Value,
        proxy: bool,
        env: &[(&str, &str)],
        mode: &str,
    ) -> Result<(Option<EgressWish>, Vec<String>), String> {
        let guarding = Guarding { mode: mode.to_owned(), through_proxy: false };
        checked_for(policy, proxy, env, &guarding)
    }

    fn checked_for(
        policy: Value,
        proxy: bool,
        env: &[(&str, &str)],
        guarding: &Guarding,
    ) -> Result<(Option<EgressWish>, Vec<String>), String> {
        let mut env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let proxy = CredentialProxyConfig { enabled: proxy };
        let wish = check(serde_json::from_value(policy).unwrap(), Some(&proxy), &mut env, guarding);
        Ok((wish.map_err(|error| error.message)?, env.into_keys().collect()))
    }

    #[test]
    fn the_sidecars_variables_are_taken_out() {
        let env = [("A", "1"), ("OPENSANDBOX_EGRESS_LOG_LEVEL", "debug"), (POLICY_FILE, "/etc/passwd")];
        let (wish, left) = checked(json!({"egress": []}), false, &env, "dns").unwrap();
        let wish = wish.unwrap();
        assert_eq!(wish.env.into_keys().collect::<Vec<_>>(), ["OPENSANDBOX_EGRESS_LOG_LEVEL"]);
        assert!(!wish.intercepts);
        assert_eq!(left, ["A"]);
        let (wish, left) = checked(Value::Null, false, &env, "dns").unwrap();
        assert_eq!((wish, left), (None, vec!["A".to_owned()]));
    }

    #[test]
    fn interception_is_known_to_both_sides() {
        for (proxy, env) in [(true, vec![]), (false, vec![(INTERCEPTION_VARIABLE, "YES")])] {
            let (wish, left) = checked(json!({}), proxy, &env, FULL_MODE).unwrap();
            assert!(wish.unwrap().intercepts);
            assert_eq!(left, [INTERCEPTION_VARIABLE]);
        }
    }

    #[test]
    fn behind_a_proxy_everything_is_read_and_verified() {
        let guarding = Guarding { mode: FULL_MODE.to_owned(), through_proxy: true };
        let (transparent, insecure) = ((INTERCEPTION_VARIABLE, "1"), (INSECURE, "1"));
        for (policy, proxy, env, refused) in [
            (json!({}), true, vec![], None),
            (json!({}), false, vec![transparent], None),
            (Value::Null, false, vec![], None),
            (json!({}), false, vec![], Some("networkPolicy: ")),
            (
                json!({}),
                false,
                vec![transparent, insecure],
                Some("env.OPENSANDBOX_EGRESS_MITMPROXY_SSL_INSECURE: "),
            ),
        ] {
            let told = checked_for(policy, proxy, &env, &guarding).map(drop);
            match refused {
                None => assert_eq!(told, Ok(())),
                Some(member) => {
                    assert!(told.as_ref().is_err_and(|told| told.starts_with(member)), "{told:?}")
                }
            }
        }
    }

    #[test]
    fn refusals_name_their_member() {
        let many: Vec<Value> = vec![json!({"action": "allow", "target": "a.example"}); MAX_RULES + 1];
        for (policy, proxy, env, mode, member) in [
            (Value::Null, true, vec![], FULL_MODE, "credentialProxy.enabled"),
            (json!({}), true, vec![], "dns", "credentialProxy.enabled"),
            (
                json!({}),
                true,
                vec![(INSECURE, "1")],
                FULL_MODE,
                "env.OPENSANDBOX_EGRESS_MITMPROXY_SSL_INSECURE",
            ),
            (
                json!({"egress": [{"action": "deny", "target": " "}]}),
                false,
                vec![],
                "dns",
                "networkPolicy.egress[0].target",
            ),
            (json!({"egress": many}), false, vec![], "dns", "networkPolicy.egress"),
        ] {
            let refused = checked(policy, proxy, &env, mode).map(drop).unwrap_err();
            assert!(refused.starts_with(&format!("{member}: ")), "{refused}");
        }
    }
}
