//! What interception and the vault ask the policy.

use std::{future::Future, io, net::IpAddr, pin::Pin, sync::Arc};

use tokio::sync::watch;

use crate::{
    dns::Names,
    engine::Engine,
    intercept::{Gate, Verdict},
    policy::{Action, Judge, Lists, is_inside},
    vault::{HostPattern, store::Store},
};

/// The policy in force.
pub(super) struct PolicyGate {
    engine: Arc<Engine>,
    names: Names,
    /// Hosts whose connections are passed on unopened.
    pass: Vec<HostPattern>,
}

impl PolicyGate {
    pub(super) fn new(engine: Arc<Engine>, names: Names, pass: Vec<HostPattern>) -> Self {
        Self { engine, names, pass }
    }

    /// Lets the vault object to policies that deny what a secret is bound to.
    pub(super) fn guard(&self, vault: Arc<Store>) {
        self.engine.object(Box::new(move |policy| {
            // What the lists above a policy say is not its fault.
            let judge = Judge::new(0, policy.clone(), Lists::default(), true);
            let covers = |host: &HostPattern| covers(&judge, host);
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

    fn find(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>> {
        Box::pin(self.names.own(name))
    }

    fn covers(&self, host: &HostPattern) -> Result<(), &'static str> {
        let example = host.example();
        if self.pass.iter().any(|pass| pass.matches(&example)) {
            return Err("is one whose connections are passed on unopened");
        }
        let judge = self.engine.judge();
        covers(&judge, host)?;
        if !judge.policy.covers(&host.text()) {
            tracing::warn!(
                host = host.text(),
                "a secret is bound to a host that no rule names: default deny is safer"
            );
        }
        Ok(())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.engine.changes()
    }
}

/// Whether the policy lets a secret be bound to a host: a rule allows it or the default does, and nothing that comes
/// before denies it.
fn covers(judge: &Judge, host: &HostPattern) -> Result<(), &'static str> {
    let policy = &judge.policy;
    let speaks = policy.covers(&host.text()) || policy.default_action == Action::Allow;
    match speaks && judge.name(&host.example()).allowed {
        true => Ok(()),
        false => Err("is not allowed by the policy"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Policy, Rule};

    fn is_covered(default_action: Action, rules: &[(Action, &str)], host: &str) -> bool {
        is_covered_under(Lists::default(), default_action, rules, host)
    }

    fn is_covered_under(lists: Lists, default_action: Action, rules: &[(Action, &str)], host: &str) -> bool {
        let rules =
            rules.iter().map(|(action, target)| Rule { action: *action, target: (*target).to_owned() });
        let policy = Policy { default_action, rules: rules.collect() };
        covers(&Judge::new(0, policy, lists, true), &HostPattern::parse(host).unwrap()).is_ok()
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

    #[test]
    fn a_host_that_is_always_denied_gets_no_secret() {
        let allow = [(Action::Allow, "*.a.example"), (Action::Allow, "b.example")];
        for default_action in [Action::Deny, Action::Allow] {
            let is_covered = |host| {
                is_covered_under(Lists::new("*.a.example\nb.example", ""), default_action, &allow, host)
            };
            for host in ["x.a.example", "*.a.example", "b.example"] {
                assert!(!is_covered(host), "{host}");
            }
        }
        // What is only allowed above the policy is named by no rule of it.
        let lists = || Lists::new("", "b.example");
        assert!(!is_covered_under(lists(), Action::Deny, &[], "b.example"));
        assert!(is_covered_under(lists(), Action::Deny, &allow, "b.example"));
    }
}
