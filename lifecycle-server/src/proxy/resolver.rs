//! Names that hold a sandbox's id, the number of its run, and its address.
//!
//! Connections are kept per name. A sandbox's address is used again by a later one, or by the same one started again,
//! and a killed sandbox doesn't close its connections; id and run in the name keep the later one from getting a request
//! over a dead connection, which a sandbox whose packets are filtered would not even refuse.

use std::{
    future::{Ready, ready},
    io,
    net::{IpAddr, SocketAddr},
    task::{Context, Poll},
};

use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

/// Host part of an address inside a run of sandbox `id`.
pub(super) fn host(id: &str, run: u64, address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{id}-{run}.{address}"),
        // A colon would end the host.
        IpAddr::V6(address) => format!("{id}-{run}.{}", address.to_string().replace(':', "_")),
    }
}

/// Takes the address out of a name made by [`host`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver;

impl Service<Name> for Resolver {
    type Response = std::option::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Response, io::Error>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        ready(match address(name.as_str()) {
            // The connector fills in the port.
            Some(address) => Ok(Some(SocketAddr::new(address, 0)).into_iter()),
            None => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name} names no address"))),
        })
    }
}

fn address(name: &str) -> Option<IpAddr> {
    let (_, address) = name.split_once('.')?;
    address.replace('_', ":").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_name() {
        for text in ["10.231.0.7", "127.0.0.1", "fd00::7", "::1"] {
            let ip: IpAddr = text.parse().unwrap();
            let id = "0b5c1c1e-8f53-4ad2-8a52-5f2c1a0f6c11";
            let name = host(id, 0, ip);
            assert_eq!(address(&name), Some(ip), "{name}");
            assert_ne!(host(id, 1, ip), name, "a later run gets connections of an earlier one");
            assert!(format!("http://{name}:80/").parse::<axum::http::Uri>().is_ok(), "{name}");
        }
        assert_eq!(address("localhost"), None);
        assert_eq!(address("id.example.com"), None);
    }
}
