//! What of the environment has no effect.

use super::{PREFIX, environment::Environment};

/// Variables of others' sidecars that this one has no use for, with their whole names.
const UNUSED: [(&str, &str); 1] = [("OPENSANDBOX_EGRESS_MITMPROXY_SCRIPT", "scripts are not run")];

/// Lines to be told once there is a log.
pub(super) fn warnings(env: &Environment<'_>) -> Vec<String> {
    let unused = UNUSED.iter().filter(|(name, _)| env.whole(name).is_some());
    let mut warnings: Vec<String> =
        unused.map(|(name, why)| format!("{name} has no effect: {why}")).collect();
    if let Some(mode) = env.text("MODE").filter(|mode| super::known_mode(mode).is_none()) {
        let name = format!("{PREFIX}MODE");
        warnings.push(format!("{name}: {mode:?} is neither dns nor dns+nft: only names are enforced"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, value: &str) -> Vec<String> {
        let get = |asked: &str| (asked == name).then(|| value.to_owned());
        warnings(&Environment::new(&get))
    }

    #[test]
    fn what_has_no_effect_is_told() {
        for (name, value, count) in [
            ("OPENSANDBOX_EGRESS_MODE", "nft", 1),
            ("OPENSANDBOX_EGRESS_MODE", "dns,nft", 1),
            ("OPENSANDBOX_EGRESS_MODE", "NFT + dns", 0),
            ("OPENSANDBOX_EGRESS_MODE", "", 0),
            ("OPENSANDBOX_EGRESS_MITMPROXY_SCRIPT", "/x.py", 1),
            ("OPENSANDBOX_EGRESS_MITMPROXY_SCRIPT", " ", 0),
        ] {
            let warnings = told(name, value);
            assert_eq!(warnings.len(), count, "{name}={value}: {warnings:?}");
            assert!(warnings.iter().all(|line| line.starts_with(name)));
        }
    }
}
