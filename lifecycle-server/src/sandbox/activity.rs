//! Whether a sandbox is used, as far as this server can see.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::book::Entry;
use crate::runtime::Traffic;

/// What goes into and out of one sandbox.
#[derive(Default)]
pub(super) struct Activity {
    uses: Mutex<Uses>,
    /// The sandbox's network, once somebody wants to know.
    traffic: Mutex<Option<Arc<dyn Traffic>>>,
}

struct Uses {
    under_way: usize,
    last: Instant,
}

impl Default for Uses {
    fn default() -> Self {
        Self { under_way: 0, last: Instant::now() }
    }
}

/// A request, stream or tunnel through this server, for as long as this lives: it keeps the sandbox from being paused
/// for idleness.
pub struct Visit {
    entry: Arc<Entry>,
}

impl Visit {
    pub(super) fn begin(entry: &Arc<Entry>) -> Self {
        entry.activity.uses().under_way += 1;
        Self { entry: Arc::clone(entry) }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut uses = self.entry.activity.uses();
        uses.under_way = uses.under_way.saturating_sub(1);
        uses.last = Instant::now();
    }
}

impl Activity {
    fn uses(&self) -> MutexGuard<'_, Uses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn touch(&self) {
        self.uses().last = Instant::now();
    }

    /// Time since the last use; none while one is under way.
    pub(super) fn idle(&self) -> Duration {
        let uses = self.uses();
        if uses.under_way > 0 { Duration::ZERO } else { uses.last.elapsed() }
    }

    pub(super) fn is_visited(&self) -> bool {
        self.uses().under_way > 0
    }

    pub(super) fn traffic(&self) -> Option<Arc<dyn Traffic>> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn watch(&self, traffic: Option<Arc<dyn Traffic>>) {
        *self.traffic.lock().unwrap_or_else(PoisonError::into_inner) = traffic;
    }

    /// Takes what passed on the network since the last look for a use.
    pub(super) fn look(&self) {
        if self.traffic().is_some_and(|traffic| traffic.moved()) {
            self.touch();
        }
    }
}
