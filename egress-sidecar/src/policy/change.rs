//! How changes are merged into rules.

use std::collections::HashSet;

use super::{Policy, Rule};

/// The form targets are compared in when rules are merged.
fn key(target: &str) -> String {
    target.trim().to_lowercase()
}

/// New rules come first, of several about one target the first; old ones about other targets follow.
#[must_use]
pub fn patch(policy: &Policy, new: Vec<Rule>) -> Policy {
    let mut seen = HashSet::new();
    let mut rules: Vec<Rule> = new.into_iter().filter(|rule| seen.insert(key(&rule.target))).collect();
    rules.extend(policy.rules.iter().filter(|rule| !seen.contains(&key(&rule.target))).cloned());
    Policy { default_action: policy.default_action, rules }
}

/// Takes out all rules about these targets; `None` when there are none.
#[must_use]
pub fn forget(policy: &Policy, targets: &[String]) -> Option<Policy> {
    let gone: HashSet<String> = targets.iter().map(|target| key(target)).collect();
    let rules: Vec<Rule> =
        policy.rules.iter().filter(|rule| !gone.contains(&key(&rule.target))).cloned().collect();
    let found = rules.len() < policy.rules.len();
    found.then_some(Policy { default_action: policy.default_action, rules })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Action::{self, *};

    fn rules(rules: &[(Action, &str)]) -> Vec<Rule> {
        rules.iter().map(|(action, target)| Rule { action: *action, target: (*target).to_owned() }).collect()
    }

    #[test]
    fn new_rules_come_first() {
        let old = Policy { default_action: Deny, rules: rules(&[(Allow, "a"), (Allow, "B"), (Deny, "c")]) };
        let new = rules(&[(Deny, "b"), (Allow, "d"), (Allow, "D")]);
        let expected = rules(&[(Deny, "b"), (Allow, "d"), (Allow, "a"), (Deny, "c")]);
        assert_eq!(patch(&old, new), Policy { default_action: Deny, rules: expected });
    }

    #[test]
    fn forgetting_ignores_case_and_says_when_there_is_nothing() {
        let old = Policy { default_action: Allow, rules: rules(&[(Allow, "A.b"), (Deny, "c")]) };
        let left = forget(&old, &["a.B".to_owned(), "x".to_owned()]).unwrap();
        assert_eq!(left, Policy { default_action: Allow, rules: rules(&[(Deny, "c")]) });
        assert_eq!(forget(&old, &["x".to_owned()]), None);
    }
}
