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
        self.check_memory(limits, limits, 0)?;
        self.check_committed(limits)
    }

    /// The same for a member of a pool that counts already.
    pub(super) fn check_room_of_member(&self, limits: &Limits) -> Result<(), ServiceError> {
        self.check_memory(limits, &Limits::default(), 0)?;
        self.check_committed(&Limits { memory_bytes: Some(0), ..Limits::default() })
    }

    fn check_committed(&self, more: &Limits) -> Result<(), ServiceError> {
        let Some(committed) = &self.options.committed_memory else { return Ok(()) };
        let share = |limits: &Limits| limits.memory_bytes.unwrap_or(committed.default);
        let taken = self.promised(share, |state| !state.is_final());
        if taken.saturating_add(share(more)) > committed.most {
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
        let limits = record.plan.limits();
        self.check_memory(&limits, &limits, kept)
    }

    /// Refuses a sandbox that begins with `kept` bytes of memory if this host lacks those, or what it is guaranteed;
    /// `more` is what does not count yet of that.
    fn check_memory(&self, limits: &Limits, more: &Limits, kept: u64) -> Result<(), ServiceError> {
        let own = limits.guaranteed.memory();
        let share = |limits: &Limits| limits.guaranteed.memory();
        let runs = |state: State| !state.is_final() && state != State::Stopped;
        let all = if own == 0 { 0 } else { self.promised(share, runs).saturating_add(share(more)) };
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
