//! The few rtnetlink messages the runtime needs, built by hand and sent in batches.

use std::{
    io,
    net::Ipv4Addr,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

use super::config::Cidr;

const HEADER: usize = 16;
const RECEIVE_BUFFER: usize = 32 * 1024;
const VETH_INFO_PEER: u16 = 1;
const IFLA_GROUP: u16 = 27;
const RTNH_F_ONLINK: u32 = 4;
const NUD_PERMANENT: u16 = 0x80;
/// Interface group in which doomed links are collected, so that one message deletes them all.
const DOOMED_GROUP: u32 = 0x736b_0001;

/// One rtnetlink message under construction.
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u16, flags: i32, body: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(((libc::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        Self { bytes }.pad()
    }

    fn pad(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend(((value.len() + 4) as u16).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.pad()
    }

    fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// An attribute whose value is what `inner` appends.
    fn nested(mut self, kind: u16, inner: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self = self.attribute(kind, &[]);
        self = inner(self);
        let length = ((self.bytes.len() - start) as u16).to_ne_bytes();
        self.bytes[start..start + 2].copy_from_slice(&length);
        self
    }

    fn raw(mut self, value: &[u8]) -> Self {
        self.bytes.extend(value);
        self.pad()
    }

    fn finish(mut self) -> Vec<u8> {
        let length = (self.bytes.len() as u32).to_ne_bytes();
        self.bytes[..4].copy_from_slice(&length);
        self.bytes
    }
}

/// `struct ifinfomsg`.
fn link_body(index: i32, flags: u32) -> [u8; 16] {
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&flags.to_ne_bytes());
    body
}

/// A link of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub index: i32,
    pub name: String,
}

/// A route of the main table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub network: Cidr,
    pub interface: i32,
}

/// A rtnetlink socket; it speaks for the network namespace its thread was in when it was made.
pub(crate) struct Netlink {
    socket: OwnedFd,
}

