//! Questions and answers in bulk, for a name server to be measured with.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// Questions under way on one socket.
const BATCH: usize = 64;
const MAX_MESSAGE: usize = 512;
/// A lost answer is waited for no longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Messages that are sent or received with one call.
struct Batch {
    buffers: Vec<[u8; MAX_MESSAGE]>,
    lengths: [usize; BATCH],
    peers: Vec<libc::sockaddr_storage>,
}

impl Batch {
    fn new() -> Self {
        // SAFETY: all zeroes is an address of no family.
        let nobody: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        Self { buffers: vec![[0; MAX_MESSAGE]; BATCH], lengths: [0; BATCH], peers: vec![nobody; BATCH] }
    }

    /// Calls `call` with headers of the first `count` messages.
    fn with<T>(&mut self, count: usize, peers: bool, call: impl FnOnce(&mut [libc::mmsghdr]) -> T) -> T {
        let mut parts: Vec<libc::iovec> = (0..count)
            .map(|at| libc::iovec {
                iov_base: self.buffers[at].as_mut_ptr().cast(),
                iov_len: self.lengths[at],
            })
            .collect();
        let mut heads: Vec<libc::mmsghdr> = (0..count)
            .map(|at| {
                // SAFETY: all zeroes is a header of nothing, whose fields are then set.
                let mut head: libc::mmsghdr = unsafe { std::mem::zeroed() };
                head.msg_hdr.msg_iov = &raw mut parts[at];
                head.msg_hdr.msg_iovlen = 1;
                if peers {
                    head.msg_hdr.msg_name = (&raw mut self.peers[at]).cast();
                    head.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
                }
                head
            })
            .collect();
        call(&mut heads)
    }

    fn send(&mut self, socket: &UdpSocket, count: usize, peers: bool) -> io::Result<()> {
        let fd = socket.as_raw_fd();
        let mut sent = 0;
        self.with(count, peers, |heads| {
            while sent < count {
                // SAFETY: the headers point to buffers that outlive the call.
                let done =
                    unsafe { libc::sendmmsg(fd, heads[sent..].as_mut_ptr(), (count - sent) as u32, 0) };
                sent += usize::try_from(done).map_err(|_| io::Error::last_os_error())?;
            }
            Ok(())
        })
    }

    /// Receives at least one message.
    fn receive(&mut self, socket: &UdpSocket, peers: bool) -> io::Result<usize> {
        self.lengths = [MAX_MESSAGE; BATCH];
        let fd = socket.as_raw_fd();
        let mut lengths = [0; BATCH];
        let count = self.with(BATCH, peers, |heads| {
            // SAFETY: as above.
            let count = unsafe {
                libc::recvmmsg(
                    fd,
                    heads.as_mut_ptr(),
                    BATCH as u32,
                    libc::MSG_WAITFORONE,
                    std::ptr::null_mut(),
                )
            };
            let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
            for (length, head) in lengths.iter_mut().zip(&heads[..count]) {
                *length = head.msg_len as usize;
            }
            io::Result::Ok(count)
        })?;
        self.lengths = lengths;
        Ok(count)
    }
}

/// Asks `server` for the names `name` makes of numbers as fast as it answers; returns answers per second. Every answer
/// must have this code.
pub(crate) fn ask(server: &str, time: Duration, code: u8, name: impl Fn(u64) -> String) -> Result<f64> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let (mut questions, mut answers) = (Batch::new(), Batch::new());
    let (mut asked, mut answered, begun) = (0u64, 0u64, Instant::now());
    let mut missing = 0;
    while begun.elapsed() < time {
        for at in 0..BATCH {
            questions.lengths[at] = write_question(&mut questions.buffers[at], asked, &name(asked));
            asked += 1;
        }
        questions.send(&socket, BATCH, false)?;
        let mut left = BATCH;
        while left > 0 {
            let count = match answers.receive(&socket, false) {
                Ok(count) => count,
                // Some were lost.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    missing += left;
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            let wrong = answers.buffers[..count].iter().find(|answer| answer[3] & 0x0f != code);
            ensure!(wrong.is_none(), "a wrong answer: {:?}", wrong.map(|answer| answer[3] & 0x0f));
            answered += count as u64;
            left = left.saturating_sub(count);
        }
    }
    ensure!((missing as u64) < asked / 100 + 1, "{missing} of {asked} answers are missing");
    Ok(answered as f64 / begun.elapsed().as_secs_f64())
}

fn write_question(buffer: &mut [u8; MAX_MESSAGE], number: u64, name: &str) -> usize {
    let [.., high, low] = number.to_be_bytes();
    buffer[..12].copy_from_slice(&[high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let mut at = 12;
    for label in name.split('.') {
        buffer[at] = label.len() as u8;
        buffer[at + 1..at + 1 + label.len()].copy_from_slice(label.as_bytes());
        at += label.len() + 1;
    }
    buffer[at..at + 5].copy_from_slice(&[0, 0, 1, 0, 1]);
    at + 5
}

/// Answers every question with some address until `stop` is set.
pub(crate) fn answer(socket: &UdpSocket, stop: &AtomicBool) -> Result<()> {
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut batch = Batch::new();
    let mut number = 0u32;
    while !stop.load(Ordering::Relaxed) {
        let count = match batch.receive(socket, true) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        };
        for at in 0..count {
            let message = &mut batch.buffers[at];
            let end = 12 + message[12..].iter().position(|byte| *byte == 0).unwrap_or(0) + 5;
            message[2..4].copy_from_slice(&[0x81, 0x80]);
            message[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
            number = (number + 1) % 16_384;
            let [.., third, last] = number.to_be_bytes();
            let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 93, 184, third, last];
            message[end..end + 16].copy_from_slice(&record);
            batch.lengths[at] = end + 16;
        }
        batch.send(socket, count, true)?;
    }
    Ok(())
}
