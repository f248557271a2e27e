//! Firewalls of other programs that drop what sandboxes send to the outside. Docker and ufw set the host up that way.
//!
//! An `accept` of ours does not help: a packet passes only if every chain lets it pass, and changing another
//! program's rules is not ours to do. So this finds such chains and says how to open them for sandboxes.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::names::INTERFACE_PREFIX;

/// Kinds of tables the kernel has old-style iptables for; readable only where they are in use.
const LEGACY_TABLES: &str = "/proc/thread-self/net/ip_tables_names";
/// Chain that Docker leaves to the operator.
const DOCKER_CHAIN: &str = "DOCKER-USER";

/// A chain that drops forwarded packets unless a rule lets them pass, without a rule for sandboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    pub what: String,
    /// Command that opens it.
    pub mend: String,
}

/// Looks at the rules in force. What cannot be read is taken for no obstacle.
pub(crate) fn obstacles() -> Vec<Obstacle> {
    let rules = output("nft", &["--json", "--stateless", "--terse", "list", "ruleset"]);
    let mut found = rules.map(|text| in_nftables(&text)).unwrap_or_default();
    if fs::read_to_string(LEGACY_TABLES).is_ok_and(|tables| tables.lines().any(|table| table == "filter")) {
        found.extend(output("iptables-legacy", &["-S"]).and_then(|rules| in_iptables(&rules)));
    }
    found
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()
}

/// Chains in the output of `nft --json list ruleset`.
fn in_nftables(ruleset: &str) -> Vec<Obstacle> {
    let Ok(ruleset) = serde_json::from_str::<Value>(ruleset) else { return Vec::new() };
    let objects: Vec<&Value> = ruleset["nftables"].as_array().into_iter().flatten().collect();
    let table_of = |object: &Value| -> Option<(String, String)> {
        Some((object["family"].as_str()?.to_owned(), object["table"].as_str()?.to_owned()))
    };
    let opened: BTreeSet<_> = objects
        .iter()
        .map(|object| &object["rule"])
        .filter(|rule| lets_sandboxes_pass(&rule["expr"]))
        .filter_map(table_of)
        .collect();
    let docker: BTreeSet<_> = objects
        .iter()
        .map(|object| &object["chain"])
        .filter(|chain| chain["name"] == DOCKER_CHAIN)
        .filter_map(table_of)
        .collect();
    objects
        .iter()
        .map(|object| &object["chain"])
        .filter(|chain| {
            chain["hook"] == "forward"
                && chain["policy"] == "drop"
                && matches!(chain["family"].as_str(), Some("ip" | "inet"))
        })
        .filter_map(|chain| Some((table_of(chain)?, chain["name"].as_str()?)))
        .filter(|(table, _)| !opened.contains(table))
        .map(|((family, table), name)| {
            let open = if docker.contains(&(family.clone(), table.clone())) { DOCKER_CHAIN } else { name };
            let insert = format!("nft insert rule {family} {table} {open}");
            Obstacle {
                what: format!(
                    "the firewall chain {name} of table {family} {table} drops what sandboxes send to the outside"
                ),
                mend: format!(
                    "{insert} iifname '\"{INTERFACE_PREFIX}*\"' accept; \
                     {insert} oifname '\"{INTERFACE_PREFIX}*\"' ct state established,related accept"
                ),
            }
        })
        .collect()
}

/// A rule that accepts by the interfaces of sandboxes.
fn lets_sandboxes_pass(expressions: &Value) -> bool {
    let mut parts = expressions.as_array().into_iter().flatten();
    let wildcard = format!("{INTERFACE_PREFIX}*");
    let (mut ours, mut accepts) = (false, false);
    for part in &mut parts {
        ours |=
            part["match"]["right"] == wildcard.as_str() && part["match"]["left"]["meta"]["key"] == "iifname";
        accepts |= part.get("accept").is_some();
    }
    ours && accepts
}

/// The FORWARD chain in the output of `iptables-legacy -S`.
fn in_iptables(rules: &str) -> Option<Obstacle> {
    let drops = rules.lines().any(|line| line == "-P FORWARD DROP");
    let interface = format!("-i {INTERFACE_PREFIX}+");
    let opened = rules.lines().any(|line| line.contains(&interface) && line.ends_with("-j ACCEPT"));
    if !drops || opened {
        return None;
    }
    let docker = rules.lines().any(|line| line.starts_with(&format!("-N {DOCKER_CHAIN}")));
    let insert = format!("iptables-legacy -I {}", if docker { DOCKER_CHAIN } else { "FORWARD" });
    Some(Obstacle {
        what: "the iptables chain FORWARD drops what sandboxes send to the outside".to_owned(),
        mend: format!(
            "{insert} -i {INTERFACE_PREFIX}+ -j ACCEPT; \
             {insert} -o {INTERFACE_PREFIX}+ -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruleset(policy: &str, more: &str) -> String {
        format!(
            r#"{{"nftables": [{{"metainfo": {{"version": "1.0.6"}}}},
            {{"table": {{"family": "ip", "name": "filter", "handle": 1}}}},
            {{"chain": {{"family": "ip", "table": "filter", "name": "FORWARD", "handle": 1, "type": "filter",
              "hook": "forward", "prio": 0, "policy": "{policy}"}}}},
            {{"chain": {{"family": "ip", "table": "filter", "name": "INPUT", "handle": 2, "type": "filter",
              "hook": "input", "prio": 0, "policy": "drop"}}}}{more}]}}"#
        )
    }

    fn rule(verdict: &str) -> String {
        format!(
            r#", {{"rule": {{"family": "ip", "table": "filter", "chain": "FORWARD", "handle": 7, "expr": [
            {{"match": {{"op": "==", "left": {{"meta": {{"key": "iifname"}}}}, "right": "sk*"}}}},
            {{"counter": {{"packets": 0, "bytes": 0}}}}, {{"{verdict}": null}}]}}}}"#
        )
    }

    #[test]
    fn a_chain_that_drops_is_an_obstacle_until_it_has_a_rule() {
        assert_eq!(in_nftables(&ruleset("accept", "")), []);
        let found = in_nftables(&ruleset("drop", ""));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].what.contains("FORWARD of table ip filter"), "{found:?}");
        assert!(found[0].mend.starts_with("nft insert rule ip filter FORWARD iifname"), "{found:?}");
        assert_eq!(in_nftables(&ruleset("drop", &rule("drop"))).len(), 1);
        assert_eq!(in_nftables(&ruleset("drop", &rule("accept"))), []);
        assert_eq!(in_nftables("not json"), []);
    }

    #[test]
    fn docker_has_a_chain_for_such_rules() {
        let chain = r#", {"chain": {"family": "ip", "table": "filter", "name": "DOCKER-USER", "handle": 9}}"#;
        let found = in_nftables(&ruleset("drop", chain));
        assert!(found[0].mend.starts_with("nft insert rule ip filter DOCKER-USER "), "{found:?}");
    }

    #[test]
    fn old_iptables_as_well() {
        let rules = "-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n";
        assert!(in_iptables(rules).unwrap().mend.contains("-I FORWARD -i sk+ -j ACCEPT"));
        assert!(in_iptables(&format!("{rules}-N DOCKER-USER\n")).unwrap().mend.contains("-I DOCKER-USER"));
        assert_eq!(in_iptables(&format!("{rules}-A FORWARD -i sk+ -j ACCEPT\n")), None);
        assert_eq!(in_iptables(&rules.replace("DROP", "ACCEPT")), None);
    }
}
