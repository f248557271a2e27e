//! A name server of an outside of our own, for a handful of IPv4 addresses.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Result;

use crate::internet::Netns;

/// How often the server looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const NAME_ERROR: u8 = 3;
const TTL: u32 = 60;

/// Answers until it is dropped.
pub struct Names {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Names {
    /// Knows these names and no other.
    pub fn start(netns: &Netns, address: SocketAddr, names: &[(&str, Ipv4Addr)]) -> Result<Self> {
        let names: HashMap<String, Ipv4Addr> =
            names.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
        let socket = netns.run(|| UdpSocket::bind(address))??;
        socket.set_read_timeout(Some(LOOK))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut query = [0; 1500];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((count, peer)) = socket.recv_from(&mut query) else { continue };
                if let Some(answer) = answer(&query[..count], &names) {
                    // One that is lost is asked for again.
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answer to a query with one question; additional records are left out.
fn answer(query: &[u8], names: &HashMap<String, Ipv4Addr>) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let question = query.get(HEADER..at + 4)?;
    let kind = u16::from_be_bytes([question[question.len() - 4], question[question.len() - 3]]);
    let address = names.get(&labels.join("."));
    let found = address.filter(|_| kind == TYPE_A);
    let code = if address.is_none() { NAME_ERROR } else { 0 };
    let mut answer = query.get(..2)?.to_vec();
    answer.extend_from_slice(&[0x81, 0x80 | code, 0, 1, 0, u8::from(found.is_some()), 0, 0, 0, 0]);
    answer.extend_from_slice(question);
    if let Some(address) = found {
        answer.extend_from_slice(&[0xc0, HEADER as u8, 0, 1, 0, 1]);
        answer.extend_from_slice(&TTL.to_be_bytes());
        answer.extend_from_slice(&[0, 4]);
        answer.extend_from_slice(&address.octets());
    }
    Some(answer)
}