impl Netlink {
    pub(crate) fn new() -> io::Result<Self> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Self { socket })
    }

    /// Sends one message and waits for the kernel's verdict.
    fn ask(&self, message: Message) -> io::Result<()> {
        send(&self.socket, &message.finish(), SendFlags::empty())?;
        let mut buffer = [0u8; 4096];
        let (_, length) = recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
        acknowledgement(&buffer[..length.min(buffer.len())])
    }

    /// A veth pair: `host` (up) here, `peer` in the namespace `netns`. The peer must be set up from inside.
    pub(crate) fn add_veth(
        &self,
        host: &str,
        host_mac: [u8; 6],
        peer: &str,
        peer_mac: [u8; 6],
        netns: BorrowedFd<'_>,
    ) -> io::Result<()> {
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.ask(
            Message::new(libc::RTM_NEWLINK, flags, &link_body(0, libc::IFF_UP as u32))
                .text(libc::IFLA_IFNAME, host)
                .attribute(libc::IFLA_ADDRESS, &host_mac)
                .nested(libc::IFLA_LINKINFO, |m| {
                    m.attribute(libc::IFLA_INFO_KIND, b"veth").nested(libc::IFLA_INFO_DATA, |m| {
                        m.nested(VETH_INFO_PEER, |m| {
                            m.raw(&link_body(0, 0))
                                .text(libc::IFLA_IFNAME, peer)
                                .attribute(libc::IFLA_ADDRESS, &peer_mac)
                                .attribute(libc::IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes())
                        })
                    })
                }),
        )
    }

    pub(crate) fn set_up(&self, index: i32) -> io::Result<()> {
        self.ask(Message::new(libc::RTM_NEWLINK, libc::NLM_F_ACK, &link_body(index, libc::IFF_UP as u32)))
    }

    /// Index of the link called `name`, if there is one.
    pub(crate) fn index_of(&self, name: &str) -> io::Result<Option<i32>> {
        let message = Message::new(libc::RTM_GETLINK, 0, &link_body(0, 0)).text(libc::IFLA_IFNAME, name);
        send(&self.socket, &message.finish(), SendFlags::empty())?;
        let mut buffer = vec![0u8; RECEIVE_BUFFER];
        let (_, length) = recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
        let reply = &buffer[..length.min(buffer.len())];
        if kind_of(reply) == Some(libc::RTM_NEWLINK) {
            return Ok(Some(i32_at(reply, HEADER + 4)));
        }
        match acknowledgement(reply) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Ok(None),
        }
    }

    /// Gives `address/32` to a link; having it already is fine.
    pub(crate) fn add_address(&self, index: i32, address: Ipv4Addr) -> io::Result<()> {
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let message = Message::new(libc::RTM_NEWADDR, flags, &address_body(index))
            .attribute(libc::IFA_LOCAL, &address.octets())
            .attribute(libc::IFA_ADDRESS, &address.octets());
        match self.ask(message) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            other => other,
        }
    }

    /// Takes `address/32` from a link; its not being there is fine.
    pub(crate) fn remove_address(&self, index: i32, address: Ipv4Addr) -> io::Result<()> {
        let message = Message::new(libc::RTM_DELADDR, libc::NLM_F_ACK, &address_body(index))
            .attribute(libc::IFA_LOCAL, &address.octets());
        match self.ask(message) {
            Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(()),
            other => other,
        }
    }

    /// A route to one host through a link, packets of this host leaving as `source`.
    pub(crate) fn add_host_route(
        &self,
        destination: Ipv4Addr,
        index: i32,
        source: Ipv4Addr,
    ) -> io::Result<()> {
        let body = route_body(32, libc::RT_SCOPE_LINK);
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.ask(
            Message::new(libc::RTM_NEWROUTE, flags, &body)
                .attribute(libc::RTA_DST, &destination.octets())
                .attribute(libc::RTA_OIF, &index.to_ne_bytes())
                .attribute(libc::RTA_PREFSRC, &source.octets()),
        )
    }

    /// A default route through a gateway that need not be in any network of the link.
    pub(crate) fn add_default_route(&self, gateway: Ipv4Addr, index: i32) -> io::Result<()> {
        let mut body = route_body(0, libc::RT_SCOPE_UNIVERSE);
        body[8..12].copy_from_slice(&RTNH_F_ONLINK.to_ne_bytes());
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.ask(
            Message::new(libc::RTM_NEWROUTE, flags, &body)
                .attribute(libc::RTA_GATEWAY, &gateway.octets())
                .attribute(libc::RTA_OIF, &index.to_ne_bytes()),
        )
    }

    /// A neighbour entry the kernel neither questions nor throws away.
    pub(crate) fn add_neighbour(&self, index: i32, address: Ipv4Addr, mac: [u8; 6]) -> io::Result<()> {
        let mut body = [0u8; 12];
        body[0] = libc::AF_INET as u8;
        body[4..8].copy_from_slice(&index.to_ne_bytes());
        body[8..10].copy_from_slice(&NUD_PERMANENT.to_ne_bytes());
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
        self.ask(
            Message::new(libc::RTM_NEWNEIGH, flags, &body)
                .attribute(libc::NDA_DST, &address.octets())
                .attribute(libc::NDA_LLADDR, &mac),
        )
    }

    pub(crate) fn links(&self) -> io::Result<Vec<Link>> {
        let mut links = Vec::new();
        self.dump(
            Message::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &link_body(0, 0)),
            16,
            |body, attributes| {
                let name = attributes.iter().find(|(kind, _)| *kind == libc::IFLA_IFNAME);
                if let Some((_, name)) = name {
                    let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
                    links.push(Link { index: i32_at(body, 4), name });
                }
            },
        )?;
        Ok(links)
    }

    /// IPv4 routes, the default one included.
    pub(crate) fn routes(&self) -> io::Result<Vec<Route>> {
        let mut routes = Vec::new();
        let mut body = [0u8; 12];
        body[0] = libc::AF_INET as u8;
        self.dump(Message::new(libc::RTM_GETROUTE, libc::NLM_F_DUMP, &body), 12, |body, attributes| {
            let find = |wanted| {
                attributes.iter().find(|(kind, _)| *kind == wanted).and_then(|(_, value)| value.get(..4))
            };
            let in_main_table = body[4] == libc::RT_TABLE_MAIN;
            if let (true, prefix @ 0..=32, Some(via)) = (in_main_table, body[1], find(libc::RTA_OIF)) {
                let to = find(libc::RTA_DST).unwrap_or(&[0; 4]);
                let network = Cidr { address: Ipv4Addr::new(to[0], to[1], to[2], to[3]), prefix };
                routes.push(Route { network, interface: i32_at(via, 0) });
            }
        })?;
        Ok(routes)
    }

    /// Deletes links, all in one kernel transaction: single deletions cost tens of milliseconds each.
    pub(crate) fn delete_links(&self, names: &[String]) -> io::Result<usize> {
        let mut marked = 0;
        for name in names {
            let message = Message::new(libc::RTM_SETLINK, libc::NLM_F_ACK, &link_body(0, 0))
                .text(libc::IFLA_IFNAME, name)
                .attribute(IFLA_GROUP, &DOOMED_GROUP.to_ne_bytes());
            match self.ask(message) {
                Ok(()) => marked += 1,
                // It went together with its namespace in the meantime.
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                Err(error) => return Err(error),
            }
        }
        if marked == 0 {
            return Ok(0);
        }
        let message = Message::new(libc::RTM_DELLINK, libc::NLM_F_ACK, &link_body(0, 0))
            .attribute(IFLA_GROUP, &DOOMED_GROUP.to_ne_bytes());
        match self.ask(message) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(marked),
            Err(error) => Err(error),
            Ok(()) => Ok(marked),
        }
    }

    fn dump(
        &self,
        message: Message,
        body_length: usize,
        mut each: impl FnMut(&[u8], &[(u16, &[u8])]),
    ) -> io::Result<()> {
        send(&self.socket, &message.finish(), SendFlags::empty())?;
        let mut buffer = vec![0u8; RECEIVE_BUFFER];
        loop {
            let (_, length) = recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = &buffer[..length.min(buffer.len())];
            while rest.len() >= HEADER {
                let total = (i32_at(rest, 0) as usize).clamp(HEADER, rest.len());
                match i32::from(kind_of(rest).unwrap_or_default()) {
                    libc::NLMSG_DONE => return Ok(()),
                    libc::NLMSG_ERROR => return acknowledgement(rest),
                    _ if total >= HEADER + body_length => {
                        let body = &rest[HEADER..HEADER + body_length];
                        each(body, &attributes(&rest[HEADER + body_length..total]));
                    }
                    _ => {}
                }
                rest = &rest[total.next_multiple_of(4).min(rest.len())..];
            }
        }
    }
}

