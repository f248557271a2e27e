//! Where requests for a sandbox go.

use std::net::SocketAddr;

use super::record::Plan;

/// Names the ports that need no proof, joined by commas.
pub const PUBLIC_PORTS: &str = "access.public.ports";

/// A port of a sandbox as the server reaches it, and the secrets that open it.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    /// How often the sandbox was started again under this server: connections of an earlier run are dead.
    pub run: u64,
    /// What execd wants to see on its own port.
    pub execd_token: String,
    /// What a caller without the API key shows to reach other ports through the proxy.
    pub access_token: String,
    /// What the sandbox's sidecar wants to see on its port, if there is one.
    pub egress_token: Option<String>,
    pub openness: Openness,
    /// Forwarding makes sense now, or will as soon as the sandbox is woken by it.
    pub reachable: bool,
}

/// What a sandbox says about a port of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// Nothing: the server's configuration decides.
    Default,
    /// Anybody may reach it.
    Public,
    /// Nobody without proof, whatever the configuration says.
    Secure,
}

impl Openness {
    pub fn of(plan: &Plan, port: u16) -> Self {
        let public = plan.extensions.get(PUBLIC_PORTS).and_then(|text| parse_ports(text));
        if plan.secure_access {
            Self::Secure
        } else if public.is_some_and(|ports| ports.contains(&port)) {
            Self::Public
        } else {
            Self::Default
        }
    }
}

/// Ports joined by commas; `None` if any is none.
pub fn parse_ports(text: &str) -> Option<Vec<u16>> {
    text.split(',').map(|port| port.trim().parse().ok().filter(|&port| port > 0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::record_for_tests;

    #[test]
    fn a_port_is_what_its_sandbox_says() {
        let mut plan = record_for_tests("a", chrono::Utc::now()).plan;
        assert_eq!(Openness::of(&plan, 80), Openness::Default);
        plan.extensions.insert(PUBLIC_PORTS.to_owned(), "80, 8080".to_owned());
        assert_eq!(
            (Openness::of(&plan, 8080), Openness::of(&plan, 81)),
            (Openness::Public, Openness::Default)
        );
        plan.secure_access = true;
        assert_eq!(Openness::of(&plan, 80), Openness::Secure);
    }

    #[test]
    fn port_lists() {
        assert_eq!(parse_ports("1,65535 , 80"), Some(vec![1, 65535, 80]));
        for text in ["", "0", "80,", "65536", "a", "80 81"] {
            assert_eq!(parse_ports(text), None, "{text}");
        }
    }
}
