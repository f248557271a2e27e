//! Which of the sandbox's variables a session sees.

use std::ffi::OsStr;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use sandkeep_specs::execd::isolated::{EnvPassthroughSpec, IsolationProfile, PassthroughMode};

use super::IsolatedError;
use crate::command::env::Environment;

/// Names that look like secrets.
const SECRETS: [&str; 9] =
    ["*_API_KEY", "*_TOKEN", "*_SECRET", "*_PASSWORD", "AWS_*", "ALI_*", "ALIYUN_*", "K8S_*", "KUBE_*"];

/// The way back to execd outside; passes only when named.
const WAY_OUT: &str = "EXECD_ACCESS_TOKEN";

/// Variables without which hardly a program runs; they pass in any case.
const NEEDED: [&str; 2] = ["PATH", "HOME"];

/// What a profile stands for.
pub(super) fn default_passthrough(profile: IsolationProfile) -> EnvPassthroughSpec {
    let keys = match profile {
        IsolationProfile::Strict => SECRETS.map(str::to_owned).into(),
        IsolationProfile::Balanced => Vec::new(),
    };
    EnvPassthroughSpec { mode: Some(PassthroughMode::Deny), keys: Some(keys) }
}

/// The variables that pass.
pub(super) fn filter(all: Environment, spec: &EnvPassthroughSpec) -> Result<Environment, IsolatedError> {
    let keys = spec.keys.as_deref().unwrap_or_default();
    let named = patterns(keys)?;
    let allow = spec.mode == Some(PassthroughMode::Allow);
    let passes = |name: &OsStr| {
        let exact = |known: &&str| name == OsStr::new(known);
        if name == OsStr::new(WAY_OUT) {
            return allow && keys.iter().any(|key| key == WAY_OUT);
        }
        named.is_match(name) == allow || (allow && NEEDED.iter().any(exact))
    };
    Ok(all.into_iter().filter(|(name, _)| passes(name)).collect())
}

fn patterns(keys: &[String]) -> Result<GlobSet, IsolatedError> {
    let mut set = GlobSetBuilder::new();
    for key in keys {
        let invalid = |error| IsolatedError::Invalid(format!("env_passthrough.keys: {key:?}: {error}"));
        set.add(GlobBuilder::new(key).case_insensitive(true).build().map_err(invalid)?);
    }
    set.build().map_err(|error| IsolatedError::Invalid(format!("env_passthrough.keys: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(spec: &EnvPassthroughSpec) -> Vec<String> {
        let names = ["PATH", "HOME", "my_api_key", "AWS_REGION", "EXECD_ACCESS_TOKEN", "LANG"];
        let all = names.map(|name| (name.into(), "x".into())).into();
        filter(all, spec).unwrap().into_keys().map(|name| name.into_string().unwrap()).collect()
    }

    fn spec(mode: PassthroughMode, keys: &[&str]) -> EnvPassthroughSpec {
        EnvPassthroughSpec {
            mode: Some(mode),
            keys: Some(keys.iter().map(|key| (*key).to_owned()).collect()),
        }
    }

    #[test]
    fn profiles() {
        assert_eq!(passed(&default_passthrough(IsolationProfile::Strict)), ["HOME", "LANG", "PATH"]);
        let balanced = passed(&default_passthrough(IsolationProfile::Balanced));
        assert_eq!(balanced, ["AWS_REGION", "HOME", "LANG", "PATH", "my_api_key"]);
    }

    #[test]
    fn own_lists() {
        assert_eq!(passed(&spec(PassthroughMode::Allow, &["l?ng"])), ["HOME", "LANG", "PATH"]);
        let named = passed(&spec(PassthroughMode::Allow, &["EXECD_ACCESS_TOKEN"]));
        assert_eq!(named, ["EXECD_ACCESS_TOKEN", "HOME", "PATH"]);
        let denied = passed(&spec(PassthroughMode::Deny, &["lang", "HOME"]));
        assert_eq!(denied, ["AWS_REGION", "PATH", "my_api_key"]);
        assert!(matches!(
            filter(Environment::new(), &spec(PassthroughMode::Allow, &["[a"])),
            Err(IsolatedError::Invalid(_))
        ));
    }
}
