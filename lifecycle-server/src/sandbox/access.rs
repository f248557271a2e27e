//! Where requests for a sandbox go.

use std::net::SocketAddr;

/// A port of a sandbox as the server reaches it, and the secrets that open it.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    /// What execd wants to see on its own port.
    pub execd_token: String,
    /// What a caller without the API key shows to reach other ports through the proxy.
    pub access_token: String,
    /// Forwarding makes sense now, or will as soon as the sandbox is woken by it.
    pub reachable: bool,
}
