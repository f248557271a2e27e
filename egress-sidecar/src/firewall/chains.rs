//! The chains and their rules.

use super::{
    Fixed, OWN_MARK, Plan, TABLE,
    message::{Attributes, Batch},
    rule::Step::{self, *},
};
use crate::config::{Cidr, Mode};

const DNS_PORT: u16 = 53;
const DNS_OVER_TLS_PORT: u16 = 853;
const HTTPS_PORT: u16 = 443;
/// Neighbours and routers of a link: without these IPv6 reaches nobody at all.
const NEIGHBOUR_MESSAGES: [u8; 4] = [133, 134, 135, 136];

/// Lists of blocks, in the order they are looked into.
pub(super) const LISTS: [&str; 7] =
    ["doh", "always_deny", "always_allow", "deny", "allow", "known_doh", "cut"];
/// Addresses connections may begin to.
pub(super) const BEGIN: &str = "dyn_allow";
/// Addresses connections that have begun may go on to.
pub(super) const LAST: &str = "dyn_established";

const JUDGE: &str = "egress";
const REDIRECT: &str = "redirect";
const UNREDIRECTED: &str = "unredirected";
const FORWARD: &str = "forward";
const REFUSED: &str = "refused";
const OWN_SOURCE: &str = "own_source";

/// Refused packets told of, a second and at once.
const TOLD_RATE: u64 = 10;
const TOLD_BURST: u32 = 20;
/// Bytes of them: both headers with room for options.
const TOLD_LENGTH: u32 = 128;

/// Connections to the API from inside, a second and at once: more would fill the queue of those that wait to be taken.
const CALL_RATE: u64 = 500;
const CALL_BURST: u32 = 500;

/// Before everything that marks a connection or lets it pass.
const FIRST: i32 = -120;
/// Just before destinations are rewritten (-100): what counts is where a packet was sent.
const BEFORE_REDIRECT: i32 = -110;
const AT_REDIRECT: i32 = -100;
const AFTER_REDIRECT: i32 = 10;

// Attributes of linux/netfilter/nf_tables.h.
const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;

/// Public resolvers that answer over HTTPS; blocked where nothing allows them.
const KNOWN_DOH: &[&str] = &[
    "8.8.8.8",
    "8.8.4.4",
    "1.1.1.1",
    "1.0.0.1",
    "1.1.1.2",
    "1.0.0.2",
    "1.1.1.3",
    "1.0.0.3",
    "9.9.9.9",
    "9.9.9.10",
    "9.9.9.11",
    "149.112.112.112",
    "208.67.222.222",
    "208.67.220.220",
    "94.140.14.14",
    "94.140.15.15",
    "76.76.2.0/24",
    "76.76.10.0/24",
    "45.90.28.0/22",
    "185.228.168.0/23",
    "2001:4860:4860::8888",
    "2001:4860:4860::8844",
    "2606:4700:4700::/48",
    "2620:fe::/48",
    "2620:119:35::35",
    "2620:119:53::53",
    "2a10:50c0::/48",
];

pub(super) fn set_name(kind: &str, v6: bool, generation: u64) -> String {
    format!("{kind}_v{}_{generation}", if v6 { 6 } else { 4 })
}

/// Blocks of [`LISTS`].
pub(super) fn lists(fixed: &Fixed, plan: &Plan) -> [Vec<Cidr>; LISTS.len()] {
    [
        fixed.doh.clone().unwrap_or_default(),
        plan.always_deny.clone(),
        plan.always_allow.clone(),
        plan.deny.clone(),
        plan.allow.clone(),
        KNOWN_DOH.iter().filter_map(|text| text.parse().ok()).collect(),
        plan.cut.iter().map(|address| Cidr::from(*address)).collect(),
    ]
}

