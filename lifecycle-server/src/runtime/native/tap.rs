//! An ear on the host's end of a sandbox's interface pair.
//!
//! A packet socket whose filter lets pass what people would call traffic: beginnings of TCP connections, TCP data, UDP.
//! Not acknowledgements, keep-alive probes or ends of connections, which the kernels make by themselves. Nothing is read
//! but the direction; the kernel counts, and keeps a few packets to wake us with.

use std::{
    ffi::CString,
    io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use async_trait::async_trait;
use tokio::io::{Interest, unix::AsyncFd};

use super::sys;
use crate::runtime::Traffic;

/// Receive buffer in bytes, room for a few packets: more than the first are of no interest.
const BUFFER: libc::c_int = 4096;

/// `SKF_AD_OFF + SKF_AD_PROTOCOL`: the ethernet protocol of a packet, as the kernel knows it.
const PROTOCOL: u32 = (-0x1000_i32).cast_unsigned();
const ETHERTYPE_IPV4: u32 = 0x0800;
const TCP: u32 = 6;
const UDP: u32 = 17;
const SYN_ACK: u32 = 0x12;
const SYN: u32 = 0x02;

pub(super) struct Tap {
    socket: AsyncFd<OwnedFd>,
}

impl Tap {
    pub(super) fn open(interface: &str) -> io::Result<Self> {
        let name = CString::new(interface)?;
        // SAFETY: a live C string.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // Protocol 0 hears nothing until it is bound, with the filter in place.
        // SAFETY: integers only; the descriptor is ours alone.
        let socket = unsafe {
            let socket = sys::check(libc::c_long::from(libc::socket(libc::AF_PACKET, kind, 0)))?;
            OwnedFd::from_raw_fd(socket)
        };
        let filter = filter();
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
        set(&socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &BUFFER)?;
        // SAFETY: an all-zero address is valid; the unused members stay so.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index.cast_signed();
        // SAFETY: a live address of the length given.
        let bound = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of_val(&address) as libc::socklen_t,
            )
        };
        sys::check(libc::c_long::from(bound))?;
        // SAFETY: the descriptor is owned by the registration, so it stays open and the same.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        Ok(Self { socket })
    }

    /// The direction of the next packet kept; `WouldBlock` when there is none.
    fn next(&self) -> io::Result<u8> {
        // SAFETY: an all-zero address is valid.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        let mut length = size_of_val(&address) as libc::socklen_t;
        let mut byte = 0u8;
        // SAFETY: one byte and one address are written at most, into live memory of that size.
        let received = unsafe {
            libc::recvfrom(
                self.socket.get_ref().as_raw_fd(),
                (&raw mut byte).cast(),
                1,
                0,
                (&raw mut address).cast(),
                &raw mut length,
            )
        };
        if received < 0 { Err(io::Error::last_os_error()) } else { Ok(address.sll_pkttype) }
    }

    /// Packets let through since the last call, those that found the buffer full included.
    fn count(&self) -> u32 {
        // `struct tpacket_stats`
        let mut statistics = [0u32; 2];
        let mut length = size_of_val(&statistics) as libc::socklen_t;
        const PACKET_STATISTICS: libc::c_int = 6;
        // SAFETY: the kernel writes at most `length` bytes into live memory of that size.
        unsafe {
            libc::getsockopt(
                self.socket.get_ref().as_raw_fd(),
                libc::SOL_PACKET,
                PACKET_STATISTICS,
                statistics.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        statistics[0]
    }
}

#[async_trait]
impl Traffic for Tap {
    fn moved(&self) -> bool {
        while self.next().is_ok() {}
        self.count() > 0
    }

    async fn arrival(&self) {
        loop {
            let Ok(mut ready) = self.socket.readable().await else { return std::future::pending().await };
            match ready.try_io(|_| self.next()) {
                Ok(Ok(libc::PACKET_OUTGOING)) => return,
                Ok(Ok(_)) | Err(_) => {}
                // The interface is gone, and the sandbox with it: nothing arrives any more.
                Ok(Err(_)) => return std::future::pending().await,
            }
        }
    }
}

fn set<T>(socket: &OwnedFd, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: a live value of the length given; the kernel copies it.
    let done = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), length)
    };
    sys::check(libc::c_long::from(done)).map(drop)
}

/// Accepts (with one byte) or refuses a packet; offsets are from its IP header.
fn filter() -> [libc::sock_filter; 19] {
    use libc::{
        BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JGT, BPF_JMP, BPF_K, BPF_LD,
        BPF_LDX, BPF_MISC, BPF_MSH, BPF_RET, BPF_RSH, BPF_SUB, BPF_TAX, BPF_X,
    };
    const ACCEPT: u8 = 17;
    const REFUSE: u8 = 18;
    let op = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    // Targets are numbers of instructions; `at` is the jump's own.
    let jump = |at: u8, test: u32, k: u32, yes: u8, no: u8| libc::sock_filter {
        code: (BPF_JMP | test | BPF_K) as u16,
        jt: yes - at - 1,
        jf: no - at - 1,
        k,
    };
    [
        op(BPF_LD | BPF_H | BPF_ABS, PROTOCOL),
        jump(1, BPF_JEQ, ETHERTYPE_IPV4, 2, REFUSE),
        op(BPF_LD | BPF_B | BPF_ABS, 9),
        jump(3, BPF_JEQ, UDP, ACCEPT, 4),
        jump(4, BPF_JEQ, TCP, 5, REFUSE),
        // X: length of the IP header
        op(BPF_LDX | BPF_B | BPF_MSH, 0),
        op(BPF_LD | BPF_B | BPF_IND, 13),
        op(BPF_ALU | BPF_AND | BPF_K, SYN_ACK),
        jump(8, BPF_JEQ, SYN, ACCEPT, 9),
        // A: length of the TCP header; X: of both
        op(BPF_LD | BPF_B | BPF_IND, 12),
        op(BPF_ALU | BPF_AND | BPF_K, 0xf0),
        op(BPF_ALU | BPF_RSH | BPF_K, 2),
        op(BPF_ALU | BPF_ADD | BPF_X, 0),
        op(BPF_MISC | BPF_TAX, 0),
        op(BPF_LD | BPF_H | BPF_ABS, 2),
        op(BPF_ALU | BPF_SUB | BPF_X, 0),
        jump(16, BPF_JGT, 0, ACCEPT, REFUSE),
        op(BPF_RET | BPF_K, 1),
        op(BPF_RET | BPF_K, 0),
    ]
}
