//! What ended foreground commands keep of their output, all together.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::feed::Feed;

/// Memory for it.
const MEMORY_BYTES: usize = 2 * 1024 * 1024;

/// Disk for it.
const DISK_BYTES: u64 = 64 * 1024 * 1024;

/// Ended commands whose output is kept; when it is too much the oldest is forgotten.
#[derive(Debug, Default)]
pub(super) struct KeptOutput(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    feeds: VecDeque<(Weak<Feed>, usize, u64)>,
    memory: usize,
    disk: u64,
}

impl KeptOutput {
    /// Takes note of a command whose output is complete.
    pub(super) fn add(&self, feed: &Arc<Feed>) {
        let (memory, disk) = feed.weight();
        if memory == 0 && disk == 0 {
            return;
        }
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.feeds.push_back((Arc::downgrade(feed), memory, disk));
        queue.memory += memory;
        queue.disk += disk;
        while queue.is_too_much() {
            let Some((oldest, memory, disk)) = queue.feeds.pop_front() else { break };
            queue.memory -= memory;
            queue.disk -= disk;
            if let Some(oldest) = oldest.upgrade() {
                oldest.forget();
            }
        }
    }
}

impl Queue {
    fn is_too_much(&self) -> bool {
        let gone = self.feeds.front().is_some_and(|(oldest, ..)| oldest.strong_count() == 0);
        gone || self.memory > MEMORY_BYTES || self.disk > DISK_BYTES
    }
}
