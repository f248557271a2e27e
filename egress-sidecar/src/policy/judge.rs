//! Whether a name may be asked for, and an address be told.

use std::net::IpAddr;

use super::{Action, Index, Lists, Policy, Target, doh, is_inside};
use crate::config::Cidr;

/// Whose word decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The list that denies whatever the policy says.
    AlwaysDeny,
    /// The list that allows whatever the policy says.
    AlwaysAllow,
    /// A rule of the policy.
    Rule,
    /// A resolver over HTTPS, which no rule allows.
    Doh,
    /// The policy's default.
    Default,
}

/// A verdict on a name, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement<'a> {
    pub allowed: bool,
    pub source: Source,
    /// The target that matched, as it was written.
    pub target: Option<&'a str>,
}

/// A policy and the lists above it, ready to be asked.
#[derive(Debug)]
pub struct Judge {
    /// Grows with every change.
    pub generation: u64,
    pub policy: Policy,
    lists: Lists,
    rules: Index,
    /// Resolvers over HTTPS, where those are blocked.
    doh: Index,
    denied: [Vec<Cidr>; 2],
    allowed: [Vec<Cidr>; 2],
}

impl Judge {
    /// `strict` also blocks resolvers that no rule allows.
    #[must_use]
    pub fn new(generation: u64, policy: Policy, lists: Lists, strict: bool) -> Self {
        let rules = Index::new(policy.rules.iter().map(|rule| rule.target.as_str()));
        let wildcards: Vec<String> = doh::NAMES.iter().map(|name| format!("*.{name}")).collect();
        let doh = doh::NAMES.iter().copied().chain(wildcards.iter().map(String::as_str));
        let doh = if strict { Index::new(doh) } else { Index::default() };
        let of = |action| {
            let rules = policy.rules.iter().filter(move |rule| rule.action == action);
            blocks(rules.map(|rule| rule.target.as_str()))
        };
        let denied = [blocks(lists.denied()), of(Action::Deny)];
        let allowed = [blocks(lists.allowed()), of(Action::Allow)];
        Self { generation, lists, rules, doh, denied, allowed, policy }
    }

    /// The verdict on a name, which is in lower case and has no last dot.
    #[must_use]
    pub fn name(&self, name: &str) -> Judgement<'_> {
        self.spoken(name).unwrap_or_else(|| {
            let doh = self.doh.first(name).is_some();
            let source = if doh { Source::Doh } else { Source::Default };
            let allowed = self.policy.default_action == Action::Allow && !doh;
            Judgement { allowed, source, target: None }
        })
    }

    /// The verdict of a list or a rule about this name, if there is one.
    #[must_use]
    pub fn spoken(&self, name: &str) -> Option<Judgement<'_>> {
        let judgement = |allowed, source, target| Some(Judgement { allowed, source, target: Some(target) });
        if let Some(target) = self.lists.denies(name) {
            return judgement(false, Source::AlwaysDeny, target);
        }
        if let Some(target) = self.lists.allows(name) {
            return judgement(true, Source::AlwaysAllow, target);
        }
        let rule = self.policy.rules.get(self.rules.first(name)?)?;
        judgement(rule.action == Action::Allow, Source::Rule, &rule.target)
    }

    /// Whether a name may be asked for that leads to these aliases: one nobody speaks of is its owner's affair, one that
    /// is denied is not. The verdict that refuses it comes with the name it is about.
    pub fn chain<'a>(&'a self, names: &'a [Box<str>]) -> Result<(), (&'a str, Judgement<'a>)> {
        for (at, name) in names.iter().enumerate() {
            let judgement = match at {
                0 => self.name(name),
                _ if self.doh.first(name).is_some() => self.name(name),
                _ => self.spoken(name).unwrap_or(Judgement {
                    allowed: true,
                    source: Source::Default,
                    target: None,
                }),
            };
            if !judgement.allowed {
                return Err((name, judgement));
            }
        }
        Ok(())
    }

    /// The lists above the policy.
    #[must_use]
    pub fn lists(&self) -> &Lists {
        &self.lists
    }

    /// Whether an allowed name may stand for this address: one of the inside needs a rule of its own.
    #[must_use]
    pub fn address(&self, address: IpAddr) -> bool {
        let has = |blocks: &[Cidr]| blocks.iter().any(|block| block.contains(address));
        for (denied, allowed) in self.denied.iter().zip(&self.allowed) {
            if has(denied) {
                return false;
            }
            if has(allowed) {
                return true;
            }
        }
        !is_inside(address)
    }

    /// Blocks of the lists above the policy and of the policy, denied and allowed.
    #[must_use]
    pub fn blocks(&self) -> (&[Vec<Cidr>; 2], &[Vec<Cidr>; 2]) {
        (&self.denied, &self.allowed)
    }
}

fn blocks<'a>(targets: impl IntoIterator<Item = &'a str>) -> Vec<Cidr> {
    let block = |text| match Target::parse(text) {
        Target::Block(block) => Some(block),
        _ => None,
    };
    targets.into_iter().filter_map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Rule;

    fn judge(default_action: Action, rules: &[(Action, &str)], lists: Lists) -> Judge {
        let rules =
            rules.iter().map(|(action, target)| Rule { action: *action, target: (*target).to_owned() });
        Judge::new(1, Policy { default_action, rules: rules.collect() }, lists, true)
    }

    #[test]
    fn lists_stand_above_rules() {
        let lists = Lists::new("bad.example # never\n", "*.good.test\nbad.example\n");
        let rules = [(Action::Allow, "bad.example"), (Action::Deny, "x.good.test"), (Action::Allow, "a.b")];
        let judge = judge(Action::Deny, &rules, lists);
        for (name, allowed, source) in [
            ("bad.example", false, Source::AlwaysDeny),
            ("x.good.test", true, Source::AlwaysAllow),
            ("a.b", true, Source::Rule),
            ("c.b", false, Source::Default),
        ] {
            let judgement = judge.name(name);
            assert_eq!((judgement.allowed, judgement.source), (allowed, source), "{name}");
        }
    }

    #[test]
    fn resolvers_over_https_need_a_rule() {
        let judge = judge(Action::Allow, &[(Action::Allow, "dns.quad9.net")], Lists::default());
        assert!(!judge.name("dns.google").allowed);
        assert!(!judge.name("abc.dns.nextdns.io").allowed);
        assert!(judge.name("dns.quad9.net").allowed && judge.name("google.com").allowed);
    }

    #[test]
    fn addresses_of_the_inside_need_a_rule() {
        let lists = Lists::new("10.1.0.0/16", "");
        let rules = [(Action::Allow, "10.0.0.0/8"), (Action::Deny, "8.8.8.8")];
        let judge = judge(Action::Deny, &rules, lists);
        for (address, fine) in [
            ("10.2.0.1", true),
            ("10.1.0.1", false),
            ("192.168.0.1", false),
            ("8.8.8.8", false),
            ("9.9.9.9", true),
        ] {
            assert_eq!(judge.address(address.parse().unwrap()), fine, "{address}");
        }
    }
}
