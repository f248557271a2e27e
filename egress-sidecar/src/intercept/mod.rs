//! Interception: connections to the web that the firewall redirects here are opened, judged, given credentials where a
//! binding says so, and sent on.
//!
//! A client and its upstream speak the same protocol, so that nothing is translated and nothing is lost. Bodies are
//! never collected (but for short ones in which marks are replaced, whose length must be known first).

mod authority;
mod body;
mod bounded;
mod ca;
mod connect;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod gate;
mod guard;
mod headers;
mod hello;
mod listen;
mod original;
mod pool;
mod request;
mod rewind;
mod session;
mod tunnel;
mod unpack;
mod upstream;
mod way;

use std::{net::SocketAddr, sync::Arc};

pub use self::{
    ca::{Authority, CaError},
    gate::{Gate, Verdict},
    listen::{Proxy, Settings},
};
use crate::{audit::Audit, vault::store::Store};

/// What every connection shares.
struct Shared {
    settings: Settings,
    authority: Arc<Authority>,
    server_configs: session::ServerConfigs,
    gate: Arc<dyn Gate>,
    vault: Arc<Store>,
    audit: Arc<Audit>,
    connector: connect::Connector,
    pool: pool::Pool,
}

/// Where a client wanted to go.
type Destination = SocketAddr;
