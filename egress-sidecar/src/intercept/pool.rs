//! Connections nobody uses at the moment, and what is known of upstreams.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    body::Protocol,
    connect::Offer,
    upstream::{Key, Upstream},
};

/// Connections kept.
const MOST: usize = 64;
/// How long; servers close theirs at about this age too.
pub(super) const LONGEST: Duration = Duration::from_secs(55);
/// Upstreams of which the protocol is remembered.
const MOST_KNOWN: usize = 4096;

/// What a client offered to whom.
type Known = (String, SocketAddr, Offer);

/// Idle connections.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<Vec<(Instant, Upstream)>>,
    known: Mutex<HashMap<Known, Protocol>>,
}

impl Pool {
    /// A connection that can take a request at once.
    pub(super) fn take(&self, key: &Key) -> Option<Upstream> {
        let mut idle = self.idle();
        loop {
            // The newest is the least likely to be closed by its server.
            let at = idle.iter().rposition(|(_, upstream)| upstream.key == *key)?;
            let (since, upstream) = idle.remove(at);
            if since.elapsed() < LONGEST && upstream.is_usable() {
                return Some(upstream);
            }
        }
    }

    /// Keeps a connection for others.
    pub(super) fn put(&self, upstream: Upstream) {
        if !upstream.is_idle() {
            return;
        }
        self.let_go();
        let mut idle = self.idle();
        if idle.len() >= MOST {
            idle.remove(0);
        }
        idle.push((Instant::now(), upstream));
    }

    /// Closes connections that nobody is to use any more; `true` if there were any.
    pub(super) fn let_go(&self) -> bool {
        let mut idle = self.idle();
        let before = idle.len();
        idle.retain(|(since, upstream)| since.elapsed() < LONGEST && upstream.is_usable());
        idle.len() < before
    }

    /// What an upstream chose to speak when it was last offered this.
    pub(super) fn known(&self, host: &str, address: SocketAddr, offer: Offer) -> Option<Protocol> {
        self.known_map().get(&(host.to_owned(), address, offer)).copied()
    }

    /// Remembers what an upstream chose, or that it is no longer certain.
    pub(super) fn remember(&self, host: &str, address: SocketAddr, offer: Offer, protocol: Option<Protocol>) {
        let mut known = self.known_map();
        let key = (host.to_owned(), address, offer);
        match protocol {
            None => {
                known.remove(&key);
            }
            Some(protocol) => {
                if known.len() >= MOST_KNOWN {
                    known.clear();
                }
                known.insert(key, protocol);
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Instant, Upstream)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_map(&self) -> MutexGuard<'_, HashMap<Known, Protocol>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
