//! From a wish to a running sandbox, or to nothing.

use std::sync::Arc;

use chrono::TimeDelta;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    book::{Entry, now},
    error::ServiceError,
    images::ImageRequest,
    launch,
    record::{CreateSpec, Plan, Record, Status},
    service::Inner,
    state::Event,
};

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
                if result.is_err() && !self.is_being_deleted(&entry) {
                    self.forget(&entry.record().id).await;
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
        let _room = self.book.admit(spec).await?;
        let id = Uuid::new_v4().hyphenated().to_string();
        let slot = self.runtime.reserve(&id)?;
        let created_at = now();
        let expires_at = match spec.timeout.map(TimeDelta::from_std) {
            None => None,
            Some(timeout) => timeout.ok().and_then(|timeout| created_at.checked_add_signed(timeout)),
        };
        if spec.timeout.is_some() && expires_at.is_none() {
            self.runtime.release(&id);
            return Err(ServiceError::InvalidExpiration("timeout is too large for a date".to_owned()));
        }
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
            id,
        };
        if let Err(error) = self.book.store.insert(&record).await {
            self.runtime.release(&record.id);
            return Err(error.into());
        }
        let entry = self.book.insert(record);
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
        let work = async {
            let permit = self.launches.acquire().await.map_err(|_| ServiceError::ShuttingDown)?;
            let prepared = self.images.acquire(image, &record.id).await?;
            let spec = launch::spec(&record, prepared, &self.options.env);
            // A start that runs a command of the user's may take hours: others must not wait for it.
            let _permit = spec.pre_start.is_zero().then_some(permit);
            Ok::<_, ServiceError>(self.runtime.launch(&spec).await?)
        };
        let report = tokio::select! {
            () = entry.cancel.cancelled() => return Err(ServiceError::Cancelled(record.id.clone())),
            report = work => report?,
        };
        let running = self.book.advance(entry, Record::clone(&entry.record()), &Event::Started).await?;
        tracing::info!(sandbox.id = %running.id, image = %running.plan.image, phases = ?report.phases, "sandbox started");
        Ok(running)
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
        if let Err(error) = self.book.advance(entry, Record::clone(&record), &failed).await {
            tracing::error!(sandbox.id = %record.id, %error, "a failed start could not be recorded");
        }
    }

    /// A launch is cancelled only by a deletion or by the server's end.
    fn is_being_deleted(&self, entry: &Entry) -> bool {
        entry.cancel.is_cancelled() && !self.stopping.is_cancelled()
    }

    /// Removes every trace of a sandbox nobody was told of.
    pub(super) async fn forget(&self, id: &str) {
        self.free(id).await;
        if let Err(error) = self.book.store.delete(id).await {
            tracing::error!(sandbox.id = %id, %error, "a record stays until the next start");
        }
        self.book.remove(id);
    }
}

/// 244 random bits from the operating system, in hexadecimal.
fn secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
