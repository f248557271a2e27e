//! Refused packets, as the kernel tells of them: those nobody has looked a name up for, above all.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
    sync::Arc,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with},
};
use sandkeep_specs::egress::audit::AuditKind;
use tokio::io::unix::AsyncFd;

use crate::audit::{Audit, Event};

/// Number of the log, of which there is one of each in a network namespace.
pub const GROUP: u16 = 18_080;

// Constants of linux/netfilter/nfnetlink_log.h.
const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_ULOG as u16;
const MESSAGE_PACKET: u16 = 0;
const MESSAGE_CONFIG: u16 = 1;
const CONFIG_COMMAND: u16 = 1;
const CONFIG_MODE: u16 = 2;
const CONFIG_THRESHOLD: u16 = 5;
const COMMAND_BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
const PAYLOAD: u16 = 9;

/// Headers of a message: netlink's, and netfilter's.
const HEADER: usize = 16;
const HEADERS: usize = HEADER + 4;
/// Bytes asked for of each packet; the rule that logs gives no more either.
const LENGTH: u32 = 128;
/// More than a message with that much of a packet takes.
const BUFFER: usize = 4096;

/// Hears of refused packets.
#[derive(Debug)]
pub struct Packets {
    socket: AsyncFd<OwnedFd>,
    audit: Arc<Audit>,
}

impl Packets {
    /// Listens in the network namespace of this thread; what is heard goes into the audit log.
    ///
    /// # Errors
    /// If the kernel has no such log, or somebody else listens.
    pub fn listen(audit: Arc<Audit>) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::NETFILTER))?;
        configure(&socket, CONFIG_COMMAND, &[COMMAND_BIND])?;
        let [a, b, c, d] = LENGTH.to_be_bytes();
        configure(&socket, CONFIG_MODE, &[a, b, c, d, COPY_PACKET, 0])?;
        // Otherwise it would wait for more.
        configure(&socket, CONFIG_THRESHOLD, &1u32.to_be_bytes())?;
        // SAFETY: the descriptor stays open and the same as long as what is made owns it, and nobody else has it.
        let socket = unsafe { AsyncFd::register(socket) }?;
        Ok(Self { socket, audit })
    }

    /// Notes what the kernel tells. Ends only when it tells no more.
    pub async fn note(self) {
        let mut buffer = [0; BUFFER];
        loop {
            let received = match self.socket.readable().await {
                Ok(mut ready) => ready.try_io(|socket| {
                    Ok(recv(socket.get_ref(), &mut buffer[..], RecvFlags::empty())
                        .map(|(_, length)| length)?)
                }),
                Err(error) => Ok(Err(error)),
            };
            match received {
                Ok(Ok(length)) => {
                    for packet in packets(&buffer[..length.min(BUFFER)]) {
                        self.record(packet);
                    }
                }
                // Nothing there after all.
                Err(_) => {}
                // More came than fitted; they are as good as refused too often.
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "refused packets are noted no more");
                    return;
                }
            }
        }
    }

    fn record(&self, packet: &[u8]) {
        let Some(Packet { protocol, to, port }) = Packet::read(packet) else { return };
        // Systems greet their neighbours without being asked to.
        if to.is_multicast() || to == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return;
        }
        let destination = port.map_or_else(|| to.to_string(), |port| SocketAddr::new(to, port).to_string());
        self.audit.record(Event {
            kind: Some(AuditKind::Connection),
            destination: Some(destination),
            reason: Some(format!("{protocol} to this address is refused")),
            ..Event::default()
        });
    }
}

