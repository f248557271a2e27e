//! What interception and the vault ask the policy.

use std::{future::Future, io, net::IpAddr, pin::Pin, sync::Arc};

use tokio::sync::watch;

use crate::{
    dns::Names,
    engine::Engine,
    intercept::{Gate, Verdict},
    policy::{Action, Judge, Lists, Policy, is_inside},
    vault::{HostPattern, store::Store},
};

/// The policy in force.
pub(super) struct PolicyGate {
    engine: Arc<Engine>,
    names: Names,
}

impl PolicyGate {
    pub(super) fn new(engine: Arc<Engine>, names: Names) -> Self {
        Self { engine, names }
    }

    /// Lets the vault object to policies that deny what a secret is bound to.
    pub(super) fn guard(&self, vault: Arc<Store>) {
        self.engine.object(Box::new(move |policy| {
            let judge = Judge::new(0, policy.clone(), Lists::default(), true);
            let covers = |host: &HostPattern| covers(policy, &judge, host);
            vault.check_policy(&covers).map_err(|error| error.to_string())
        }));
    }
}

impl Gate for PolicyGate {
    fn judge(&self, name: Option<&str>, address: IpAddr) -> Verdict {
        let judge = self.engine.judge();
        let Some(name) = name else {
            let rule = judge.blocks().1.iter().flatten().find(|block| block.contains(address));
            let is_open = judge.policy.default_action == Action::Allow && !is_inside(address);
            let allowed = judge.address(address) && (rule.is_some() || is_open);
            return Verdict { allowed, rule: rule.map(ToString::to_string).filter(|_| allowed) };
        };
        let judgement = judge.name(name);
        let allowed = judgement.allowed && judge.address(address);
        Verdict { allowed, rule: judgement.target.map(str::to_owned) }
    }

    fn resolve(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>> {
        Box::pin(self.names.addresses(name))
    }

    fn covers(&self, host: &HostPattern) -> bool {
        let judge = self.engine.judge();
        let covered = covers(&judge.policy, &judge, host);
        if covered && judge.policy.default_action == Action::Allow && !judge.policy.covers(&host.text()) {
            tracing::warn!(
                host = host.text(),
                "a secret is bound to a host that no rule names: default deny is safer"
            );
        }
        covered
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.engine.changes()
    }
}

/// Whether a secret may be bound to a host: a rule allows it, or the default does and no rule denies it.
fn covers(policy: &Policy, judge: &Judge, host: &HostPattern) -> bool {
    let default_allows = || {
        let name = match host {
            HostPattern::Exact(name) => name.clone(),
            // Whatever lies below is judged alike, but for names that have rules of their own.
            HostPattern::Below(parent) => format!("any-name.{parent}"),
        };
        policy.default_action == Action::Allow && judge.name(&name).allowed
    };
    policy.covers(&host.text()) || default_allows()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Rule;

    fn is_covered(default_action: Action, rules: &[(Action, &str)], host: &str) -> bool {
        let rules =
            rules.iter().map(|(action, target)| Rule { action: *action, target: (*target).to_owned() });
        let policy = Policy { default_action, rules: rules.collect() };
        let judge = Judge::new(0, policy.clone(), Lists::default(), true);
        covers(&policy, &judge, &HostPattern::parse(host).unwrap())
    }

    #[test]
    fn hosts_of_secrets_are_allowed_ones() {
        let allow = [(Action::Allow, "*.a.example"), (Action::Allow, "b.example")];
        for (host, covered) in [
            ("x.a.example", true),
            ("*.a.example", true),
            ("a.example", false),
            ("b.example", true),
            ("*.b.example", false),
        ] {
            assert_eq!(is_covered(Action::Deny, &allow, host), covered, "{host}");
            assert!(is_covered(Action::Allow, &allow, host), "{host}");
        }
        assert!(!is_covered(Action::Allow, &[(Action::Deny, "*.a.example")], "*.a.example"));
        assert!(!is_covered(Action::Allow, &[(Action::Deny, "a.b.example")], "a.b.example"));
    }
}
