//! Keeps a pool filled, and no fuller than it may be.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use super::{Pool, Ready};
use crate::sandbox::{error::ServiceError, service::Inner};

/// A look without a reason, for what nobody told of.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Rest after a failed start, doubled up to the longest with each further one.
const SHORTEST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Members of one pool that are being started at once.
const PARALLEL: usize = 4;

impl Inner {
    /// Begins to look after a pool, until it is deleted or the server stops.
    pub(super) fn keep(self: &Arc<Self>, pool: &Arc<Pool>) {
        let (inner, pool) = (Arc::clone(self), Arc::clone(pool));
        self.spawn_until_stopped(async move {
            let closed = pool.closed.clone();
            closed.run_until_cancelled(inner.look_after(&pool)).await;
        });
    }

    async fn look_after(self: &Arc<Self>, pool: &Arc<Pool>) {
        let mut rest = Rest::default();
        loop {
            let now = Instant::now();
            let (missing, outcome, pause) = {
                let mut state = pool.state();
                let standing = state.standing(self.allocated(pool, &state));
                (state.capacity.missing(&standing), state.outcome.take(), state.pause(now))
            };
            rest.note(outcome, now);
            let left = rest.left(now).max(pause);
            match usize::try_from(missing) {
                Ok(count) if count > 0 && left.is_zero() => self.start_members(pool, count),
                Ok(_) => {}
                Err(_) => self.end_surplus(pool, usize::try_from(-missing).unwrap_or(0)),
            }
            let patience = if left.is_zero() { LOOK_INTERVAL } else { left };
            // Running out of time is the point as well: whatever ends the wait, the pool is looked at again.
            let _ = timeout(patience, pool.changed.notified()).await;
        }
    }

    fn start_members(self: &Arc<Self>, pool: &Arc<Pool>, count: usize) {
        let count = {
            let mut state = pool.state();
            if pool.closed.is_cancelled() {
                return;
            }
            let count = count.min(PARALLEL.saturating_sub(state.starting));
            state.starting += count;
            count
        };
        for _ in 0..count {
            let (inner, starting) = (Arc::clone(self), Starting(Arc::clone(pool)));
            self.tasks.spawn(pool.starts.track_future(async move {
                let pool = &starting.0;
                let place = inner.admit_member(pool).await;
                let (place, started) = match place {
                    Ok(place) => (Some(place), inner.start_member(pool).await),
                    Err(error) => (None, Err(error)),
                };
                let late = inner.take_in(pool, started);
                drop(place);
                if let Some(late) = late {
                    inner.end_member(&late).await;
                }
            }));
        }
    }

    /// Adds a started member, or answers with the id of one that came too late.
    fn take_in(&self, pool: &Pool, started: Result<Ready, ServiceError>) -> Option<String> {
        let mut state = pool.state();
        state.note(started.is_ok());
        match started {
            Ok(ready) if pool.closed.is_cancelled() => Some(ready.member.id),
            Ok(ready) => {
                state.problem = None;
                state.ready.push_back(ready);
                None
            }
            Err(error) => {
                if !pool.closed.is_cancelled() && !self.stopping.is_cancelled() {
                    tracing::warn!(pool = pool.origin.name, %error, "a member did not start");
                }
                state.problem = Some(error.to_string());
                None
            }
        }
    }

    /// Ends members that nobody owns, the youngest first.
    fn end_surplus(self: &Arc<Self>, pool: &Pool, count: usize) {
        let mut state = pool.state();
        let kept = state.ready.len().saturating_sub(count);
        for ready in state.ready.drain(kept..) {
            let inner = Arc::clone(self);
            self.tasks.spawn(async move { inner.end_member(&ready.member.id).await });
        }
    }
}

/// Counts a start until it is over, however it ends.
struct Starting(Arc<Pool>);

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.state().starting -= 1;
        self.0.arrived.notify_one();
        self.0.changed.notify_one();
    }
}

/// The pause that failures make.
#[derive(Default)]
struct Rest {
    length: Duration,
    until: Option<Instant>,
}

impl Rest {
    fn note(&mut self, outcome: Option<bool>, now: Instant) {
        match outcome {
            // Only a time without failures makes the next pause a short one again: a member may start well and end soon.
            Some(true) if self.until.is_none_or(|until| now > until + LONGEST_REST) => {
                *self = Self::default()
            }
            Some(false) => {
                self.length = (self.length * 2).clamp(SHORTEST_REST, LONGEST_REST);
                self.until = Some(now + self.length);
            }
            Some(true) | None => {}
        }
    }

    fn left(&self, now: Instant) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_make_longer_pauses() {
        let start = Instant::now();
        let mut rest = Rest::default();
        assert_eq!(rest.left(start), Duration::ZERO);
        rest.note(Some(false), start);
        assert_eq!(rest.left(start), SHORTEST_REST);
        rest.note(Some(true), start + SHORTEST_REST);
        rest.note(Some(false), start + SHORTEST_REST);
        assert_eq!(rest.left(start + SHORTEST_REST), SHORTEST_REST * 2);
        for _ in 0..20 {
            rest.note(Some(false), start);
        }
        assert_eq!(rest.left(start), LONGEST_REST);
        rest.note(Some(true), start + LONGEST_REST * 3);
        rest.note(Some(false), start + LONGEST_REST * 3);
        assert_eq!(rest.left(start + LONGEST_REST * 3), SHORTEST_REST);
    }
}
