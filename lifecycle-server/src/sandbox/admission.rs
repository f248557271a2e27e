//! Whether this host takes another sandbox: refused early, what runs is not put at risk.

use tokio::sync::MutexGuard;

use super::{error::ServiceError, service::Inner};
use crate::runtime::Limits;

/// How much memory sandboxes may be promised together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommittedMemory {
    /// Bytes that the limits of all sandboxes may add up to.
    pub most: u64,
    /// Bytes a sandbox without a limit of its own counts with.
    pub default: u64,
}

impl Inner {
    /// Lets no two take the same room, where what is promised is bounded; `held` does that already. Hold what this
    /// returns until the sandbox counts.
    pub(super) async fn hold_room<'a>(
        &'a self,
        held: Option<MutexGuard<'a, ()>>,
    ) -> Option<MutexGuard<'a, ()>> {
        match held {
            None if self.options.committed_memory.is_some() => Some(self.book.admission.lock().await),
            held => held,
        }
    }

    /// Refuses what this host has no room for.
    pub(super) fn check_room(&self, limits: &Limits) -> Result<(), ServiceError> {
        self.runtime.check_room(0)?;
        let Some(committed) = &self.options.committed_memory else { return Ok(()) };
        let share = |memory: Option<u64>| memory.unwrap_or(committed.default);
        let ahead = self.pools.committed(share);
        let taken: u64 = {
            let entries = self.book.entries();
            let live =
                entries.values().map(|entry| entry.record()).filter(|record| !record.status.state.is_final());
            live.map(|record| share(record.plan.memory_bytes)).fold(ahead, u64::saturating_add)
        };
        if taken.saturating_add(share(limits.memory_bytes)) > committed.most {
            let most = committed.most;
            return Err(ServiceError::NoRoom(format!(
                "the memory limits of all sandboxes would exceed the {most} bytes this host may promise"
            )));
        }
        Ok(())
    }

    /// Refuses to start a stopped sandbox, from its memory or not, that this host has no room for. What it was promised
    /// was never given to others.
    pub(super) async fn check_room_again(&self, id: &str, memory: bool) -> Result<(), ServiceError> {
        let memory = if memory { self.runtime.kept_memory(id).await } else { 0 };
        Ok(self.runtime.check_room(memory)?)
    }
}
