//! What a starting server does with what an earlier one left: the record says what should be, the runtime says what
//! is, and afterwards both say the same.

use std::{collections::HashMap, sync::Arc};

use super::{
    book::Entry,
    error::ServiceError,
    images::ImageRequest,
    record::Record,
    service::Inner,
    state::{Event, State},
};
use crate::runtime::{Found, Keep, RuntimeError};

impl Inner {
    pub(super) async fn recover(self: &Arc<Self>) -> Result<(), ServiceError> {
        let found = self.runtime.adopt().await?;
        let (pairs, strays) = pair(self.book.store.load_all().await?, found);
        self.recover_templates().await?;
        for stray in self.recover_pools(strays).await? {
            tracing::warn!(sandbox.id = %stray.id, "removing a sandbox that has no record");
            self.free(&stray.id).await;
        }
        for (record, found) in pairs {
            let action = decide(&record, found.as_ref());
            tracing::info!(sandbox.id = %record.id, state = %record.status.state, ?action, "recovering sandbox");
            let entry = self.book.insert(record);
            self.carry_out(&entry, action).await?;
            self.attend(&entry);
        }
        self.runtime.keep_logs(&|id| self.book.entry(id).is_ok() || self.pools.holds(id));
        self.options.volumes.recover(|| self.volumes_in_use()).await;
        for owner in self.images.owners().await? {
            if self.book.entry(&owner).is_err() && !self.pools.holds(&owner) && !self.templates.holds(&owner)
            {
                self.images.release(&owner).await?;
            }
        }
        Ok(())
    }

    async fn carry_out(self: &Arc<Self>, entry: &Arc<Entry>, action: Action) -> Result<(), ServiceError> {
        let record = entry.record();
        match action {
            // A server killed between the freezer and the record left them at odds. What has just ended has nothing
            // to freeze or thaw: its end is told as any other is.
            Action::Keep => note(&record.id, "thawed", self.runtime.thaw(&record.id).await),
            Action::KeepFrozen => note(&record.id, "frozen", self.runtime.freeze(&record.id).await),
            Action::KeepStopped => self.recount_kept(entry).await,
            // Watched on, its end would be told of the next run.
            Action::EndLeftovers => {
                let ended = self.runtime.stop(&record.id, Keep::AsBegun).await;
                note(&record.id, "freed of its last process", ended.map(drop));
                self.recount_kept(entry).await;
            }
            Action::FinishStop => {
                if let Err(error) = self.finish_stop(entry, &record, false, Keep::AsBegun).await {
                    tracing::error!(sandbox.id = %record.id, %error, "a stop that was begun could not be finished");
                }
            }
            Action::GoesOn => {
                let record = Record { kept_bytes: 0, ..Record::clone(&record) };
                self.book.advance(entry, record, &Event::Started).await?;
            }
            // Its owner may have been told of it, if it obeys the owner's token.
            Action::GoesOnIfHandedOver if self.runtime.answers(record.slot, &record.execd_token).await => {
                self.book.advance(entry, Record::clone(&record), &Event::Started).await?;
            }
            Action::StartAgain => {
                // What it may be started from once more, it still has.
                let stopped = self.runtime.stop(&record.id, Keep::AsBegun).await;
                note(&record.id, "stopped", stopped.map(drop));
                let (inner, entry) = (Arc::clone(self), Arc::clone(entry));
                self.tasks.spawn(async move {
                    let _gate = entry.gate.lock().await;
                    let record = entry.record();
                    if let Err(error) = inner.finish_start(&entry, &record, true).await {
                        tracing::error!(sandbox.id = %record.id, %error, "a stopped sandbox did not start");
                    }
                });
            }
            Action::Remove | Action::GoesOnIfHandedOver => {
                self.remove_traces(&record.id, "the server ended in the middle of it").await;
            }
            Action::Settle(event) => {
                self.free(&record.id).await;
                if let Some(event) = event {
                    self.book.advance(entry, Record::clone(&record), &event).await?;
                }
            }
            Action::Relaunch => {
                self.runtime.destroy(&record.id).await?;
                self.relaunch(entry).await?;
            }
        }
        Ok(())
    }

