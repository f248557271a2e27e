//! From a wish to a running sandbox, or to nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    book::{Entry, now},
    error::ServiceError,
    images::{ImageRequest, PreparedImage},
    launch,
    note::{self, Note},
    record::{CreateSpec, Plan, Record, Status},
    secrets,
    service::Inner,
    state::Event,
};
use crate::{
    fault, otel,
    runtime::{LaunchSpec, MountedVolume},
    volume::Volume,
};

/// An image that takes longer than this is not just looked up: its coming is worth a note.
const AT_ONCE: Duration = Duration::from_millis(250);

impl Inner {
    pub(super) async fn create(
        self: Arc<Self>,
        spec: CreateSpec,
        answer: oneshot::Sender<Result<Arc<Record>, ServiceError>>,
    ) {
        let image = spec.image.clone();
        let entry = match self.register(&spec).await {
            Ok(entry) => entry,
            Err(error) => {
                let _ = answer.send(Err(error));
                return;
            }
        };
        let _gate = entry.gate.lock().await;
        let launch = self.launch(&entry, &image);
        tokio::pin!(launch);
        tokio::select! {
            result = &mut launch => {
                if let Err(error) = &result
                    && !self.is_being_deleted(&entry)
                {
                    self.forget(&entry.record().id, &error.to_string()).await;
                }
                let _ = answer.send(result);
            }
            () = tokio::time::sleep(self.options.create_wait) => {
                let _ = answer.send(self.accept(&entry).await);
                if let Err(error) = launch.await {
                    self.give_up(&entry, &error).await;
                }
            }
        }
    }

    /// A place and a record for a new sandbox.
    async fn register(self: &Arc<Self>, spec: &CreateSpec) -> Result<Arc<Entry>, ServiceError> {
        let place = self.admit(spec.owner.as_ref(), spec.limits).await?;
        let _room = self.hold_room(&spec.limits, place).await;
        let id = Uuid::new_v4().hyphenated().to_string();
        let created_at = now();
        let expires_at = expiry(created_at, spec.timeout)?;
        self.check_room(&spec.limits)?;
        let slot = self.runtime.reserve(&id)?;
        let record = Record {
            plan: Plan::new(spec),
            metadata: spec.metadata.clone(),
            status: Status::pending(created_at),
            created_at,
            expires_at,
            slot,
            accepted: false,
            execd_token: secret(),
            access_token: secret(),
            kept_bytes: 0,
            id,
        };
        let id = record.id.clone();
        let entry = self.book.add(record).await.inspect_err(|_| self.runtime.release(&id))?;
        fault::point("create.registered");
        let settled = async {
            self.confirm_quota(spec, &id).await?;
            self.note_key(spec.key.as_ref(), &id).await
        };
        if let Err(error) = settled.await {
            self.forget(&id, &error.to_string()).await;
            return Err(error);
        }
        fault::point("create.key_noted");
        self.attend(&entry);
        Ok(entry)
    }

    /// Image, first process, record: in this order. The gate is held by the caller.
    pub(super) async fn launch(
        &self,
        entry: &Entry,
        image: &ImageRequest,
    ) -> Result<Arc<Record>, ServiceError> {
        let record = entry.record();
        let span = otel::start(&record.id);
        let work = async {
            let begun = Instant::now();
            let permit = self.launches.acquire().await.map_err(|_| ServiceError::ShuttingDown)?;
            let waited = begun.elapsed();
            let prepared = self.acquire_image(&record, image).await?;
            fault::point("create.image_leased");
            let before = [("turn", waited), ("image", begun.elapsed() - waited)];
            let volumes = self.open_volumes(&record).await?;
            let spec = LaunchSpec {
                volumes,
                ..launch::spec(&record, prepared, &self.options.env, &self.options.egress)
            };
            // A start that runs a command of the user's may take hours: others must not wait for it.
            let permit = spec.pre_start.is_zero().then_some(permit);
            let mut report =
                self.runtime.launch(&spec).await.map_err(|error| secrets::hide(error, &spec.env))?;
            drop(permit);
            report.phases.splice(..0, before);
            if let Some(readiness) = &record.plan.readiness {
                let begun = Instant::now();
                self.wait_until_ready(record.slot, &record.execd_token, readiness).await?;
                report.phases.push(("probe", begun.elapsed()));
            }
            Ok::<_, ServiceError>(report)
        };
        let report = tokio::select! {
            () = entry.cancel.cancelled() => return Err(ServiceError::Cancelled(record.id.clone())),
            report = work => report?,
        };
        span.succeeded(&report.phases);
        fault::point("create.launched");
        let started = Record::clone(&entry.record());
        let phases = Some(note::phases(&report.phases));
        let running = self.book.advance_with(entry, started, &Event::Started, phases).await?;
        fault::point("create.recorded");
        tracing::info!(sandbox.id = %running.id, image = %running.plan.image, phases = ?report.phases, "sandbox started");
        Ok(running)
    }