/// The table and its chains, in place of any there were.
pub(super) fn add_table(batch: &mut Batch, fixed: &Fixed) {
    // Adding it first makes deleting it work whether or not it is there.
    for kind in [libc::NFT_MSG_NEWTABLE, libc::NFT_MSG_DELTABLE, libc::NFT_MSG_NEWTABLE] {
        let flags = if kind == libc::NFT_MSG_NEWTABLE { libc::NLM_F_CREATE } else { 0 };
        batch.message(kind, flags, |m| {
            m.text(TABLE_NAME, TABLE);
        });
    }
    let strict = fixed.mode == Mode::DnsNft;
    let judged = if strict { libc::NF_DROP } else { libc::NF_ACCEPT };
    add_chain(batch, JUDGE, "filter", libc::NF_INET_LOCAL_OUT, BEFORE_REDIRECT, judged);
    add_chain(batch, REDIRECT, "nat", libc::NF_INET_LOCAL_OUT, AT_REDIRECT, libc::NF_ACCEPT);
    add_chain(batch, UNREDIRECTED, "filter", libc::NF_INET_LOCAL_OUT, AFTER_REDIRECT, libc::NF_ACCEPT);
    if strict {
        // Nothing is a router here; namespaces inside this one have no way around the rules.
        add_chain(batch, FORWARD, "filter", libc::NF_INET_FORWARD, BEFORE_REDIRECT, libc::NF_DROP);
        batch.message(libc::NFT_MSG_NEWCHAIN, libc::NLM_F_CREATE, |m| {
            m.text(CHAIN_TABLE, TABLE).text(CHAIN_NAME, REFUSED);
        });
        // So that the sender learns of it; all that cannot be told is dropped.
        for rule in [vec![Tcp, Reset], vec![Unreachable]] {
            add_rule(batch, REFUSED, &rule);
        }
    }
    for rule in redirects(fixed) {
        add_rule(batch, REDIRECT, &rule);
    }
    for rule in unredirected(fixed) {
        add_rule(batch, UNREDIRECTED, &rule);
    }
}

/// Tells this group of refused packets, before they are refused.
pub(super) fn tell_of_refused(batch: &mut Batch, group: u16) {
    // Without `NLM_F_APPEND` it is the first rule.
    let steps = [Limit(TOLD_RATE, TOLD_BURST), Log(group, TOLD_LENGTH)];
    write_rule(batch, REFUSED, &steps, libc::NLM_F_CREATE);
}

/// Drops what bears a source address that is not the namespace's. IPv6 lets anybody choose one; it has none yet when it
/// looks whether an address is free.
pub(super) fn insist_on_own_source(batch: &mut Batch) {
    add_chain(batch, OWN_SOURCE, "filter", libc::NF_INET_LOCAL_OUT, FIRST, libc::NF_ACCEPT);
    for rule in NEIGHBOUR_MESSAGES.map(|kind| vec![Icmp6(kind), Accept]) {
        add_rule(batch, OWN_SOURCE, &rule);
    }
    add_rule(batch, OWN_SOURCE, &[Family(true), Loopback(false), Foreign, Drop]);
}

fn add_chain(batch: &mut Batch, name: &str, kind: &str, hook: i32, priority: i32, policy: i32) {
    batch.message(libc::NFT_MSG_NEWCHAIN, libc::NLM_F_CREATE, |m| {
        m.text(CHAIN_TABLE, TABLE).text(CHAIN_NAME, name);
        m.nested(CHAIN_HOOK, |m| {
            m.number(HOOK_NUMBER, hook as u32).number(HOOK_PRIORITY, priority as u32);
        });
        m.number(CHAIN_POLICY, policy as u32).text(CHAIN_TYPE, kind);
    });
}

fn add_rule(batch: &mut Batch, chain: &str, steps: &[Step]) {
    write_rule(batch, chain, steps, libc::NLM_F_CREATE | libc::NLM_F_APPEND);
}

fn write_rule(batch: &mut Batch, chain: &str, steps: &[Step], flags: i32) {
    batch.message(libc::NFT_MSG_NEWRULE, flags, |m| {
        m.text(RULE_TABLE, TABLE).text(RULE_CHAIN, chain);
        m.nested(RULE_EXPRESSIONS, |m: &mut Attributes<'_>| {
            for step in steps {
                step.write(m);
            }
        });
    });
}

