//! Questions over UDP, many with one call to the kernel.

use std::{
    io, mem,
    net::{SocketAddr, UdpSocket as StdUdpSocket},
    os::fd::AsRawFd,
    ptr,
    rc::Rc,
    time::Instant,
};

use tokio::{io::Interest, net::UdpSocket, task::spawn_local};

use super::resolver::{Next, Resolver};

/// Messages taken at once.
const BATCH: usize = 64;
/// A question is small; a longer message is cut off, and then malformed.
const MAX_QUESTION: usize = 1024;

/// Room for a batch of messages and their answers.
struct Buffers {
    questions: Vec<[u8; MAX_QUESTION]>,
    senders: Vec<libc::sockaddr_storage>,
    lengths: Vec<(usize, libc::socklen_t)>,
    answers: Vec<Vec<u8>>,
    /// Which sender each answer goes to.
    to: Vec<usize>,
}

impl Buffers {
    fn new() -> Self {
        // SAFETY: all zeroes is an address of no family.
        let nobody: libc::sockaddr_storage = unsafe { mem::zeroed() };
        Self {
            questions: vec![[0; MAX_QUESTION]; BATCH],
            senders: vec![nobody; BATCH],
            lengths: vec![(0, 0); BATCH],
            answers: vec![Vec::new(); BATCH],
            to: Vec::with_capacity(BATCH),
        }
    }

    /// Takes what has come; an error of kind `WouldBlock` when that is nothing.
    fn receive(&mut self, socket: i32) -> io::Result<usize> {
        let mut parts: [libc::iovec; BATCH] = std::array::from_fn(|at| libc::iovec {
            iov_base: self.questions[at].as_mut_ptr().cast(),
            iov_len: MAX_QUESTION,
        });
        let mut heads: [libc::mmsghdr; BATCH] = std::array::from_fn(|at| {
            let head = head(
                &raw mut parts[at],
                &raw mut self.senders[at],
                size_of::<libc::sockaddr_storage>() as u32,
            );
            libc::mmsghdr { msg_hdr: head, msg_len: 0 }
        });
        // SAFETY: every header points to one buffer and one address that outlive the call, with their lengths.
        let count = unsafe {
            libc::recvmmsg(socket, heads.as_mut_ptr(), BATCH as u32, libc::MSG_DONTWAIT, ptr::null_mut())
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (length, head) in self.lengths.iter_mut().zip(&heads[..count]) {
            *length = (head.msg_len as usize, head.msg_hdr.msg_namelen);
        }
        Ok(count)
    }

    /// Sends the answers in `to`. What does not get through is lost, as over any network.
    fn send(&mut self, socket: i32) {
        let count = self.to.len();
        let mut parts: [libc::iovec; BATCH] = std::array::from_fn(|at| libc::iovec {
            iov_base: self.answers[at].as_mut_ptr().cast(),
            iov_len: self.answers[at].len(),
        });
        let mut heads: [libc::mmsghdr; BATCH] = std::array::from_fn(|at| {
            let to = self.to.get(at).copied().unwrap_or(0);
            let head = head(&raw mut parts[at], &raw mut self.senders[to], self.lengths[to].1);
            libc::mmsghdr { msg_hdr: head, msg_len: 0 }
        });
        let mut sent = 0;
        while sent < count {
            let left = (count - sent) as u32;
            // SAFETY: as above; the first `count` headers are about answers.
            let done =
                unsafe { libc::sendmmsg(socket, heads[sent..].as_mut_ptr(), left, libc::MSG_DONTWAIT) };
            // The one that cannot be sent is passed over.
            sent += usize::try_from(done).unwrap_or(1).max(1);
        }
    }
}

fn head(part: *mut libc::iovec, name: *mut libc::sockaddr_storage, length: u32) -> libc::msghdr {
    // SAFETY: all zeroes is a header of nothing, whose fields are then set.
    let mut head: libc::msghdr = unsafe { mem::zeroed() };
    head.msg_name = name.cast();
    head.msg_namelen = length;
    head.msg_iov = part;
    head.msg_iovlen = 1;
    head
}

/// Answers until the task is ended.
pub(super) async fn serve(socket: StdUdpSocket, resolver: Rc<Resolver>) -> io::Result<()> {
    let socket = Rc::new(UdpSocket::from_std(socket)?);
    let mut buffers = Buffers::new();
    let fd = socket.as_raw_fd();
    loop {
        socket.readable().await?;
        let count = match socket.try_io(Interest::READABLE, || buffers.receive(fd)) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => {
                tracing::debug!(%error, "cannot receive a question");
                continue;
            }
        };
        answer(&socket, &resolver, &mut buffers, count);
        // Those who wait for upstream have their turn too.
        tokio::task::yield_now().await;
    }
}

fn answer(socket: &Rc<UdpSocket>, resolver: &Rc<Resolver>, buffers: &mut Buffers, count: usize) {
    let (judge, now) = (resolver.judge(), Instant::now());
    buffers.to.clear();
    for at in 0..count {
        let message = &buffers.questions[at][..buffers.lengths[at].0.min(MAX_QUESTION)];
        let out = &mut buffers.answers[buffers.to.len()];
        match resolver.quick(&judge, message, None, now, out) {
            Next::Reply => buffers.to.push(at),
            Next::Ask(ask) => {
                let Some(sender) = address(&buffers.senders[at]) else { continue };
                let (socket, resolver) = (Rc::clone(socket), Rc::clone(resolver));
                spawn_local(async move {
                    let reply = resolver.ask(&ask, None).await;
                    // Whoever is gone gets no answer.
                    let _ = socket.send_to(&reply, sender).await;
                });
            }
            Next::Nothing => {}
        }
    }
    buffers.send(socket.as_raw_fd());
}

fn address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says what the address is.
            let v4 = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            Some((v4.sin_addr.s_addr.to_ne_bytes(), u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says what the address is.
            let v6 = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            Some((v6.sin6_addr.s6_addr, u16::from_be(v6.sin6_port)).into())
        }
        _ => None,
    }
}
