//! The socket transactions go through.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with, sockopt,
};

use super::message::Batch;

/// Nothing the kernel is asked takes longer, unless something is very wrong.
const PATIENCE: Duration = Duration::from_secs(10);
/// A policy of thousands of rules is one message.
const SEND_BUFFER: usize = 8 * 1024 * 1024;
const HEADER: usize = 16;

/// Speaks for the network namespace its thread was in when it was made.
#[derive(Debug)]
pub(super) struct Socket {
    socket: OwnedFd,
    next: u32,
}

impl Socket {
    pub(super) fn new() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::NETFILTER))?;
        sockopt::set_socket_timeout(socket.as_fd(), sockopt::Timeout::Recv, Some(PATIENCE))?;
        sockopt::set_socket_timeout(socket.as_fd(), sockopt::Timeout::Send, Some(PATIENCE))?;
        sockopt::set_socket_send_buffer_size_force(socket.as_fd(), SEND_BUFFER)?;
        Ok(Self { socket, next: 1 })
    }

    /// An empty transaction for [`Self::commit`].
    pub(super) fn batch(&self) -> Batch {
        Batch::new(self.next)
    }

    /// Puts a transaction in force and waits until it is.
    pub(super) fn commit(&mut self, batch: Batch) -> io::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let (first, last) = (batch.first, batch.last);
        self.next = last.wrapping_add(1).max(1);
        send(&self.socket, &batch.finish(), SendFlags::empty())?;
        let mut complaint = None;
        let mut buffer = [0u8; 8192];
        loop {
            // A late answer to a transaction that was given up is read past, as its numbers are others.
            let (_, length) = recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = &buffer[..length.min(buffer.len())];
            while rest.len() >= HEADER {
                let total = (word(rest, 0) as usize).clamp(HEADER, rest.len());
                let sequence = word(rest, 8);
                if u16::from_ne_bytes([rest[4], rest[5]]) == libc::NLMSG_ERROR as u16
                    && (first..=last).contains(&sequence)
                {
                    let errno = (word(rest, HEADER) as i32).wrapping_neg();
                    if errno != 0 {
                        complaint.get_or_insert(errno);
                    }
                    // The first message stands for the transaction as a whole.
                    if sequence == last || (sequence == first && errno != 0) {
                        return complaint.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)));
                    }
                }
                rest = &rest[total.next_multiple_of(4).min(rest.len())..];
            }
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
}
