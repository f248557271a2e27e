//! Ending a sandbox's processes and keeping its files, or its memory too, and starting it again from them.
//!
//! The record names the step before it is taken: a server that is killed on the way leaves `Pausing` or `Resuming`, and
//! the next one goes on from there.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    book::Entry,
    error::ServiceError,
    launch, note,
    record::Record,
    service::{Inner, Service},
    state::{Event, State},
};
use crate::{
    fault, otel,
    runtime::{Keep, MemoryStop, StartSpec},
};

impl Service {
    /// Ends every process of the sandbox and keeps its files, and its memory if that is asked for and this host can keep
    /// it. Returns once nothing of it runs, and says whether there is memory.
    ///
    /// # Errors
    /// `Denied` unless the sandbox runs or is paused. After any other it goes on as before.
    pub async fn stop(&self, id: &str, memory: bool) -> Result<bool, ServiceError> {
        let entry = self.inner.book.entry(id)?;
        let inner = Arc::clone(&self.inner);
        let keep = match memory && self.memory_stop().await.reason.is_none() {
            true => Keep::Memory,
            false => Keep::Files,
        };
        self.owned(async move { inner.stop(&entry, keep).await }).await
    }

    /// Starts a stopped sandbox from its memory, or without one, or if that is not wanted, anew on its files. Returns once it answers, and says
    /// whether its processes go on where they were.
    ///
    /// # Errors
    /// `Denied` unless the sandbox is stopped, `Exhausted` without room for it. After any but the first it stays stopped.
    pub async fn start_again(&self, id: &str, memory: bool) -> Result<bool, ServiceError> {
        let entry = self.inner.book.entry(id)?;
        let inner = Arc::clone(&self.inner);
        self.owned(async move { inner.start_again(&entry, memory).await }).await
    }

    /// Whether stopped sandboxes can keep their memory here.
    pub async fn memory_stop(&self) -> MemoryStop {
        self.inner.runtime.memory_stop().await
    }
}

impl Inner {
    async fn stop(&self, entry: &Arc<Entry>, keep: Keep) -> Result<bool, ServiceError> {
        entry.record().status.state.apply(&Event::StopBegun)?;
        let _gate = entry.gate.lock().await;
        let record = self.book.still_there(entry)?;
        let paused = record.status.state == State::Paused;
        let record = self.book.advance(entry, record, &Event::StopBegun).await?;
        fault::point("stop.begun");
        self.finish_stop(entry, &record, paused, keep).await
    }

    /// From `Pausing` to stopped, or back. The gate is held by the caller, or nobody else is there yet.
    pub(super) async fn finish_stop(
        &self,
        entry: &Arc<Entry>,
        record: &Record,
        paused: bool,
        keep: Keep,
    ) -> Result<bool, ServiceError> {
        let stopped = self.runtime.stop(&record.id, keep).await;
        fault::point("stop.stopped");
        let event = match &stopped {
            Ok(memory) => Event::Stopped { memory: *memory },
            Err(_) => Event::StopFailed { paused },
        };
        let kept_bytes = match stopped {
            Ok(true) => self.runtime.kept_memory(&record.id).await,
            Ok(false) | Err(_) => 0,
        };
        let record = Record { kept_bytes, ..record.clone() };
        let record = self.book.advance_anyway(entry, record, &event).await?;
        let memory = stopped?;
        self.seen.forget(&record.id);
        fault::point("stop.recorded");
        tracing::info!(sandbox.id = %record.id, memory, "sandbox stopped");
        Ok(memory)
    }

    async fn start_again(&self, entry: &Arc<Entry>, memory: bool) -> Result<bool, ServiceError> {
        entry.record().status.state.apply(&Event::StartBegun)?;
        let _gate = entry.gate.lock().await;
        let record = self.book.still_there(entry)?;
        let record = {
            let _room = self.hold_room(&record.plan.limits(), None).await;
            self.check_room_again(&record, memory).await?;
            self.book.advance(entry, record, &Event::StartBegun).await?
        };
        fault::point("start.begun");
        self.finish_start(entry, &record, memory).await
    }

    /// From `Resuming` to running, or back to stopped. The gate is held by the caller.
    pub(super) async fn finish_start(
        &self,
        entry: &Arc<Entry>,
        record: &Record,
        memory: bool,
    ) -> Result<bool, ServiceError> {
        entry.runs.fetch_add(1, Ordering::Relaxed);
        let span = otel::start(&record.id);
        let pre_start = record.plan.hooks.as_ref().map_or(Duration::ZERO, launch::pre_start);
        let work = async {
            let permit = self.launches.acquire().await.map_err(|_| ServiceError::ShuttingDown)?;
            // A start that runs a command of the user's may take hours: others must not wait for it.
            let _permit = pre_start.is_zero().then_some(permit);
            let volumes = self.open_volumes(record).await?;
            let wish = StartSpec {
                id: record.id.clone(),
                volumes,
                limits: record.plan.limits(),
                pre_start,
                memory,
                owner: record.plan.pool.as_ref().map(|_| record.hand_over()),
            };
            Ok::<_, ServiceError>(self.runtime.start(&wish).await?)
        };
        match work.await {
            Ok(report) => {
                span.succeeded(&report.phases);
                fault::point("start.launched");
                let phases = Some(note::phases(&report.phases));
                let record = Record { kept_bytes: 0, ..record.clone() };
                let record = self.book.advance_anyway_with(entry, record, &Event::Started, phases).await?;
                fault::point("start.recorded");
                tracing::info!(
                    sandbox.id = %record.id, memory = report.memory, phases = ?report.phases, "sandbox started again"
                );
                Ok(report.memory)
            }
            Err(error) => {
                let failed = Event::StartFailed { message: error.to_string() };
                let kept_bytes = self.runtime.kept_memory(&record.id).await;
                self.book.advance_anyway(entry, Record { kept_bytes, ..record.clone() }, &failed).await?;
                Err(error)
            }
        }
    }
}
