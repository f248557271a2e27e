//! What server and launcher say to each other: one JSON message per packet, descriptors beside it.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Most descriptors in one packet.
const MAX_FDS: usize = 32;
/// Longest packet; bulky plans travel in a memory file.
const MAX_PACKET: usize = 4096;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Start a sandbox. Descriptors: see [`super::child::Descriptors`].
    Launch { token: u64, cgroup2: bool, gauges: usize },
    /// Run CRIU inside a sandbox, to save it. Descriptors: the sandbox's first process, then see [`super::criu::Saving`].
    Save { token: u64 },
    /// Run CRIU in place of a sandbox's first process, to restore it. Descriptors: see [`super::criu::Restoring`].
    Restore { token: u64, cgroup2: bool, tasks: usize },
    /// Mount what a restored sandbox has in `/proc`, or cover what it must not see there. Descriptors: its mount
    /// namespace, its pid namespace, the plan.
    Proc { token: u64, cover: bool },
    /// Make the two user namespaces of a slot: the one processes enter, and the one that maps files on disk.
    UserNamespaces { token: u64, base: u32 },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The process exists; its pidfd comes along.
    Launched {
        token: u64,
        pid: i32,
    },
    /// Both namespaces come along, in the order named above.
    UserNamespaces {
        token: u64,
    },
    /// What was asked for is done.
    Done {
        token: u64,
    },
    Failed {
        token: u64,
        step: String,
        errno: i32,
    },
    /// A launched process ended; `status` is in `waitpid` form.
    Exited {
        token: u64,
        status: i32,
    },
}

pub(crate) fn send<T: Serialize>(socket: impl AsFd, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if fds.len() > MAX_FDS || (!fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds))) {
        return Err(io::Error::other("too many descriptors for one packet"));
    }
    sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for one packet; `None` when the other side is gone.
pub(crate) fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = [0u8; MAX_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            other => break other?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let fds = control
        .drain()
        .filter_map(
            |message| if let RecvAncillaryMessage::ScmRights(fds) = message { Some(fds) } else { None },
        )
        .flatten()
        .collect();
    Ok(Some((serde_json::from_slice(&bytes[..received.bytes])?, fds)))
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn packets_carry_messages_and_descriptors() {
        let (a, b) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        send(&a, &Request::UserNamespaces { token: 7, base: 1 << 28 }, &[file.as_fd(), file.as_fd()])
            .unwrap();
        let (request, fds) = receive::<Request>(&b).unwrap().unwrap();
        assert!(matches!(request, Request::UserNamespaces { token: 7, base: 0x1000_0000 }));
        assert_eq!(fds.len(), 2);
        drop(a);
        assert!(receive::<Request>(&b).unwrap().is_none());
    }
}
