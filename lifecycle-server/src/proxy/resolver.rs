//! Names that hold both a sandbox's id and its address.
//!
//! Connections are kept per name. A sandbox's address is used again by a later one, and a killed sandbox doesn't close
//! its connections; the id in the name keeps the later one from getting a request over a dead connection.

use std::{
    future::{Ready, ready},
    io,
    net::{IpAddr, SocketAddr},
    task::{Context, Poll},
};

use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

/// Host part of an address inside sandbox `id`.
pub(super) fn host(id: &str, address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{id}.{address}"),
        // A colon would end the host.
        IpAddr::V6(address) => format!("{id}.{}", address.to_string().replace(':', "_")),
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
            let name = host("0b5c1c1e-8f53-4ad2-8a52-5f2c1a0f6c11", ip);
            assert_eq!(address(&name), Some(ip), "{name}");
            assert!(format!("http://{name}:80/").parse::<axum::http::Uri>().is_ok(), "{name}");
        }
        assert_eq!(address("localhost"), None);
        assert_eq!(address("id.example.com"), None);
    }
}
