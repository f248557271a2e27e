//! What sandboxes may reach, as one nftables table per server, replaced in one transaction at start.

use std::{
    io::{self, Write},
    process::{Command, Stdio},
};

use super::{
    config::{Cidr, NativeConfig},
    names::{INTERFACE_PREFIX, Names},
};

/// The ruleset. Interfaces are matched by the prefix all Sandkeep servers share: sandboxes of different servers on one
/// host are as separate as those of one server.
pub(crate) fn ruleset(names: &Names, config: &NativeConfig) -> String {
    let (table, inside, subnet) = (names.table(), format!("\"{INTERFACE_PREFIX}*\""), names.subnet);
    let flows = config.max_flows;
    let denied = config.deny_cidrs.iter().map(Cidr::to_string).collect::<Vec<_>>().join(", ");
    let deny = if denied.is_empty() {
        String::new()
    } else {
        format!("iifname {inside} ip daddr {{ {denied} }} drop")
    };
    // `add` before `delete` makes the replacement work whether or not the table exists.
    format!(
        "add table inet {table}
delete table inet {table}
table inet {table} {{
  set flows {{
    type ipv4_addr; size 65535; flags dynamic;
  }}
  chain spoof {{
    type filter hook prerouting priority raw; policy accept;
    iifname {inside} meta nfproto ipv6 drop
    iifname {inside} fib saddr . iif oif missing drop
  }}
  chain input {{
    type filter hook input priority filter - 10; policy accept;
    iifname {inside} ct state established ct direction reply accept
    iifname {inside} drop
  }}
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    iifname {inside} oifname {inside} drop
    {deny}
    iifname {inside} ct state new add @flows {{ ip saddr ct count over {flows} }} drop
    oifname {inside} ct state established,related accept
    oifname {inside} drop
  }}
  chain translate {{
    type nat hook postrouting priority srcnat; policy accept;
    iifname {inside} ip saddr {subnet} oifname != {inside} masquerade
  }}
}}
"
    )
}

/// Puts the ruleset in force.
pub(crate) fn apply(names: &Names, config: &NativeConfig) -> io::Result<()> {
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            io::Error::new(error.kind(), format!("cannot run nft (package nftables): {error}"))
        })?;
    if let Some(mut input) = nft.stdin.take() {
        input.write_all(ruleset(names, config).as_bytes())?;
    }
    let output = nft.wait_with_output()?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("nft refused the firewall rules: {}", reason.trim())));
    }
    Ok(())
}

/// Takes the rules away, once no sandbox needs them.
pub(crate) fn remove(names: &Names) {
    let _ =
        Command::new("nft").args(["delete", "table", "inet", &names.table()]).stderr(Stdio::null()).status();
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::config::DEFAULT_SUBNET, *};

    #[test]
    fn every_denied_network_is_in_the_rules() {
        let mut config = NativeConfig::default();
        config.deny_cidrs.push("192.168.0.0/16".parse().unwrap());
        let names = Names::new(&config, DEFAULT_SUBNET, Path::new("/x"));
        let rules = ruleset(&names, &config);
        assert!(rules.contains("ip daddr { 169.254.0.0/16, 192.168.0.0/16 } drop"), "{rules}");
        assert!(rules.contains("ct count over 16384"), "{rules}");
        config.deny_cidrs.clear();
        assert!(!ruleset(&names, &config).contains("daddr"));
    }
}
