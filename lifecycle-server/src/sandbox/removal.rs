//! How sandboxes end: deleted, expired, or by themselves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use tokio::time::sleep;

use super::{
    book::Entry,
    error::ServiceError,
    record::Record,
    service::Inner,
    state::{Event, State},
};
use crate::{fault, runtime::Exit};

/// A deletion at expiry that failed is tried again after this long.
const EXPIRY_RETRY: TimeDelta = TimeDelta::seconds(30);
/// Room that a destroyed sandbox gives back comes within a moment; this long a deletion waits for it.
const ROOM_PATIENCE: Duration = Duration::from_secs(5);
const ROOM_PAUSE: Duration = Duration::from_millis(100);
/// The same for an end that could not be recorded.
const EXIT_RETRY: Duration = Duration::from_secs(1);

impl Inner {
    pub(super) async fn delete(&self, entry: &Arc<Entry>) -> Result<(), ServiceError> {
        entry.cancel.cancel();
        let _gate = entry.gate.lock().await;
        let record = self.book.still_there(entry)?;
        // A full disk must not keep what fills it.
        let record = self.book.advance_anyway(entry, record, &Event::Delete).await?;
        fault::point("delete.begun");
        self.runtime.destroy(&record.id).await?;
        fault::point("delete.destroyed");
        self.options.volumes.unmount(&record.id).await;
        if let Err(error) = self.let_go(&record).await {
            if error.is_full() {
                self.book.expiry.set(&record.id, Some(Utc::now() + EXPIRY_RETRY));
            }
            return Err(error);
        }
        self.runtime.forget_logs(&record.id);
        self.pools.notice_end(record.plan.pool.as_ref());
        self.options.volumes.release(&record.plan.volumes, || self.volumes_in_use()).await;
        tracing::info!(sandbox.id = %record.id, "sandbox deleted");
        Ok(())
    }

    /// Gives up image and record of a destroyed sandbox.
    async fn let_go(&self, record: &Record) -> Result<(), ServiceError> {
        let since = Instant::now();
        loop {
            match self.try_to_let_go(record).await {
                Err(error) if error.is_full() && since.elapsed() < ROOM_PATIENCE => sleep(ROOM_PAUSE).await,
                done => return done,
            }
        }
    }

    async fn try_to_let_go(&self, record: &Record) -> Result<(), ServiceError> {
        self.images.release(&record.id).await?;
        fault::point("delete.image_released");
        self.book.erase(record, None).await?;
        fault::point("delete.erased");
        Ok(())
    }

    pub(super) async fn expire(&self, id: &str) {
        let Ok(entry) = self.book.entry(id) else { return };
        let record = entry.record();
        let deletion_failed = record.status.state == State::Stopping;
        if !deletion_failed && record.expires_at.is_none_or(|at| at > Utc::now()) {
            return; // renewed meanwhile, and scheduled anew by that
        }
        tracing::info!(sandbox.id = %id, "sandbox expired");
        match self.delete(&entry).await {
            Ok(()) | Err(ServiceError::NotFound(_)) => {}
            Err(error) => {
                tracing::error!(sandbox.id = %id, %error, "an expired sandbox could not be removed; trying again");
                self.book.expiry.set(id, Some(Utc::now() + EXPIRY_RETRY));
            }
        }
    }

    pub(super) async fn settle_exit(&self, exit: Exit) {
        let Ok(entry) = self.book.entry(&exit.id) else {
            self.settle_member_exit(&exit.id).await;
            return;
        };
        // What cannot be recorded now, with the store away, must be later: nothing else would tell of it.
        while let Err(error) = self.record_exit(&entry, &exit).await {
            tracing::error!(sandbox.id = %exit.id, %error, "an ended sandbox could not be recorded");
            if !error.is_passing() || self.stops_within(EXIT_RETRY).await {
                break;
            }
        }
    }

    async fn record_exit(&self, entry: &Arc<Entry>, exit: &Exit) -> Result<(), ServiceError> {
        let _gate = entry.gate.lock().await;
        let Ok(record) = self.book.still_there(entry) else { return Ok(()) };
        if exit.run.is_finished() {
            return Ok(()); // its end was brought about by somebody who held the gate before, and may be followed by a new start
        }
        if record.status.state == State::Pending {
            return Ok(()); // the launch itself reports it
        }
        let event =
            Event::Exited { code: exit.code, oom_killed: self.seen.blames_memory(exit, Instant::now()) };
        let recorded = match self.book.advance_anyway(entry, record, &event).await {
            Ok(record) => {
                tracing::info!(sandbox.id = %exit.id, state = %record.status.state, code = ?exit.code, "sandbox ended");
                Ok(())
            }
            Err(ServiceError::Denied(_)) => return Ok(()),
            Err(error) if error.is_passing() => return Err(error), // all of this is done again
            Err(error) => Err(error),
        };
        self.free(&exit.id).await;
        self.pools.notice_end(entry.record().plan.pool.as_ref());
        recorded
    }

    /// Waits; true if the server stops meanwhile.
    async fn stops_within(&self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.stopping.cancelled()).await.is_ok()
    }

    /// Frees what a sandbox that does not run holds on this host.
    pub(super) async fn free(&self, id: &str) {
        if let Err(error) = self.runtime.destroy(id).await {
            tracing::error!(sandbox.id = %id, %error, "the sandbox could not be removed from the host");
        }
        self.options.volumes.unmount(id).await;
        if let Err(error) = self.images.release(id).await {
            tracing::error!(sandbox.id = %id, %error, "the sandbox's image is still kept");
        }
    }
}
