//! The sockets the sidecar serves, all bound before anything is redirected to them.
//!
//! They are in a namespace whose other users may bind ports too, so they must stay bound when the sidecar is gone, or
//! somebody else has them when it comes back. Whoever starts it can keep them: their numbers are in a file, and those of
//! the run before can be passed on to the next one.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    path::Path,
};

use anyhow::{Context, Result};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with,
    sockopt::{set_socket_recv_buffer_size_force, set_socket_reuseaddr, socket_type},
};

use crate::{config::Config, dns};

/// Connections that wait to be taken.
const BACKLOG: i32 = 1024;
/// So that a burst of questions is not lost while another one is answered.
const RECEIVE_BUFFER: usize = 1 << 20;
/// Where the numbers of the sockets are noted.
const FILE: &str = "sockets.json";

/// All of them.
#[derive(Debug)]
pub struct Sockets {
    pub api: TcpListener,
    pub dns: Listeners,
    /// Redirected connections, where they are intercepted.
    pub intercept: Vec<TcpListener>,
}

/// Those of the name server.
#[derive(Debug, Default)]
pub struct Listeners {
    pub udp: Vec<UdpSocket>,
    pub tcp: Vec<TcpListener>,
}

impl Sockets {
    /// Takes those that were passed on, and binds the others; IPv6 only where there is any.
    ///
    /// # Errors
    /// If one of them cannot be bound.
    pub fn open(config: &Config) -> Result<Self> {
        let mut passed: Vec<OwnedFd> = Vec::new();
        for fd in &config.sockets {
            // SAFETY: the starter passes these descriptors to this process alone; nothing else here knows them.
            passed.push(unsafe { OwnedFd::from_raw_fd(*fd) });
        }
        let api = tcp(&mut passed, config.http_addr)?;
        let (mut dns, mut intercept) = (Listeners::default(), Vec::new());
        for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let opened = (|| {
                let address = SocketAddr::new(ip, dns::PORT);
                dns.udp.push(udp(&mut passed, address)?);
                dns.tcp.push(tcp(&mut passed, address)?);
                if config.intercept.enabled {
                    intercept.push(tcp(&mut passed, SocketAddr::new(ip, config.intercept.port))?);
                }
                anyhow::Ok(())
            })();
            match opened {
                Err(error) if ip.is_ipv6() && is_absent(&error) => {}
                other => other?,
            }
        }
        Ok(Self { api, dns, intercept })
    }

    /// Notes their numbers, for who keeps them.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn note(&self, directory: &Path) -> io::Result<()> {
        let listeners = [&self.api].into_iter().chain(&self.dns.tcp).chain(&self.intercept);
        let numbers = listeners.map(AsRawFd::as_raw_fd).chain(self.dns.udp.iter().map(AsRawFd::as_raw_fd));
        let numbers: Vec<RawFd> = numbers.collect();
        fs::write(directory.join(FILE), serde_json::to_vec(&numbers)?)
    }
}

fn is_absent(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    matches!(error, Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT))
}

fn tcp(passed: &mut Vec<OwnedFd>, address: SocketAddr) -> Result<TcpListener> {
    open(passed, SocketType::STREAM, address).map(TcpListener::from)
}

fn udp(passed: &mut Vec<OwnedFd>, address: SocketAddr) -> Result<UdpSocket> {
    let socket = open(passed, SocketType::DGRAM, address)?;
    // Only bursts need it.
    let _ = set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER);
    Ok(socket.into())
}

/// The socket of that kind at that address that was passed on, or a new one.
fn open(passed: &mut Vec<OwnedFd>, kind: SocketType, address: SocketAddr) -> Result<OwnedFd> {
    match passed.iter().position(|socket| is_at(socket.as_fd(), kind, address)) {
        Some(at) => Ok(passed.swap_remove(at)),
        None => bound(kind, address).with_context(|| format!("cannot listen on {address}")),
    }
}

fn is_at(socket: BorrowedFd<'_>, kind: SocketType, address: SocketAddr) -> bool {
    let bound = getsockname(socket).ok().and_then(|name| SocketAddr::try_from(name).ok());
    bound == Some(address) && socket_type(socket) == Ok(kind)
}

fn bound(kind: SocketType, address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if kind == SocketType::STREAM {
        // Connections of the run before may not have ended yet.
        set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &address)?;
        listen(&socket, BACKLOG)?;
    } else {
        bind(&socket, &address)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_passed_on_is_taken_and_the_rest_bound() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let first = bound(SocketType::STREAM, any).unwrap();
        let other = bound(SocketType::DGRAM, any).unwrap();
        let address = SocketAddr::try_from(getsockname(&first).unwrap()).unwrap();
        assert!(bound(SocketType::STREAM, address).is_err(), "it is not held");
        let number = first.as_raw_fd();
        let mut passed = vec![other, first];
        assert_eq!(open(&mut passed, SocketType::STREAM, address).unwrap().as_raw_fd(), number);
        assert_eq!(passed.len(), 1);
        open(&mut passed, SocketType::STREAM, any).unwrap();
        assert_eq!(passed.len(), 1);
    }

    #[test]
    fn the_numbers_of_all_are_noted() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let tcp = || TcpListener::bind(any).unwrap();
        let dns = Listeners { udp: vec![UdpSocket::bind(any).unwrap()], tcp: vec![tcp()] };
        let sockets = Sockets { api: tcp(), dns, intercept: vec![tcp()] };
        let directory = tempfile::tempdir().unwrap();
        sockets.note(directory.path()).unwrap();
        let noted: Vec<RawFd> =
            serde_json::from_slice(&fs::read(directory.path().join(FILE)).unwrap()).unwrap();
        let Sockets { api, dns, intercept } = &sockets;
        let expected = [api, &dns.tcp[0], &intercept[0]].map(AsRawFd::as_raw_fd);
        assert_eq!(noted, [&expected[..], &[dns.udp[0].as_raw_fd()]].concat());
    }
}
