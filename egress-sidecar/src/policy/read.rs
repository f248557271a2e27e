//! Policies as JSON. What is left out denies.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Action, Policy, Rule};

/// Why a body is no policy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct PolicyError(String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPolicy {
    default_action: Option<String>,
    egress: Option<Vec<RawRule>>,
}

#[derive(Deserialize)]
struct RawRule {
    action: Option<String>,
    target: Option<String>,
}

impl RawRule {
    fn read(self, at: usize) -> Result<Rule, PolicyError> {
        let refuse = |why: String| PolicyError(format!("invalid rule {at}: {why}"));
        let action = match self.action.as_deref().map(|action| action.trim().to_lowercase()).as_deref() {
            None | Some("" | "deny") => Action::Deny,
            Some("allow") => Action::Allow,
            Some(other) => return Err(refuse(format!("action {other:?} is neither allow nor deny"))),
        };
        let target = self.target.unwrap_or_default().trim().to_owned();
        if target.is_empty() {
            return Err(refuse("the target is blank".to_owned()));
        }
        Ok(Rule { action, target })
    }
}

fn rules(raw: Vec<RawRule>) -> Result<Vec<Rule>, PolicyError> {
    raw.into_iter().enumerate().map(|(at, rule)| rule.read(at)).collect()
}

fn invalid(error: &serde_json::Error) -> PolicyError {
    PolicyError(format!("invalid JSON: {error}"))
}

/// A policy; `null` is an empty one.
pub fn read_policy(json: &[u8]) -> Result<Policy, PolicyError> {
    let raw: Option<RawPolicy> = serde_json::from_slice(json).map_err(|error| invalid(&error))?;
    let Some(raw) = raw else { return Ok(Policy::deny_all()) };
    // Only what is spelt out as allowing does.
    let default_action = match raw.default_action.map(|action| action.trim().to_lowercase()).as_deref() {
        Some("allow") => Action::Allow,
        _ => Action::Deny,
    };
    Ok(Policy { default_action, rules: rules(raw.egress.unwrap_or_default())? })
}

/// A list of rules.
pub fn read_rules(json: &[u8]) -> Result<Vec<Rule>, PolicyError> {
    let raw: Vec<RawRule> = serde_json::from_slice(json).map_err(|error| invalid(&error))?;
    rules(raw)
}

/// A list of targets.
pub fn read_targets(json: &[u8]) -> Result<Vec<String>, PolicyError> {
    let targets: Vec<String> = serde_json::from_slice(json).map_err(|error| invalid(&error))?;
    Ok(targets)
}

/// The policy as JSON that [`read_policy`] reads.
pub(crate) fn to_json(policy: &Policy) -> Value {
    let word = |action| match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
    };
    let rules: Vec<Value> = policy
        .rules
        .iter()
        .map(|rule| json!({ "action": word(rule.action), "target": rule.target }))
        .collect();
    json!({ "defaultAction": word(policy.default_action), "egress": rules })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_denies() {
        for empty in ["{}", "null", r#"{"egress":null}"#, r#"{"defaultAction":"maybe","other":1}"#] {
            assert_eq!(read_policy(empty.as_bytes()).unwrap(), Policy::deny_all(), "{empty}");
        }
        let policy = read_policy(br#"{"defaultAction":"ALLOW","egress":[{"target":" a.b "}]}"#).unwrap();
        assert_eq!(policy.default_action, Action::Allow);
        assert_eq!(policy.rules, [Rule { action: Action::Deny, target: "a.b".to_owned() }]);
    }

    #[test]
    fn bad_rules_are_named() {
        for (body, part) in [
            (r#"{"egress":[{"action":"allow","target":"a"},{"action":"drop","target":"a"}]}"#, "rule 1"),
            (r#"{"egress":[{"action":"allow","target":" "}]}"#, "blank"),
            (r#"{"egress":[{"action":"allow"}]}"#, "blank"),
            (r#"[]"#, "JSON"),
            (r#"{"egress":{}}"#, "JSON"),
            ("", "JSON"),
        ] {
            let error = read_policy(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{body}: {error}");
        }
        assert!(read_rules(b"{}").is_err() && read_targets(b"[1]").is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let policy = Policy {
            default_action: Action::Allow,
            rules: vec![Rule { action: Action::Allow, target: "*.X.y".to_owned() }],
        };
        assert_eq!(read_policy(to_json(&policy).to_string().as_bytes()).unwrap(), policy);
    }
}
