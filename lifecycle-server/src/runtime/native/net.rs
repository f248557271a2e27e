//! One network namespace per sandbox, joined to the host by a routed pair of interfaces.
//!
//! No bridge: a bridge ends at 1,023 ports and lets neighbours talk. The host routes one address to each pair; inside,
//! everything goes to the gateway address through a permanent neighbour entry, so the first packet never waits for ARP.
//! The namespace belongs to the host's user namespace: root inside has no power over it.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::fd::{AsFd, OwnedFd},
};

use super::{
    config::Cidr,
    names::{self, HOST_MAC, Names, sandbox_mac},
    netlink::{Netlink, Route},
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
    restore(&host, names)?;
    if fs::read_to_string(FORWARD)?.trim() != "0" {
        return Ok(false);
    }
    fs::write(FORWARD, "1")?;
    Ok(true)
}

/// Makes sure of the gateway's address, and of the routes to sandboxes: those end with that address.
fn restore(host: &Netlink, names: &Names) -> io::Result<()> {
    host.add_address(LOOPBACK, names.gateway())?;
    for link in host.links()? {
        let Some(slot) = names.slot_of_interface(&link.name) else { continue };
        match host.add_host_route(names.numbered(slot).address, link.index, names.gateway()) {
            // It is there, or the link has gone in the meantime or is not up yet.
            Err(error)
                if [libc::EEXIST, libc::ENODEV, libc::ENETDOWN].map(Some).contains(&error.raw_os_error()) => {
            }
            other => other?,
        }
    }
    Ok(())
}

/// Takes the host's address in the subnet back, once no sandbox needs it.
pub(crate) fn release_host(names: &Names) -> io::Result<()> {
    Netlink::new()?.remove_address(LOOPBACK, names.gateway())
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
    if let Err(error) = host.add_host_route(slot.address, index, names.gateway()) {
        // The route names the gateway's address, which some program on the host may have taken away.
        if error.raw_os_error() != Some(libc::EINVAL) {
            return Err(error);
        }
        tracing::warn!(address = %names.gateway(), "the sandboxes' gateway address is gone from lo: putting it back");
        restore(&host, names)?;
    }
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
    let links = Netlink::new()?.links()?;
    let ours = links.iter().filter_map(|link| names.slot_of_interface(&link.name)).collect();
    let foreign = ways()?
        .into_iter()
        .filter(|way| way.network.prefix == 32 && names.slot_of_interface(&way.interface).is_none())
        .map(|way| way.network.address);
    Ok(Census { ours, foreign: foreign.collect() })
}

/// Where this host routes a network to.
#[derive(Debug)]
pub(crate) struct Way {
    pub network: Cidr,
    pub interface: String,
}

impl Way {
    /// Whether the server with this tag made it, for a sandbox.
    pub(crate) fn is_of(&self, tag: &str) -> bool {
        names::tag_of_interface(&self.interface) == Some(tag)
    }

    /// Whether another server than the one with this tag made it, for a sandbox.
    pub(crate) fn is_of_another_server(&self, tag: &str) -> bool {
        names::tag_of_interface(&self.interface).is_some_and(|other| other != tag)
    }
}

pub(crate) fn ways() -> io::Result<Vec<Way>> {
    let host = Netlink::new()?;
    let links: HashMap<i32, String> = host.links()?.into_iter().map(|link| (link.index, link.name)).collect();
    let name = |route: Route| {
        let interface = links.get(&route.interface)?.clone();
        Some(Way { network: route.network, interface })
    };
    Ok(host.routes()?.into_iter().filter_map(name).collect())
}

/// Deletes the pairs of these slots, as far as they still exist.
pub(crate) fn delete(names: &Names, slots: &[u16]) -> io::Result<usize> {
    if slots.is_empty() {
        return Ok(0);
    }
    Netlink::new()?.delete_links(&slots.iter().map(|slot| names.interface(*slot)).collect::<Vec<_>>())
}