    /// The image, and a note of it if it does not come at once.
    async fn acquire_image(
        &self,
        record: &Record,
        image: &ImageRequest,
    ) -> Result<PreparedImage, ServiceError> {
        let begun = Instant::now();
        let acquire = self.images.acquire(image, &record.id);
        tokio::pin!(acquire);
        if let Ok(at_once) = tokio::time::timeout(AT_ONCE, &mut acquire).await {
            return Ok(at_once?);
        }
        self.book.note(&Note::image(record, now(), &format!("fetching {}", image.reference), None)).await;
        let result = acquire.await;
        let told = match &result {
            Ok(_) => format!("{} is here", image.reference),
            Err(problem) => format!("{} did not come: {problem}", image.reference),
        };
        self.book.note(&Note::image(record, now(), &told, Some(begun.elapsed()))).await;
        Ok(result?)
    }

    async fn accept(&self, entry: &Entry) -> Result<Arc<Record>, ServiceError> {
        let mut record = Record::clone(&entry.record());
        record.accepted = true;
        self.book.commit(entry, record).await
    }

    /// A sandbox somebody knows of could not start: it stays visible as failed.
    pub(super) async fn give_up(&self, entry: &Entry, error: &ServiceError) {
        let record = entry.record();
        if self.stopping.is_cancelled() || self.is_being_deleted(entry) {
            return; // the next start goes on with it, or the deletion that waits at the gate removes it
        }
        tracing::warn!(sandbox.id = %record.id, %error, "sandbox did not start");
        self.free(&record.id).await;
        let failed = Event::StartFailed { message: error.to_string() };
        if let Err(error) = self.book.advance_anyway(entry, Record::clone(&record), &failed).await {
            tracing::error!(sandbox.id = %record.id, %error, "a failed start could not be recorded");
        }
    }

    /// A launch is cancelled only by a deletion or by the server's end.
    fn is_being_deleted(&self, entry: &Entry) -> bool {
        entry.cancel.is_cancelled() && !self.stopping.is_cancelled()
    }

    /// What a sandbox mounts.
    pub(super) async fn open_volumes(&self, record: &Record) -> Result<Vec<MountedVolume>, ServiceError> {
        let root = self.runtime.root_of(record.slot);
        Ok(self.options.volumes.open(&record.id, &record.plan.volumes, root).await?)
    }

    /// All sandboxes on record with their volumes.
    pub(super) fn volumes_in_use(&self) -> Vec<(String, Vec<Volume>)> {
        let entries = self.book.entries();
        entries.iter().map(|(id, entry)| (id.clone(), entry.record().plan.volumes.clone())).collect()
    }

    /// Removes every trace of a sandbox nobody was told of.
    pub(super) async fn forget(&self, id: &str, why: &str) {
        let record = self.book.entry(id).map(|entry| entry.record());
        self.remove_traces(id, why).await;
        if let Ok(record) = record {
            self.options.volumes.release(&record.plan.volumes, || self.volumes_in_use()).await;
        }
    }

    /// The same except for volumes: whether others use those can be told only once all sandboxes are known.
    pub(super) async fn remove_traces(&self, id: &str, why: &str) {
        self.free(id).await;
        // A record without its key is gone at the next start; a key without its sandbox would stay in the way.
        if let Err(error) = self.book.store.delete_keys_of(id).await {
            tracing::error!(sandbox.id = %id, %error, "an idempotency key stays");
        }
        let Ok(entry) = self.book.entry(id) else { return };
        if let Err(error) = self.book.erase(&entry.record(), Some(why)).await {
            tracing::error!(sandbox.id = %id, %error, "a record stays until the next start");
            self.book.remove(id);
        }
        self.runtime.forget_logs(id);
    }
}

/// When a sandbox made now and to live for `timeout` expires.
pub(super) fn expiry(
    created_at: DateTime<Utc>,
    timeout: Option<Duration>,
) -> Result<Option<DateTime<Utc>>, ServiceError> {
    let Some(timeout) = timeout else { return Ok(None) };
    let at = TimeDelta::from_std(timeout).ok().and_then(|timeout| created_at.checked_add_signed(timeout));
    let too_large = || ServiceError::InvalidExpiration("timeout is too large for a date".to_owned());
    at.map(Some).ok_or_else(too_large)
}

/// 244 random bits from the operating system, in hexadecimal.
pub(super) fn secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