    /// Starts an accepted sandbox again, in a new slot. Registry credentials are not kept, so an image that needs
    /// them and is not here yet makes it fail, visibly.
    async fn relaunch(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<(), ServiceError> {
        let mut record = Record::clone(&entry.record());
        record.slot = self.runtime.reserve(&record.id)?;
        self.book.commit(entry, record).await?;
        let (inner, entry) = (Arc::clone(self), Arc::clone(entry));
        self.tasks.spawn(async move {
            let _gate = entry.gate.lock().await;
            let plan = &entry.record().plan;
            let image = ImageRequest {
                reference: plan.image.clone(),
                id: plan.image_id.clone(),
                credentials: None,
                platform: plan.platform.clone(),
                tenant: plan.tenant.clone(),
            };
            if let Err(error) = inner.launch(&entry, &image).await {
                inner.give_up(&entry, &error).await;
            }
        });
        Ok(())
    }
}

/// One sandbox that resists must not keep the server from starting.
fn note(id: &str, done: &str, outcome: Result<(), RuntimeError>) {
    if let Err(error) = outcome {
        tracing::warn!(sandbox.id = %id, %error, "a sandbox could not be {done}");
    }
}

/// What to do about one sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    /// It runs and should.
    Keep,
    /// It is there and should be frozen.
    KeepFrozen,
    /// It has no processes and should have none.
    KeepStopped,
    /// It should have none; one that has ended is still to be seen, because nobody has reaped it.
    EndLeftovers,
    /// Its processes should be gone, and may be.
    FinishStop,
    /// It is back from being stopped with its memory, and only its record is not.
    GoesOn,
    /// It came from a pool, and has an owner or not.
    GoesOnIfHandedOver,
    /// It was on its way back from being stopped.
    StartAgain,
    /// Somebody was promised this one: start it again from the beginning.
    Relaunch,
    /// It ended while nobody looked, or is over already: note that and free what it holds.
    Settle(Option<Event>),
    /// Half-made or half-deleted: remove it with its record.
    Remove,
}

fn decide(record: &Record, found: Option<&Found>) -> Action {
    match (record.status.state, found) {
        (State::Pending, _) if record.accepted => Action::Relaunch,
        (State::Pending, Some(found)) if found.alive && record.plan.pool.is_some() => {
            Action::GoesOnIfHandedOver
        }
        (State::Pending | State::Stopping, _) => Action::Remove,
        (State::Running, Some(found)) if found.alive => Action::Keep,
        (State::Paused, Some(found)) if found.alive => Action::KeepFrozen,
        (State::Running | State::Paused, Some(found)) => {
            Action::Settle(Some(Event::Exited { code: found.exit_code, oom_killed: false }))
        }
        (State::Running | State::Paused, None) => Action::Settle(Some(Event::Lost)),
        (State::Stopped, Some(found)) if found.alive => Action::EndLeftovers,
        (State::Stopped, Some(_)) => Action::KeepStopped,
        (State::Pausing, Some(_)) => Action::FinishStop,
        (State::Resuming, Some(found)) if found.alive && found.went_on => Action::GoesOn,
        (State::Resuming, Some(_)) => Action::StartAgain,
        (State::Pausing | State::Resuming | State::Stopped, None) => Action::Settle(Some(Event::Lost)),
        (State::Terminated | State::Failed, _) => Action::Settle(None),
    }
}