/// `struct ifaddrmsg` of a single IPv4 address.
fn address_body(index: i32) -> [u8; 8] {
    let mut body = [libc::AF_INET as u8, 32, 0, 0, 0, 0, 0, 0];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body
}

/// `struct rtmsg` for the main table.
fn route_body(prefix: u8, scope: u8) -> [u8; 12] {
    [
        libc::AF_INET as u8,
        prefix,
        0,
        0,
        libc::RT_TABLE_MAIN,
        libc::RTPROT_BOOT,
        scope,
        libc::RTN_UNICAST,
        0,
        0,
        0,
        0,
    ]
}

fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]])).clamp(4, bytes.len());
        found.push((u16::from_ne_bytes([bytes[2], bytes[3]]), &bytes[4..length]));
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    found
}

fn kind_of(message: &[u8]) -> Option<u16> {
    message.get(4..6).map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]]))
}

fn i32_at(bytes: &[u8], offset: usize) -> i32 {
    bytes.get(offset..offset + 4).map_or(0, |b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
}

fn acknowledgement(reply: &[u8]) -> io::Result<()> {
    if kind_of(reply).map(i32::from) != Some(libc::NLMSG_ERROR) {
        return Err(io::Error::other("unexpected netlink reply"));
    }
    match i32_at(reply, HEADER) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(-errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_attributes_carry_their_lengths() {
        let bytes = Message::new(libc::RTM_NEWLINK, 0, &link_body(7, 0))
            .text(libc::IFLA_IFNAME, "ab")
            .nested(libc::IFLA_LINKINFO, |m| m.attribute(libc::IFLA_INFO_KIND, b"veth"))
            .finish();
        assert_eq!(i32_at(&bytes, 0) as usize, bytes.len());
        let top = attributes(&bytes[HEADER + 16..]);
        assert_eq!(top[0], (libc::IFLA_IFNAME, &b"ab\0"[..]));
        assert_eq!(top[1].0, libc::IFLA_LINKINFO);
        assert_eq!(attributes(top[1].1), [(libc::IFLA_INFO_KIND, &b"veth"[..])]);
    }

    #[test]
    fn errors_become_os_errors() {
        let mut reply = vec![0u8; 36];
        reply[4..6].copy_from_slice(&(libc::NLMSG_ERROR as u16).to_ne_bytes());
        assert!(acknowledgement(&reply).is_ok());
        reply[HEADER..HEADER + 4].copy_from_slice(&(-libc::EEXIST).to_ne_bytes());
        assert_eq!(acknowledgement(&reply).unwrap_err().raw_os_error(), Some(libc::EEXIST));
        assert!(acknowledgement(&[]).is_err());
    }

    #[test]
    fn truncated_attributes_do_not_panic() {
        assert_eq!(attributes(&[9, 0, 1, 0, 5]).len(), 1);
        assert!(attributes(&[1]).is_empty());
    }
}
