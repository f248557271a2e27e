//! Rules: what they say, how changes are merged, how names are judged.

mod change;
mod doh;
mod index;
mod judge;
mod lists;
mod read;
mod store;

use std::net::IpAddr;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::read::to_json;
pub use self::{
    change::{forget, patch},
    index::Index,
    judge::{Judge, Judgement, Source},
    lists::{Lists, index_of},
    read::{PolicyError, read_policy, read_rules, read_targets},
    store::{StoreError, load, save},
};
use crate::config::Cidr;

/// Whether traffic passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Allow,
    Deny,
}

/// What one rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This name.
    Name(String),
    /// All names below this one, at any depth.
    Below(String),
    /// These addresses.
    Block(Cidr),
    /// Something no name or address is like.
    Nothing,
}

/// One rule. Its target is kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub action: Action,
    pub target: String,
}

/// Rules and what happens where none of them speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub default_action: Action,
    pub rules: Vec<Rule>,
}

impl Policy {
    /// Nothing is reached.
    #[must_use]
    pub fn deny_all() -> Self {
        Self { default_action: Action::Deny, rules: Vec::new() }
    }

    /// Whether a rule somebody wrote allows this host or wildcard and none before it denies it.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        let asked = Target::parse(host);
        let speaking = |rule: &&Rule| match (Target::parse(&rule.target), &asked) {
            (target, asked) if target == *asked => true,
            (Target::Below(suffix), Target::Name(name) | Target::Below(name)) => is_below(name, &suffix),
            _ => false,
        };
        self.rules.iter().find(speaking).is_some_and(|rule| rule.action == Action::Allow)
    }
}

impl Target {
    /// Reads what somebody wrote; anything not understood matches nothing.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if let Ok(block) = text.parse() {
            return Self::Block(block);
        }
        let (name, below) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        match normal(name) {
            Some(name) if below => Self::Below(name),
            Some(name) => Self::Name(name),
            None => Self::Nothing,
        }
    }
}

/// A name in the form it is compared in: lower case, without the last dot, letters of all alphabets as DNS has them.
fn normal(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let name = match name.is_ascii() {
        true => name.to_ascii_lowercase(),
        false => hickory_proto::rr::Name::from_utf8(name).ok()?.to_ascii().to_ascii_lowercase(),
    };
    let name = name.strip_suffix('.').map(str::to_owned).unwrap_or(name);
    (!name.is_empty() && !name.contains(['*', '/', ' '])).then_some(name)
}

/// Whether a name lies below another one.
fn is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
}

/// Addresses a name of the outside must not stand for, unless a rule allows them.
#[must_use]
pub fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b))
        }
        IpAddr::V6(v6) => {
            let s = v6.segments();
            // Other ways to write an address of IPv4: mapped, compatible, and both prefixes of NAT64, and 6to4.
            let inner = match s {
                [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                    Some((high, low))
                }
                [0x2002, high, low, ..] => Some((high, low)),
                _ => None,
            };
            let inner =
                inner.map(|(high, low)| IpAddr::V4(((u32::from(high) << 16) | u32::from(low)).into()));
            v6.is_unspecified()
                || v6.is_loopback()
                || v6.is_multicast()
                || s[0] & 0xfe00 == 0xfc00
                || s[0] & 0xffc0 == 0xfe80
                || s[0] & 0xffc0 == 0xfec0
                || (s[0] == 0x64 && s[1] == 0xff9b && s[2] == 1)
                || inner.is_some_and(is_inside)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        for (text, target) in [
            ("Example.COM.", Target::Name("example.com".to_owned())),
            (" *.Example.com ", Target::Below("example.com".to_owned())),
            ("10.0.0.0/8", Target::Block("10.0.0.0/8".parse().unwrap())),
            ("::1", Target::Block("::1".parse().unwrap())),
            ("bücher.example", Target::Name("xn--bcher-kva.example".to_owned())),
            ("a.*.example", Target::Nothing),
            ("*", Target::Nothing),
            ("*.", Target::Nothing),
            ("*.*.example", Target::Nothing),
            ("10.0.0.0/99", Target::Nothing),
        ] {
            assert_eq!(Target::parse(text), target, "{text}");
        }
    }

    #[test]
    fn addresses_of_the_inside() {
        for inside in [
            "10.1.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "192.168.0.1",
            "172.16.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "ff02::1",
        ] {
            assert!(is_inside(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1", "64:ff9b::808:808"] {
            assert!(!is_inside(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn only_written_rules_cover() {
        let rule = |action, target: &str| Rule { action, target: target.to_owned() };
        let policy = Policy {
            default_action: Action::Allow,
            rules: vec![
                rule(Action::Deny, "bad.example.com"),
                rule(Action::Allow, "*.example.com"),
                rule(Action::Allow, "api.test"),
            ],
        };
        for (host, covered) in [
            ("api.test", true),
            ("x.example.com", true),
            ("*.example.com", true),
            ("*.deep.example.com", true),
            ("bad.example.com", false),
            ("example.com", false),
            ("*.api.test", false),
            ("other.test", false),
        ] {
            assert_eq!(policy.covers(host), covered, "{host}");
        }
    }
}