/// Pairs every record with what the runtime found of it; what is left over belongs to nobody.
fn pair(records: Vec<Record>, found: Vec<Found>) -> (Vec<(Record, Option<Found>)>, Vec<Found>) {
    let mut by_id: HashMap<String, Found> =
        found.into_iter().map(|found| (found.id.clone(), found)).collect();
    let pairs = records
        .into_iter()
        .map(|record| {
            let found = by_id.remove(&record.id);
            (record, found)
        })
        .collect();
    (pairs, by_id.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{record::PoolOrigin, record_for_tests};

    fn found(record: &Record, alive: bool, exit_code: Option<i32>) -> Found {
        Found { id: record.id.clone(), slot: record.slot, alive, went_on: false, exit_code }
    }

    #[test]
    fn every_pair_of_record_and_reality_has_its_action() {
        let at = |state, accepted| {
            let mut record = record_for_tests("a", chrono::Utc::now());
            record.status.state = state;
            record.accepted = accepted;
            record
        };
        let exited = |code| Action::Settle(Some(Event::Exited { code, oom_killed: false }));
        let running = at(State::Running, true);
        assert_eq!(decide(&running, Some(&found(&running, true, None))), Action::Keep);
        assert_eq!(decide(&running, Some(&found(&running, false, Some(3)))), exited(Some(3)));
        assert_eq!(decide(&running, None), Action::Settle(Some(Event::Lost)));
        for (state, alive, action) in [
            (State::Stopped, false, Action::KeepStopped),
            (State::Stopped, true, Action::EndLeftovers),
            (State::Pausing, false, Action::FinishStop),
            (State::Pausing, true, Action::FinishStop),
            (State::Resuming, false, Action::StartAgain),
            (State::Resuming, true, Action::StartAgain),
        ] {
            let record = at(state, true);
            assert_eq!(decide(&record, Some(&found(&record, alive, None))), action, "{state}, {alive}");
            assert_eq!(decide(&record, None), Action::Settle(Some(Event::Lost)), "{state}");
        }
        let resuming = at(State::Resuming, true);
        for (alive, action) in [(true, Action::GoesOn), (false, Action::StartAgain)] {
            let found = Found { went_on: true, ..found(&resuming, alive, None) };
            assert_eq!(decide(&resuming, Some(&found)), action);
        }
        let paused = at(State::Paused, true);
        assert_eq!(decide(&paused, Some(&found(&paused, true, None))), Action::KeepFrozen);
        assert_eq!(decide(&paused, Some(&found(&paused, false, Some(137)))), exited(Some(137)));
        assert_eq!(decide(&paused, None), Action::Settle(Some(Event::Lost)));
        for alive in [true, false] {
            let half_made = at(State::Pending, false);
            assert_eq!(decide(&half_made, Some(&found(&half_made, alive, None))), Action::Remove);
            let promised = at(State::Pending, true);
            assert_eq!(decide(&promised, Some(&found(&promised, alive, None))), Action::Relaunch);
            let stopping = at(State::Stopping, true);
            assert_eq!(decide(&stopping, Some(&found(&stopping, alive, None))), Action::Remove);
            let failed = at(State::Failed, true);
            assert_eq!(decide(&failed, Some(&found(&failed, alive, None))), Action::Settle(None));
        }
        assert_eq!(decide(&at(State::Pending, false), None), Action::Remove);
        let mut from_pool = at(State::Pending, false);
        from_pool.plan.pool = Some(PoolOrigin { name: "p".to_owned(), uid: "u".to_owned() });
        for (alive, action) in [(true, Action::GoesOnIfHandedOver), (false, Action::Remove)] {
            assert_eq!(decide(&from_pool, Some(&found(&from_pool, alive, None))), action);
        }
        assert_eq!(decide(&from_pool, None), Action::Remove);
    }

    #[test]
    fn what_has_no_record_is_left_over() {
        let record = record_for_tests("a", chrono::Utc::now());
        let mine = found(&record, true, None);
        let stray = Found { id: "stray".to_owned(), ..mine.clone() };
        let (pairs, strays) = pair(vec![record.clone()], vec![stray.clone(), mine.clone()]);
        assert_eq!(pairs, vec![(record, Some(mine))]);
        assert_eq!(strays, vec![stray]);
    }
}