/// Both that are addressed by ports.
fn tcp_and_udp(rules: &mut Vec<Vec<Step>>, steps: &[Step]) {
    for protocol in [Tcp, Udp] {
        rules.push([&[protocol], steps].concat());
    }
}

/// The rules that judge, in place of the ones before.
pub(super) fn replace_rules(
    batch: &mut Batch,
    fixed: &Fixed,
    default_allow: bool,
    present: &[[bool; 2]; LISTS.len()],
    generation: u64,
) {
    batch.message(libc::NFT_MSG_DELRULE, 0, |m| {
        m.text(RULE_TABLE, TABLE).text(RULE_CHAIN, JUDGE);
    });
    let mut rules = duties(fixed);
    if fixed.mode == Mode::DnsNft {
        rules.extend(verdicts(fixed, default_allow, present, generation));
    }
    for rule in rules {
        add_rule(batch, JUDGE, &rule);
    }
}

/// What holds whatever the policy says.
fn duties(fixed: &Fixed) -> Vec<Vec<Step>> {
    let mut rules = vec![
        // A mark of a connection can only come from here; that of a socket also from whoever may open raw ones.
        vec![Mark(OWN_MARK), User(fixed.user, true), MarkConnection(OWN_MARK), Accept],
        // The kernel ends connections in nobody's name, but with the socket's mark.
        vec![Mark(OWN_MARK), ConnectionMark(OWN_MARK, true), User(fixed.user, false), Drop],
        vec![Mark(OWN_MARK), ConnectionMark(OWN_MARK, true), Accept],
        // Who answers the sidecar from inside the namespace.
        vec![ConnectionMark(OWN_MARK, true), Reply, Accept],
        // A connection is remembered for a while after its socket is closed: whoever takes its port is not its owner.
        vec![ConnectionMark(OWN_MARK, true), Drop],
    ];
    if let Some(proxy) = fixed.proxy {
        // Who could speak to it could have it open what the policy denies.
        rules.push(vec![Tcp, To(proxy.ip()), ToPort(proxy.port()), Reset]);
    }
    // Nobody else answers at the sidecar's ports while it is away: who asks there shows its token.
    rules.push(vec![Tcp, FromPort(fixed.api_port), User(fixed.user, false), Drop]);
    let call = [Loopback(true), Tcp, ToPort(fixed.api_port)];
    for rule in [&[Established, Accept][..], &[Limit(CALL_RATE, CALL_BURST), Accept], &[Reset]] {
        rules.push([&call, rule].concat());
    }
    // What is redirected stays inside; the same ports of others are their own affair.
    tcp_and_udp(&mut rules, &[Loopback(true), FromPort(fixed.dns_port), User(fixed.user, false), Drop]);
    if let Some(intercept) = &fixed.intercept {
        rules.push(vec![Loopback(true), Tcp, FromPort(intercept.to), User(fixed.user, false), Drop]);
        // The proxy serves redirected connections; who calls it directly has no destination.
        rules.push(vec![Loopback(true), Tcp, ToPort(intercept.to), Reset]);
        for port in &intercept.ports {
            // Clients of QUIC come again over TCP.
            rules.push(vec![Loopback(false), Udp, ToPort(*port), Unreachable]);
        }
    }
    rules
}

