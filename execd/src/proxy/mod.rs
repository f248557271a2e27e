//! A way to what listens inside the sandbox: `/proxy/{port}/…` goes to `127.0.0.1:{port}`.

pub mod api;
mod body;
mod document;
mod forward;
mod headers;
mod target;
mod tunnel;

/// Who sent a request; the server attaches it to each.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub std::net::SocketAddr);
