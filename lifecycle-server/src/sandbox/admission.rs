//! Whether this host takes another sandbox: refused early, what runs is not put at risk.

use tokio::sync::MutexGuard;

use super::{error::ServiceError, record::Record, service::Inner, state::State};
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
        limits: &Limits,
        held: Option<MutexGuard<'a, ()>>,
    ) -> Option<MutexGuard<'a, ()>> {
        let is_bounded = self.options.committed_memory.is_some() || limits.guaranteed.memory() > 0;
        match held {
            None if is_bounded => Some(self.book.admission.lock().await),
            held => held,
        }
    }

    /// Refuses what this host has no room for.
    pub(super) fn check_room(&self, limits: &Limits) -> Result<(), ServiceError> {
        self.check_memory(limits, 0)?;
        let Some(committed) = &self.options.committed_memory else { return Ok(()) };
        let share = |limits: &Limits| limits.memory_bytes.unwrap_or(committed.default);
        let taken = self.promised(share, |state| !state.is_final());
        if taken.saturating_add(share(limits)) > committed.most {
            let most = committed.most;
            return Err(ServiceError::NoRoom(format!(
                "the memory limits of all sandboxes would exceed the {most} bytes this host may promise"
            )));
        }
        Ok(())
    }

    /// Refuses to start a stopped sandbox, from its memory or not, that this host has no room for. What its limit promises
    /// was never given to others.
    pub(super) async fn check_room_again(&self, record: &Record, memory: bool) -> Result<(), ServiceError> {
        let kept = if memory { self.runtime.kept_memory(&record.id).await } else { 0 };
        self.check_memory(&record.plan.limits(), kept)
    }

    /// Refuses a sandbox that begins with `kept` bytes of memory if this host lacks those, or what it is guaranteed.
    fn check_memory(&self, limits: &Limits, kept: u64) -> Result<(), ServiceError> {
        let own = limits.guaranteed.memory();
        let share = |limits: &Limits| limits.guaranteed.memory();
        let all = match own {
            0 => 0,
            own => {
                self.promised(share, |state| !state.is_final() && state != State::Stopped).saturating_add(own)
            }
        };
        Ok(self.runtime.check_room(kept.max(own), all)?)
    }

    /// The shares of all sandboxes in such states, and of those that are started ahead.
    fn promised(&self, share: impl Fn(&Limits) -> u64 + Copy, counts: impl Fn(State) -> bool) -> u64 {
        let ahead = self.pools.promised(share);
        let entries = self.book.entries();
        let live = entries.values().map(|entry| entry.record()).filter(|record| counts(record.status.state));
        live.map(|record| share(&record.plan.limits())).fold(ahead, u64::saturating_add)
    }
}