/// What a policy says of addresses.
fn verdicts(
    fixed: &Fixed,
    default_allow: bool,
    present: &[[bool; 2]; LISTS.len()],
    generation: u64,
) -> Vec<Vec<Step>> {
    let mut rules = vec![vec![Loopback(true), Accept], vec![Established, Reply, Accept]];
    rules.extend(NEIGHBOUR_MESSAGES.map(|kind| vec![Icmp6(kind), Accept]));
    // Those are redirected, or go to a name server that is exempt.
    tcp_and_udp(&mut rules, &[ToPort(DNS_PORT), Accept]);
    refuse(&mut rules, &[ToPort(DNS_OVER_TLS_PORT)]);
    if let Some(blocked) = &fixed.doh {
        match blocked.is_empty() {
            true => refuse(&mut rules, &[ToPort(HTTPS_PORT)]),
            false => refuse_list(&mut rules, "doh", present, generation, &[ToPort(HTTPS_PORT)]),
        }
    }
    refuse_list(&mut rules, "always_deny", present, generation, &[]);
    accept_list(&mut rules, "always_allow", present, generation);
    refuse_list(&mut rules, "deny", present, generation, &[]);
    accept_list(&mut rules, "allow", present, generation);
    for v6 in [false, true] {
        rules.push(vec![ToSet(set_name(BEGIN, v6, generation), v6), Accept]);
        rules.push(vec![Established, ToSet(set_name(LAST, v6, generation), v6), Accept]);
    }
    refuse_list(&mut rules, "known_doh", present, generation, &[ToPort(HTTPS_PORT)]);
    refuse_list(&mut rules, "cut", present, generation, &[]);
    match default_allow {
        true => rules.push(vec![Accept]),
        false => refuse(&mut rules, &[]),
    }
    rules
}

/// Refuses, to both that are addressed by ports where a port is named.
fn refuse(rules: &mut Vec<Vec<Step>>, steps: &[Step]) {
    match steps.iter().any(|step| matches!(step, ToPort(_))) {
        true => tcp_and_udp(rules, &[steps, &[Goto(REFUSED)]].concat()),
        false => rules.push([steps, &[Goto(REFUSED)]].concat()),
    }
}

fn families<'a>(
    list: &'a str,
    present: &'a [[bool; 2]; LISTS.len()],
    generation: u64,
) -> impl Iterator<Item = Step> + 'a {
    let at = LISTS.iter().position(|name| *name == list);
    let present = at.map_or([false; 2], |at| present[at]);
    let there = [false, true].into_iter().filter(move |v6| present[usize::from(*v6)]);
    there.map(move |v6| ToSet(set_name(list, v6, generation), v6))
}

fn refuse_list(
    rules: &mut Vec<Vec<Step>>,
    list: &str,
    present: &[[bool; 2]; LISTS.len()],
    generation: u64,
    more: &[Step],
) {
    for set in families(list, present, generation) {
        refuse(rules, &[&[set], more].concat());
    }
}

fn accept_list(rules: &mut Vec<Vec<Step>>, list: &str, present: &[[bool; 2]; LISTS.len()], generation: u64) {
    rules.extend(families(list, present, generation).map(|set| vec![set, Accept]));
}

/// Where connections go instead.
fn redirects(fixed: &Fixed) -> Vec<Vec<Step>> {
    let mut rules = vec![vec![ConnectionMark(OWN_MARK, true), Accept]];
    for address in &fixed.exempt {
        tcp_and_udp(&mut rules, &[ToPort(DNS_PORT), To(*address), Accept]);
    }
    tcp_and_udp(&mut rules, &[ToPort(DNS_PORT), Redirect(fixed.dns_port)]);
    if let Some(intercept) = &fixed.intercept {
        for port in &intercept.ports {
            rules.push(vec![Loopback(false), Tcp, ToPort(*port), Redirect(intercept.to)]);
        }
    }
    rules
}

/// Questions of connections older than the rules, which are not redirected any more.
fn unredirected(fixed: &Fixed) -> Vec<Vec<Step>> {
    let mut rules = vec![vec![ConnectionMark(OWN_MARK, true), Accept], vec![Loopback(true), Accept]];
    for address in &fixed.exempt {
        tcp_and_udp(&mut rules, &[ToPort(DNS_PORT), To(*address), Accept]);
    }
    tcp_and_udp(&mut rules, &[ToPort(DNS_PORT), Drop]);
    rules
}
