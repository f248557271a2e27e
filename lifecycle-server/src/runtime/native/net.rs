//! One network namespace per sandbox, joined to the host by a routed pair of interfaces.
//!
//! No bridge: a bridge ends at 1,023 ports and lets neighbours talk. The host routes one address to each pair; inside,
//! everything goes to the gateway address through a permanent neighbour entry, so the first packet never waits for ARP.
//! The namespace belongs to the host's user namespace: root inside has no power over it.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, OwnedFd},
};

use super::{
    names::{HOST_MAC, Names, sandbox_mac},
    netlink::Netlink,
    sys,
};
use crate::runtime::Slot;

const LOOPBACK: i32 = 1;
const INSIDE: &str = "eth0";

/// Settings of a fresh namespace: any port and ping for everyone inside, no IPv6.
const SETTINGS: [(&str, &str); 4] = [
    ("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
    ("/proc/sys/net/ipv4/ping_group_range", "0 4294967294"),
    ("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"),
    ("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"),
];

/// Gives the host its address in the sandboxes' subnet and lets it forward packets.
/// Returns whether forwarding had to be switched on.
pub(crate) fn prepare_host(names: &Names) -> io::Result<bool> {
    const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
    let host = Netlink::new()?;
    host.set_up(LOOPBACK)?;
    host.add_address(LOOPBACK, names.gateway())?;
    if fs::read_to_string(FORWARD)?.trim() != "0" {
        return Ok(false);
    }
    fs::write(FORWARD, "1")?;
    Ok(true)
}

/// Makes the network of a slot. The pair disappears with the namespace, that is with the last process and descriptor
/// in it.
pub(crate) fn create(names: &Names, slot: Slot) -> io::Result<OwnedFd> {
    // A thread of its own enters the new namespace and ends there: no thread of ours can be left in a wrong one.
    let (netns, inside) = std::thread::scope(|scope| {
        scope.spawn(new_namespace).join().unwrap_or_else(|_| Err(io::Error::other("namespace thread died")))
    })?;
    let host = Netlink::new()?;
    let outside = names.interface(slot.number);
    host.add_veth(&outside, HOST_MAC, INSIDE, sandbox_mac(slot.number), netns.as_fd())?;
    let not_there = || io::Error::from(io::ErrorKind::NotFound);
    let index = inside.index_of(INSIDE)?.ok_or_else(not_there)?;
    inside.set_up(index)?;
    inside.add_address(index, slot.address)?;
    inside.add_default_route(names.gateway(), index)?;
    inside.add_neighbour(index, names.gateway(), HOST_MAC)?;
    let index = host.index_of(&outside)?.ok_or_else(not_there)?;
    // Absent where the host itself has no IPv6.
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{outside}/disable_ipv6"), "1");
    host.add_host_route(slot.address, index, names.gateway())?;
    host.add_neighbour(index, slot.address, sandbox_mac(slot.number))?;
    Ok(netns)
}

fn new_namespace() -> io::Result<(OwnedFd, Netlink)> {
    sys::unshare(libc::CLONE_NEWNET)?;
    let netns = File::open("/proc/thread-self/ns/net")?;
    for (path, value) in SETTINGS {
        match fs::write(path, value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    let inside = Netlink::new()?;
    inside.set_up(LOOPBACK)?;
    Ok((netns.into(), inside))
}

/// Slots of this server that have an interface on the host, and addresses that others use.
pub(crate) struct Census {
    pub ours: Vec<u16>,
    pub foreign: Vec<std::net::Ipv4Addr>,
}

pub(crate) fn census(names: &Names) -> io::Result<Census> {
    let host = Netlink::new()?;
    let (mut ours, mut our_links) = (Vec::new(), Vec::new());
    for link in host.links()? {
        if let Some(slot) = names.slot_of_interface(&link.name) {
            ours.push(slot);
            our_links.push(link.index);
        }
    }
    let routes = host.host_routes()?;
    let foreign =
        routes.iter().filter(|route| !our_links.contains(&route.interface)).map(|route| route.destination);
    Ok(Census { ours, foreign: foreign.collect() })
}

/// Deletes the pairs of these slots, as far as they still exist.
pub(crate) fn delete(names: &Names, slots: &[u16]) -> io::Result<usize> {
    if slots.is_empty() {
        return Ok(0);
    }
    Netlink::new()?.delete_links(&slots.iter().map(|slot| names.interface(*slot)).collect::<Vec<_>>())
}
