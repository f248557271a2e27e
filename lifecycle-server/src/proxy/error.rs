//! Why a request could not be forwarded.

use std::{net::SocketAddr, time::Duration};

#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("nothing in the sandbox accepts connections on {address}: {cause}")]
    Connect { address: SocketAddr, cause: String },
    #[error("the sandbox's port {} did not answer within {} seconds", .address.port(), .waited.as_secs())]
    Timeout { address: SocketAddr, waited: Duration },
    #[error("the sandbox's port {} broke off before it had answered: {cause}", .address.port())]
    Response { address: SocketAddr, cause: String },
    /// The caller's connection cannot become a WebSocket (HTTP/2, or no real upgrade request).
    #[error("the request asks for an upgrade that this connection cannot make")]
    NotUpgradable,
    #[error("the server carries as many upgraded connections as it may; try again")]
    TooMany,
    #[error("the path and query cannot be forwarded: {0}")]
    Uri(String),
}

/// The innermost cause, which says more than hyper's outer ones.
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
