//! Which addresses were told for which names, so that a change of rules about names finds the connections it is about.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{firewall::Named, policy::Judge};

/// How much longer than its answer an address may be connected to, and the bounds of the whole.
const GRACE: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(360);
/// How long a connection may go on after its address was last told.
const LAST: Duration = Duration::from_secs(24 * 3600);
/// Addresses remembered.
const MAX_ADDRESSES: usize = 32_768;
/// Names remembered of an address; of one that stands behind more of them the latest count.
const MAX_NAMES: usize = 32;

/// Pause between two looks for room: somebody who fills it all is not to keep the sidecar busy with that.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// A name and its aliases.
type Chain = Arc<[Box<str>]>;

#[derive(Debug, Default)]
pub(super) struct Seen {
    addresses: HashMap<IpAddr, Entry>,
    /// When room was last looked for.
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    chains: Vec<Chain>,
    begin: Instant,
    last: Instant,
}

impl Seen {
    /// Remembers what a name stands for; `None` when there is no room.
    pub(super) fn note(
        &mut self,
        chain: &[Box<str>],
        addresses: &[IpAddr],
        ttl: Duration,
        now: Instant,
    ) -> Option<Vec<Named>> {
        if !self.has_room(addresses.len(), now) {
            return None;
        }
        let begin = (ttl + GRACE).clamp(GRACE, LONGEST);
        let chain: Chain = chain.into();
        let mut named = Vec::with_capacity(addresses.len());
        for (at, address) in addresses.iter().enumerate() {
            if addresses[..at].contains(address) {
                continue;
            }
            let entry = self.addresses.entry(*address).or_insert_with(|| Entry {
                chains: Vec::new(),
                begin: now,
                last: now,
            });
            let known = entry.begin > now;
            entry.begin = entry.begin.max(now + begin);
            entry.last = now + LAST;
            entry.chains.retain(|old| **old != *chain);
            if entry.chains.len() == MAX_NAMES {
                entry.chains.remove(0);
            }
            entry.chains.push(Arc::clone(&chain));
            let begin = Some(entry.begin - now);
            named.push(Named { address: *address, begin, last: LAST, known });
        }
        Some(named)
    }

    /// Makes room where there is none, of those whose connections have lasted, then of those that may no longer begin any.
    fn has_room(&mut self, more: usize, now: Instant) -> bool {
        let fits = |seen: &Self| seen.addresses.len() + more <= MAX_ADDRESSES;
        if fits(self) {
            return true;
        }
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < SWEEP_PAUSE) {
            return false;
        }
        self.swept = Some(now);
        self.addresses.retain(|_, entry| entry.last > now);
        if !fits(self) {
            self.addresses.retain(|_, entry| entry.begin > now);
        }
        fits(self)
    }

    /// Sorts the addresses by what new rules say of their names: those that pass by a rule, and those denied now.
    pub(super) fn sort(&mut self, judge: &Judge, now: Instant) -> (Vec<Named>, Vec<IpAddr>) {
        self.addresses.retain(|_, entry| entry.last > now);
        let (mut named, mut cut) = (Vec::new(), Vec::new());
        for (address, entry) in &self.addresses {
            let allowed: Vec<&Chain> =
                entry.chains.iter().filter(|chain| judge.chain(chain).is_ok()).collect();
            if allowed.is_empty() || !judge.address(*address) {
                cut.push(*address);
            } else if allowed.iter().any(|chain| judge.spoken(&chain[0]).is_some()) {
                let begin = entry.begin.checked_duration_since(now).filter(|left| !left.is_zero());
                let last = entry.last - now;
                named.push(Named { address: *address, begin, last, known: false });
            }
        }
        (named, cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Lists, read_policy};

    fn judge(policy: &str) -> Judge {
        Judge::new(1, read_policy(policy.as_bytes()).unwrap(), Lists::default(), true)
    }

    fn chain(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn times_are_bounded_and_never_shortened() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        let address = ["9.9.9.1".parse().unwrap()];
        let mut begin = |ttl| {
            let named = seen.note(&chain(&["a.b"]), &address, Duration::from_secs(ttl), now).unwrap();
            (named[0].begin.unwrap().as_secs(), named[0].known)
        };
        assert_eq!(begin(0), (60, false));
        assert_eq!(begin(100_000), (360, true));
        assert_eq!(begin(1), (360, true));
    }

    #[test]
    fn when_it_is_full_what_has_run_out_makes_room() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        let address = |at: usize| IpAddr::V4((0x5000_0000 + at as u32).into());
        let addresses: Vec<IpAddr> = (0..MAX_ADDRESSES).map(address).collect();
        let ttl = Duration::from_secs(30);
        assert!(seen.note(&chain(&["a.b"]), &addresses, ttl, now).is_some());
        assert!(seen.note(&chain(&["a.b"]), &[address(MAX_ADDRESSES)], ttl, now).is_none());
        let later = now + Duration::from_secs(400);
        assert!(seen.note(&chain(&["a.b"]), &[address(MAX_ADDRESSES)], ttl, later).is_some());
    }

    #[test]
    fn addresses_follow_their_names() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        let ttl = Duration::from_secs(30);
        let addresses = ["9.9.9.1", "9.9.9.2", "9.9.9.3"].map(|text| text.parse().unwrap());
        seen.note(&chain(&["a.b", "cdn.c"]), &addresses[..1], ttl, now).unwrap();
        seen.note(&chain(&["d.b"]), &addresses[..2], ttl, now).unwrap();
        seen.note(&chain(&["e.b"]), &addresses[2..], ttl, now).unwrap();
        let rules = judge(
            r#"{"egress":[{"action":"allow","target":"a.b"},{"action":"deny","target":"d.b"},
                {"action":"allow","target":"e.b"}]}"#,
        );
        let (mut named, cut) = seen.sort(&rules, now);
        named.sort_unstable_by_key(|named| named.address);
        assert_eq!(named.iter().map(|named| named.address).collect::<Vec<_>>(), [addresses[0], addresses[2]]);
        assert_eq!(cut, addresses[1..2]);
        let aliases =
            judge(r#"{"egress":[{"action":"deny","target":"*.c"},{"action":"allow","target":"*.b"}]}"#);
        let later = now + Duration::from_secs(1000);
        let (named, cut) = seen.sort(&aliases, later);
        assert!(cut.is_empty() && named.iter().all(|named| named.begin.is_none()), "{named:?} {cut:?}");
    }
}