/// Sets something of the log and waits until it is: the kernel answers before the call that asks returns.
fn configure(socket: &OwnedFd, attribute: u16, value: &[u8]) -> io::Result<()> {
    let mut message = Vec::with_capacity(64);
    message.extend([0; 4]);
    message.extend(((SUBSYSTEM << 8) | MESSAGE_CONFIG).to_ne_bytes());
    message.extend(((libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16).to_ne_bytes());
    message.extend([0; 8]);
    message.extend([libc::AF_UNSPEC as u8, 0]);
    message.extend(GROUP.to_be_bytes());
    message.extend((value.len() as u16 + 4).to_ne_bytes());
    message.extend(attribute.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
    let length = message.len() as u32;
    message[..4].copy_from_slice(&length.to_ne_bytes());
    send(socket, &message, SendFlags::empty())?;
    let mut answer = [0; BUFFER];
    loop {
        let (_, length) = recv(socket, &mut answer[..], RecvFlags::empty())?;
        let answer = &answer[..length.min(BUFFER)];
        if half(answer, 4) != Some(libc::NLMSG_ERROR as u16) {
            // A packet that is refused already.
            continue;
        }
        return match answer
            .get(HEADER..)
            .and_then(|rest| rest.first_chunk())
            .map(|code| i32::from_ne_bytes(*code))
        {
            Some(0) => Ok(()),
            Some(code) => Err(io::Error::from_raw_os_error(-code)),
            None => Err(io::ErrorKind::InvalidData.into()),
        };
    }
}

/// Packets, or their beginnings, in what was received.
fn packets(mut received: &[u8]) -> Vec<&[u8]> {
    let mut packets = Vec::new();
    while let Some(length) = received.first_chunk().map(|length| u32::from_ne_bytes(*length) as usize) {
        let Some(message) = received.get(..length).filter(|_| length >= HEADERS) else { break };
        if half(message, 4) == Some((SUBSYSTEM << 8) | MESSAGE_PACKET) {
            packets.extend(payload(&message[HEADERS..]));
        }
        received = received.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    packets
}

fn payload(mut attributes: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, kind) = (usize::from(half(attributes, 0)?), half(attributes, 2)?);
        let value = attributes.get(4..length)?;
        if kind == PAYLOAD {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

/// Where a packet goes.
#[derive(Debug, PartialEq, Eq)]
struct Packet {
    protocol: String,
    to: IpAddr,
    port: Option<u16>,
}

impl Packet {
    fn read(packet: &[u8]) -> Option<Self> {
        let (to, protocol, inner) = match packet.first()? >> 4 {
            4 => {
                let to = Ipv4Addr::from(*packet.get(16..)?.first_chunk::<4>()?);
                let first = u16::from_be_bytes(*packet.get(6..)?.first_chunk()?) & 0x1fff == 0;
                let inner = packet.get(usize::from(packet[0] & 0xf) * 4..).filter(|_| first);
                (IpAddr::V4(to), packet[9], inner)
            }
            6 => {
                let to = Ipv6Addr::from(*packet.get(24..)?.first_chunk::<16>()?);
                (IpAddr::V6(to), packet[6], packet.get(40..))
            }
            _ => return None,
        };
        let name = match i32::from(protocol) {
            libc::IPPROTO_TCP => "TCP",
            libc::IPPROTO_UDP => "UDP",
            libc::IPPROTO_ICMP | libc::IPPROTO_ICMPV6 => "ICMP",
            _ => return Some(Self { protocol: format!("protocol {protocol}"), to, port: None }),
        };
        let port =
            inner.and_then(|inner| inner.get(2..)?.first_chunk()).map(|port| u16::from_be_bytes(*port));
        Some(Self { protocol: name.to_owned(), to, port: port.filter(|_| name != "ICMP") })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v4(protocol: u8, fragment: u16) -> Vec<u8> {
        let mut packet = vec![0x46, 0, 0, 0, 0, 0];
        packet.extend(fragment.to_be_bytes());
        packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1]);
        // An option, and ports.
        packet.extend([1, 1, 1, 0, 0x9c, 0x40, 1, 187]);
        packet
    }

    fn message(kind: u16, packet: &[u8]) -> Vec<u8> {
        let mut attributes = vec![8, 0, 1, 0, 8, 0, 0, 0];
        attributes.extend((packet.len() as u16 + 4).to_ne_bytes());
        attributes.extend(PAYLOAD.to_ne_bytes());
        attributes.extend(packet);
        attributes.resize(attributes.len().next_multiple_of(4), 0);
        let mut message = ((HEADERS + attributes.len()) as u32).to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; HEADERS - 6]);
        message.extend(attributes);
        message
    }

    #[test]
    fn where_a_packet_goes_is_told() {
        let told = |packet: &[u8]| {
            Packet::read(packet).map(|Packet { protocol, to, port }| (protocol, to.to_string(), port))
        };
        let to = |protocol: &str, port| Some((protocol.to_owned(), "192.0.2.1".to_owned(), port));
        assert_eq!(told(&v4(6, 0)), to("TCP", Some(443)));
        assert_eq!(told(&v4(17, 0x2000)), to("UDP", Some(443)));
        assert_eq!(told(&v4(17, 7)), to("UDP", None));
        assert_eq!(told(&v4(1, 0)), to("ICMP", None));
        assert_eq!(told(&v4(47, 0)), to("protocol 47", None));
        let mut v6 = vec![0x60, 0, 0, 0, 0, 8, 17, 64];
        v6.extend([0; 16]);
        v6.extend(Ipv6Addr::LOCALHOST.octets());
        assert_eq!(told(&v6), Some(("UDP".to_owned(), "::1".to_owned(), None)));
        v6.extend([0, 1, 0, 53]);
        assert_eq!(told(&v6), Some(("UDP".to_owned(), "::1".to_owned(), Some(53))));
        assert_eq!(told(&v6[..30]), None);
    }

    #[test]
    fn packets_are_found_in_messages() {
        let packet = v4(6, 0);
        let kind = (SUBSYSTEM << 8) | MESSAGE_PACKET;
        let received =
            [message(kind, &packet), message(kind + 1, &packet), message(kind, &packet[..21])].concat();
        assert_eq!(packets(&received), [&packet[..], &packet[..21]]);
        assert_eq!(packets(&received[..received.len() - 1]).len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Packet::read(&bytes);
            let _ = packets(&bytes);
            let _ = payload(&bytes);
        }
    }
}
