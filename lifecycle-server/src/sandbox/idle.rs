//! Sandboxes that are paused when nobody uses them, and go on when somebody does.
//!
//! A use is a request, stream or tunnel through this server, from its first byte to its last, and any data on the
//! sandbox's own network, whoever sends it. A connection straight to the sandbox that is open but silent is not seen.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc, time::Duration};

use super::{
    activity::Visit,
    book::Entry,
    error::ServiceError,
    service::{Inner, Service},
    state::{Event, State},
};

/// Extension: pause after so many seconds without a use.
pub const AUTOPAUSE: &str = "access.autopause.idle.seconds";
/// Extension: resume on use, however the sandbox was paused.
pub const AUTORESUME: &str = "access.autoresume";
/// Idle seconds that can be asked for.
pub const IDLE_SECONDS: RangeInclusive<u64> = 1..=86_400;

/// Looks at a sandbox's network in one idle time: it is paused late by at most that part of it.
const LOOKS: u32 = 8;
/// Rest after a change that failed, before it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What the creator asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Policy {
    pause_after: Option<Duration>,
    resumes: bool,
}

/// Seconds in the value of [`AUTOPAUSE`].
pub fn idle_seconds(value: &str) -> Option<u64> {
    value.trim().parse().ok().filter(|seconds| IDLE_SECONDS.contains(seconds))
}

/// Whether a use wakes a sandbox with these extensions.
pub(super) fn resumes(extensions: &BTreeMap<String, String>) -> bool {
    extensions.get(AUTORESUME).is_some_and(|value| value == "true")
}

impl Policy {
    fn of(extensions: &BTreeMap<String, String>) -> Option<Self> {
        let seconds = extensions.get(AUTOPAUSE).and_then(|value| idle_seconds(value));
        let policy = Self { pause_after: seconds.map(Duration::from_secs), resumes: resumes(extensions) };
        (policy.pause_after.is_some() || policy.resumes).then_some(policy)
    }
}

impl Service {
    /// Announces a use of the sandbox, waking it if it was created to be woken.
    ///
    /// # Errors
    /// `Denied` if it does not run and cannot be woken.
    pub async fn visit(&self, id: &str) -> Result<Visit, ServiceError> {
        let entry = self.inner.book.entry(id)?;
        // First of all: from here on nobody pauses it for idleness, or whoever does sees the visit and undoes it.
        let visit = Visit::begin(&entry);
        let record = entry.record();
        if record.status.state == State::Paused && resumes(&record.plan.extensions) {
            match self.resume(id).await {
                // Somebody else was faster.
                Err(ServiceError::Denied(denial)) if denial.state == State::Running => {}
                other => drop(other?),
            }
        }
        Ok(visit)
    }
}

impl Inner {
    /// Pauses and resumes the sandbox by itself from now on, if it was created so; ends with the sandbox or the server.
    pub(super) fn attend(self: &Arc<Self>, entry: &Arc<Entry>) {
        let Some(policy) = Policy::of(&entry.record().plan.extensions) else { return };
        let (inner, entry, cancel) = (Arc::clone(self), Arc::clone(entry), entry.cancel.clone());
        self.tasks.spawn(async move {
            cancel.run_until_cancelled(inner.watch_use(&entry, policy)).await;
            entry.activity.watch(None);
        });
    }

    async fn watch_use(self: &Arc<Self>, entry: &Arc<Entry>, policy: Policy) {
        let mut records = entry.follow();
        let mut before = None;
        loop {
            let state = records.borrow_and_update().status.state;
            if before != Some(state) {
                self.enter_state(entry, state);
                before = Some(state);
            }
            let step = match (state, policy.pause_after, entry.activity.traffic()) {
                (State::Terminated | State::Failed | State::Stopping, ..) => return,
                (State::Running, Some(limit), _) => {
                    entry.activity.look();
                    let idle = entry.activity.idle();
                    if idle >= limit {
                        Step::Pause(limit)
                    } else {
                        Step::Wait((limit - idle).min(limit / LOOKS))
                    }
                }
                (State::Paused, _, Some(traffic)) if policy.resumes => {
                    tokio::select! {
                        changed = records.changed() => if changed.is_err() { return } else { continue },
                        () = traffic.arrival() => Step::Resume,
                    }
                }
                _ => Step::Follow,
            };
            let (inner, entry) = (Arc::clone(self), Arc::clone(entry));
            // As tasks of their own: being cancelled half-way would leave freezer and record at odds.
            let done = match step {
                Step::Pause(limit) => {
                    self.tasks.spawn(async move { inner.pause_idle(&entry, limit).await }).await
                }
                Step::Resume => self.tasks.spawn(async move { inner.resume(&entry).await.map(drop) }).await,
                Step::Wait(rest) => {
                    let _ = tokio::time::timeout(rest, records.changed()).await;
                    continue;
                }
                Step::Follow if records.changed().await.is_err() => return,
                Step::Follow => continue,
            };
            match done {
                Ok(Ok(()) | Err(ServiceError::Denied(_) | ServiceError::NotFound(_))) => {}
                Ok(Err(error)) => {
                    let id = &records.borrow().id.clone();
                    tracing::error!(sandbox.id = %id, %error, "the sandbox could not be paused or resumed by itself");
                    let _ = tokio::time::timeout(RETRY, records.changed()).await;
                }
                Err(_) => return,
            }
        }
    }

    fn enter_state(&self, entry: &Entry, state: State) {
        if state == State::Running {
            entry.activity.touch();
        }
        let has_network = matches!(state, State::Running | State::Paused);
        if has_network && entry.activity.traffic().is_none() {
            let id = &entry.record().id;
            match self.runtime.traffic(id) {
                Ok(traffic) => entry.activity.watch(Some(traffic)),
                Err(error) => {
                    tracing::warn!(sandbox.id = %id, %error, "only uses through this server are seen");
                }
            }
        } else if !has_network {
            entry.activity.watch(None);
        }
    }

    /// Pauses a sandbox that is still idle, and takes that back if a use began meanwhile.
    async fn pause_idle(&self, entry: &Arc<Entry>, limit: Duration) -> Result<(), ServiceError> {
        {
            let _gate = entry.gate.lock().await;
            let record = self.book.still_there(entry)?;
            record.status.state.apply(&Event::Paused)?;
            entry.activity.look();
            if entry.activity.idle() < limit {
                return Ok(());
            }
            self.freeze(entry, record).await?;
        }
        if entry.activity.is_visited() {
            self.resume(entry).await?;
        }
        Ok(())
    }
}

/// What to do next about one sandbox.
enum Step {
    Pause(Duration),
    Resume,
    /// Look again after this long, or when the record changes.
    Wait(Duration),
    /// Look again when the record changes.
    Follow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_done() {
        let of = |pairs: &[(&str, &str)]| {
            Policy::of(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(of(&[("other", "1"), (AUTORESUME, "false")]), None);
        let sleepy = Policy { pause_after: Some(Duration::from_secs(30)), resumes: false };
        assert_eq!(of(&[(AUTOPAUSE, "30")]), Some(sleepy));
        assert_eq!(of(&[(AUTOPAUSE, "30"), (AUTORESUME, "true")]), Some(Policy { resumes: true, ..sleepy }));
        assert_eq!(of(&[(AUTORESUME, "true")]), Some(Policy { pause_after: None, resumes: true }));
    }
}
