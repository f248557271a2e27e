//! A create request that is repeated with its key makes one sandbox, however often it comes.
//!
//! The key is written down right after the record and before anything is started, and goes with a sandbox that came to
//! nothing. So a repetition finds the sandbox also after the server was killed, and a failure can be tried again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::{
    book::now,
    error::ServiceError,
    record::Record,
    service::{Inner, Service},
};
use crate::store::KeyRow;

/// How long a key is remembered.
const RETENTION: TimeDelta = TimeDelta::hours(24);
/// Most keys that are remembered; the oldest go first.
const MOST: u32 = 100_000;
/// Pause between two looks for keys to forget.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);

/// What a caller sends so that a repeated request is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose key it is: callers do not know of each other's.
    pub owner: String,
    pub key: String,
    /// Digest of what is asked for: the same key must come with the same.
    pub fingerprint: String,
}

/// Tells contents apart without keeping them.
pub fn fingerprint(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl IdempotencyKey {
    /// What it is known by. No key has blanks.
    fn name(&self) -> String {
        format!("{} {}", self.owner, self.key)
    }

    /// What is kept of it when this sandbox is made now.
    pub(super) fn row(&self, sandbox_id: &str) -> KeyRow {
        KeyRow {
            key: self.name(),
            fingerprint: self.fingerprint.clone(),
            sandbox_id: sandbox_id.to_owned(),
            created_at: now(),
        }
    }
}

/// Keys whose first request is still under way.
#[derive(Default)]
pub(super) struct Keys(Mutex<HashMap<String, Pending>>);

struct Pending {
    fingerprint: String,
    /// Ends when the request does.
    done: watch::Receiver<()>,
}

/// The first request with a key.
struct Leader<'a> {
    keys: &'a Keys,
    name: String,
    /// Dropped with this, which wakes everyone who waits.
    _done: watch::Sender<()>,
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.keys.pending().remove(&self.name);
    }
}

impl Keys {
    fn pending(&self) -> MutexGuard<'_, HashMap<String, Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other request with this key is under way.
    async fn lead(&self, key: &IdempotencyKey) -> Result<Leader<'_>, ServiceError> {
        let name = key.name();
        loop {
            let mut done = {
                let mut pending = self.pending();
                match pending.get(&name) {
                    Some(other) if other.fingerprint != key.fingerprint => return Err(another(&key.key)),
                    Some(other) => other.done.clone(),
                    None => {
                        let (sender, done) = watch::channel(());
                        let fingerprint = key.fingerprint.clone();
                        pending.insert(name.clone(), Pending { fingerprint, done });
                        return Ok(Leader { keys: self, name, _done: sender });
                    }
                }
            };
            // The other one ends within its own bounds; that its sender is gone is what is waited for.
            let _ = done.changed().await;
        }
    }
}

impl Service {
    /// Runs `create` unless a request with this key has made a sandbox already; answers with that one then.
    pub(super) async fn once(
        &self,
        key: Option<IdempotencyKey>,
        create: impl Future<Output = Result<Arc<Record>, ServiceError>> + Send + 'static,
    ) -> Result<Arc<Record>, ServiceError> {
        let Some(key) = key else { return create.await };
        let service = self.clone();
        self.owned(async move {
            let inner = Arc::clone(&service.inner);
            let _leader = inner.keys.lead(&key).await?;
            if let Some(record) = inner.made_by(&key).await? {
                return Ok(record);
            }
            match create.await {
                Err(ServiceError::Repeated(id)) => {
                    inner.made_by(&key).await?.ok_or(ServiceError::Interrupted(id))
                }
                created => created,
            }
        })
        .await
    }
}

impl Inner {
    /// The sandbox that an earlier request with this key made, if there was one.
    async fn made_by(&self, key: &IdempotencyKey) -> Result<Option<Arc<Record>>, ServiceError> {
        let Some((fingerprint, id)) = self.book.store.find_key(&key.name()).await? else { return Ok(None) };
        if fingerprint != key.fingerprint {
            return Err(another(&key.key));
        }
        match self.find_anywhere(&id).await {
            Ok(record) => Ok(Some(record)),
            Err(ServiceError::NotFound(_)) => Err(ServiceError::IdempotencyConflict(format!(
                "Idempotency-Key {:?} made sandbox {id}, which is gone; use another key for another sandbox",
                key.key
            ))),
            Err(error) => Err(error),
        }
    }

    /// Notes which sandbox, recorded already, a key is making.
    pub(super) async fn note_key(
        &self,
        key: Option<&IdempotencyKey>,
        sandbox_id: &str,
    ) -> Result<(), ServiceError> {
        let Some(key) = key else { return Ok(()) };
        let row = key.row(sandbox_id);
        // Another server has answered the same request in the meantime.
        let is_first = self.book.store.insert_key(&row).await?;
        if is_first { Ok(()) } else { Err(ServiceError::Repeated(sandbox_id.to_owned())) }
    }

    /// Keeps the number of remembered keys within bounds, for as long as the server runs.
    pub(super) fn forget_old_keys(self: &Arc<Self>) {
        let inner = Arc::clone(self);
        self.spawn_until_stopped(async move {
            loop {
                if let Err(error) = inner.book.store.delete_old_keys(Utc::now() - RETENTION, MOST).await {
                    tracing::warn!(%error, "old idempotency keys could not be forgotten");
                }
                tokio::time::sleep(SWEEP_INTERVAL).await;
            }
        });
    }
}

fn another(key: &str) -> ServiceError {
    ServiceError::IdempotencyConflict(format!(
        "Idempotency-Key {key:?} came with another request before; a key belongs to one request"
    ))
}
