//! Forwards HTTP requests and WebSockets into sandboxes, streaming both ways.

mod ask;
mod body;
mod connector;
mod error;
mod forward;
mod frames;
mod headers;
mod relay;
mod resolver;
pub mod tcp;
mod tunnel;
mod websocket;

pub use ask::Question;
pub use error::ProxyError;
pub use forward::{Incoming, Proxy};
pub use headers::Front;
pub use relay::{RELAYED, Relay, RelayError, is_from_gateway};
pub use websocket::Handshake;

/// Port of every sandbox's execd.
pub const EXECD_PORT: u16 = 44772;
/// Header that carries execd's access token.
pub const EXECD_TOKEN_HEADER: &str = "X-EXECD-ACCESS-TOKEN";
