//! Creates, finds, changes and removes sandboxes; the one place where a record changes.
//!
//! One change per sandbox at a time (its gate), different sandboxes in parallel. What a caller started goes on when
//! the caller hangs up: nothing is left half-done.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    access::Target,
    error::ServiceError,
    expiry::Expiry,
    images::{ImageRequest, Images},
    launch,
    list::{self, Filter, Page, PageRequest},
    record::{CreateSpec, Plan, Record, Status},
    recovery::{self, Action},
    state::{Event, State},
};
use crate::{
    runtime::{Exit, Runtime, Usage},
    store::Store,
};

/// Launches at once; more wait their turn.
const PARALLEL_LAUNCHES: usize = 16;
/// A deletion at expiry that failed is tried again after this long.
const EXPIRY_RETRY: TimeDelta = TimeDelta::seconds(30);
/// How long a stopping server waits for changes under way.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// What the configuration decides about the service.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// A create answers when the sandbox runs, or after this long with the sandbox still pending.
    pub create_wait: Duration,
    /// Variables of every sandbox, weaker than those of the request.
    pub env: Vec<(String, String)>,
}

/// The sandboxes of this server. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Arc<dyn Runtime>,
    images: Arc<dyn Images>,
    store: Store,
    options: ServiceOptions,
    entries: RwLock<HashMap<String, Arc<Entry>>>,
    expiry: Expiry,
    launches: Semaphore,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

struct Entry {
    /// What readers see.
    record: Mutex<Arc<Record>>,
    /// Held while the sandbox changes.
    gate: tokio::sync::Mutex<()>,
    /// Ends a launch under way.
    cancel: CancellationToken,
}

impl Entry {
    fn new(record: Record, cancel: CancellationToken) -> Arc<Self> {
        Arc::new(Self { record: Mutex::new(Arc::new(record)), gate: tokio::sync::Mutex::new(()), cancel })
    }

    fn record(&self) -> Arc<Record> {
        Arc::clone(&self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Service {
    /// Takes over what an earlier server left behind and starts the background work.
    pub async fn start(
        runtime: Arc<dyn Runtime>,
        images: Arc<dyn Images>,
        store: Store,
        options: ServiceOptions,
    ) -> Result<Self, ServiceError> {
        let inner = Arc::new(Inner {
            runtime,
            images,
            store,
            options,
            entries: RwLock::default(),
            expiry: Expiry::default(),
            launches: Semaphore::new(PARALLEL_LAUNCHES),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        let mut exits = inner.runtime.exits();
        inner.recover().await?;
        inner.spawn_until_stopped({
            let inner = Arc::clone(&inner);
            async move {
                while let Some(exit) = exits.recv().await {
                    let inner_for_exit = Arc::clone(&inner);
                    inner.tasks.spawn(async move { inner_for_exit.settle_exit(exit).await });
                }
            }
        });
        inner.spawn_until_stopped({
            let inner = Arc::clone(&inner);
            async move {
                loop {
                    for id in inner.expiry.due().await {
                        let inner_for_expiry = Arc::clone(&inner);
                        inner.tasks.spawn(async move { inner_for_expiry.expire(&id).await });
                    }
                }
            }
        });
        Ok(Self { inner })
    }

    /// Starts a sandbox. The answer is a running sandbox, or a pending one when its image takes long to come.
    ///
    /// # Errors
    /// When the sandbox could not be started in the time waited for; nothing of it remains then.
    pub async fn create(&self, spec: CreateSpec) -> Result<Arc<Record>, ServiceError> {
        if self.inner.stopping.is_cancelled() {
            return Err(ServiceError::ShuttingDown);
        }
        let (answer, answered) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn(async move { inner.create(spec, answer).await });
        answered.await.map_err(|_| ServiceError::ShuttingDown)?
    }

    pub fn get(&self, id: &str) -> Result<Arc<Record>, ServiceError> {
        Ok(self.inner.entry(id)?.record())
    }

    pub fn list(&self, filter: &Filter, page: PageRequest) -> Page {
        let matching = {
            let entries = self.inner.entries();
            entries.values().map(|entry| entry.record()).filter(|record| filter.matches(record)).collect()
        };
        list::paginate(matching, page)
    }

    /// Removes a sandbox, whatever state it is in. Returns once nothing of it runs.
    pub async fn delete(&self, id: &str) -> Result<(), ServiceError> {
        let entry = self.inner.entry(id)?;
        let inner = Arc::clone(&self.inner);
        self.owned(async move { inner.delete(&entry).await }).await
    }

    /// Moves the expiry to `at`, earlier or later; answers the new expiry.
    pub async fn renew(&self, id: &str, at: DateTime<Utc>) -> Result<DateTime<Utc>, ServiceError> {
        let at = at.trunc_subsecs(6);
        let record = self
            .change(id, move |record| {
                if record.expires_at.is_none() {
                    return Err(ServiceError::NeverExpires(record.id.clone()));
                }
                if at <= Utc::now() {
                    return Err(ServiceError::InvalidExpiration(format!(
                        "expiresAt {at} is not in the future"
                    )));
                }
                record.expires_at = Some(at);
                Ok(())
            })
            .await?;
        self.inner.expiry.set(id, record.expires_at);
        Ok(at)
    }

    /// Sets (`Some`) and removes (`None`) metadata.
    pub async fn patch_metadata(
        &self,
        id: &str,
        patch: BTreeMap<String, Option<String>>,
    ) -> Result<Arc<Record>, ServiceError> {
        self.change(id, move |record| {
            for (key, value) in patch {
                match value {
                    Some(value) => record.metadata.insert(key, value),
                    None => record.metadata.remove(&key),
                };
            }
            Ok(())
        })
        .await
    }

    /// Where `port` of the sandbox is, and what opens it.
    pub fn target(&self, id: &str, port: u16) -> Result<Target, ServiceError> {
        let record = self.get(id)?;
        Ok(Target {
            address: SocketAddr::from((record.slot.address, port)),
            execd_token: record.execd_token.clone(),
            access_token: record.access_token.clone(),
            reachable: record.status.state.is_reachable(),
        })
    }

    /// What the sandbox uses right now.
    pub async fn usage(&self, id: &str) -> Result<Usage, ServiceError> {
        self.inner.entry(id)?;
        Ok(self.inner.runtime.usage(id).await?)
    }

    /// Number of sandboxes in each state.
    pub fn counts(&self) -> Vec<(State, usize)> {
        let entries = self.inner.entries();
        let in_state = |state| entries.values().filter(|entry| entry.record().status.state == state).count();
        State::ALL.into_iter().map(|state| (state, in_state(state))).collect()
    }

    /// Finishes what is under way, within a bound; sandboxes keep running.
    pub async fn shutdown(&self) {
        self.inner.stopping.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(SHUTDOWN_GRACE, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!("changes still under way were left to the next start");
        }
        self.inner.runtime.shutdown().await;
        self.inner.store.close().await;
    }

    async fn change(
        &self,
        id: &str,
        edit: impl FnOnce(&mut Record) -> Result<(), ServiceError> + Send + 'static,
    ) -> Result<Arc<Record>, ServiceError> {
        let entry = self.inner.entry(id)?;
        let inner = Arc::clone(&self.inner);
        self.owned(async move {
            let _gate = entry.gate.lock().await;
            let mut record = inner.still_there(&entry)?;
            edit(&mut record)?;
            inner.commit(&entry, record).await
        })
        .await
    }

    /// Runs `work` to its end even if the caller goes away.
    async fn owned<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.inner.tasks.spawn(work).await.map_err(|_| ServiceError::ShuttingDown)?
    }
}

impl Inner {
    fn entries(&self) -> std::sync::RwLockReadGuard<'_, HashMap<String, Arc<Entry>>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, id: &str) -> Result<Arc<Entry>, ServiceError> {
        self.entries().get(id).cloned().ok_or_else(|| ServiceError::NotFound(id.to_owned()))
    }

    /// The record behind a gate that was waited for: meanwhile the sandbox may have gone.
    fn still_there(&self, entry: &Arc<Entry>) -> Result<Record, ServiceError> {
        let record = entry.record();
        let current = self.entry(&record.id)?;
        if !Arc::ptr_eq(&current, entry) {
            return Err(ServiceError::NotFound(record.id.clone()));
        }
        Ok(Record::clone(&record))
    }

    fn insert(&self, record: Record) -> Arc<Entry> {
        let id = record.id.clone();
        self.expiry.set(&id, record.expires_at);
        let entry = Entry::new(record, self.stopping.child_token());
        self.entries.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&entry));
        entry
    }

    fn remove(&self, id: &str) {
        self.expiry.set(id, None);
        self.entries.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Stores the record and shows it to readers, in this order.
    async fn commit(&self, entry: &Entry, record: Record) -> Result<Arc<Record>, ServiceError> {
        self.store.update(&record).await?;
        let record = Arc::new(record);
        *entry.record.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&record);
        Ok(record)
    }

    async fn advance(
        &self,
        entry: &Entry,
        mut record: Record,
        event: &Event,
    ) -> Result<Arc<Record>, ServiceError> {
        let transition = record.status.state.apply(event)?;
        record.status = Status::after(transition, now());
        self.commit(entry, record).await
    }

    async fn create(
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
    async fn register(&self, spec: &CreateSpec) -> Result<Arc<Entry>, ServiceError> {
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
        if let Err(error) = self.store.insert(&record).await {
            self.runtime.release(&record.id);
            return Err(error.into());
        }
        Ok(self.insert(record))
    }

    /// Image, first process, record: in this order. The gate is held by the caller.
    async fn launch(&self, entry: &Entry, image: &ImageRequest) -> Result<Arc<Record>, ServiceError> {
        let record = entry.record();
        let work = async {
            let _permit = self.launches.acquire().await.map_err(|_| ServiceError::ShuttingDown)?;
            let prepared = self.images.acquire(image, &record.id).await?;
            let spec = launch::spec(&record, prepared, &self.options.env);
            Ok::<_, ServiceError>(self.runtime.launch(&spec).await?)
        };
        let report = tokio::select! {
            () = entry.cancel.cancelled() => return Err(ServiceError::Cancelled(record.id.clone())),
            report = work => report?,
        };
        let running = self.advance(entry, Record::clone(&entry.record()), &Event::Started).await?;
        tracing::info!(sandbox.id = %running.id, image = %running.plan.image, phases = ?report.phases, "sandbox started");
        Ok(running)
    }

    async fn accept(&self, entry: &Entry) -> Result<Arc<Record>, ServiceError> {
        let mut record = Record::clone(&entry.record());
        record.accepted = true;
        self.commit(entry, record).await
    }

    /// A sandbox somebody knows of could not start: it stays visible as failed.
    async fn give_up(&self, entry: &Entry, error: &ServiceError) {
        let record = entry.record();
        if self.stopping.is_cancelled() || self.is_being_deleted(entry) {
            return; // the next start goes on with it, or the deletion that waits at the gate removes it
        }
        tracing::warn!(sandbox.id = %record.id, %error, "sandbox did not start");
        self.free(&record.id).await;
        let failed = Event::StartFailed { message: error.to_string() };
        if let Err(error) = self.advance(entry, Record::clone(&record), &failed).await {
            tracing::error!(sandbox.id = %record.id, %error, "a failed start could not be recorded");
        }
    }

    /// A launch is cancelled only by a deletion or by the server's end.
    fn is_being_deleted(&self, entry: &Entry) -> bool {
        entry.cancel.is_cancelled() && !self.stopping.is_cancelled()
    }

    /// Removes every trace of a sandbox nobody was told of.
    async fn forget(&self, id: &str) {
        self.free(id).await;
        if let Err(error) = self.store.delete(id).await {
            tracing::error!(sandbox.id = %id, %error, "a record stays until the next start");
        }
        self.remove(id);
    }

    /// Frees what a sandbox that does not run holds on this host.
    async fn free(&self, id: &str) {
        if let Err(error) = self.runtime.destroy(id).await {
            tracing::error!(sandbox.id = %id, %error, "the sandbox could not be removed from the host");
        }
        if let Err(error) = self.images.release(id).await {
            tracing::error!(sandbox.id = %id, %error, "the sandbox's image is still kept");
        }
    }

    async fn delete(&self, entry: &Arc<Entry>) -> Result<(), ServiceError> {
        entry.cancel.cancel();
        let _gate = entry.gate.lock().await;
        let record = self.still_there(entry)?;
        let record = self.advance(entry, record, &Event::Delete).await?;
        self.runtime.destroy(&record.id).await?;
        self.images.release(&record.id).await?;
        self.store.delete(&record.id).await?;
        self.remove(&record.id);
        tracing::info!(sandbox.id = %record.id, "sandbox deleted");
        Ok(())
    }

    async fn expire(&self, id: &str) {
        let Ok(entry) = self.entry(id) else { return };
        if entry.record().expires_at.is_none_or(|at| at > Utc::now()) {
            return; // renewed meanwhile, and scheduled anew by that
        }
        tracing::info!(sandbox.id = %id, "sandbox expired");
        match self.delete(&entry).await {
            Ok(()) | Err(ServiceError::NotFound(_)) => {}
            Err(error) => {
                tracing::error!(sandbox.id = %id, %error, "an expired sandbox could not be removed; trying again");
                self.expiry.set(id, Some(Utc::now() + EXPIRY_RETRY));
            }
        }
    }

    async fn settle_exit(&self, exit: Exit) {
        let Ok(entry) = self.entry(&exit.id) else { return };
        let _gate = entry.gate.lock().await;
        let Ok(record) = self.still_there(&entry) else { return };
        if record.status.state == State::Pending {
            return; // the launch itself reports it
        }
        let event = Event::Exited { code: exit.code, oom_killed: exit.oom_killed };
        match self.advance(&entry, record, &event).await {
            Ok(record) => {
                tracing::info!(sandbox.id = %exit.id, state = %record.status.state, code = ?exit.code, "sandbox ended");
            }
            Err(ServiceError::Denied(_)) => return,
            Err(error) => {
                tracing::error!(sandbox.id = %exit.id, %error, "an ended sandbox could not be recorded");
            }
        }
        self.free(&exit.id).await;
    }

    async fn recover(self: &Arc<Self>) -> Result<(), ServiceError> {
        let found = self.runtime.adopt().await?;
        let (pairs, strays) = recovery::pair(self.store.load_all().await?, found);
        for stray in strays {
            tracing::warn!(sandbox.id = %stray.id, "removing a sandbox that has no record");
            self.free(&stray.id).await;
        }
        for (record, found) in pairs {
            let action = recovery::decide(&record, found.as_ref());
            tracing::info!(sandbox.id = %record.id, state = %record.status.state, ?action, "recovering sandbox");
            let entry = self.insert(record);
            self.carry_out(&entry, action).await?;
        }
        for owner in self.images.owners().await? {
            if self.entry(&owner).is_err() {
                self.images.release(&owner).await?;
            }
        }
        Ok(())
    }

    async fn carry_out(self: &Arc<Self>, entry: &Arc<Entry>, action: Action) -> Result<(), ServiceError> {
        let record = entry.record();
        match action {
            Action::Keep => {}
            Action::Remove => self.forget(&record.id).await,
            Action::Settle(event) => {
                self.free(&record.id).await;
                if let Some(event) = event {
                    self.advance(entry, Record::clone(&record), &event).await?;
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
        self.commit(entry, record).await?;
        let (inner, entry) = (Arc::clone(self), Arc::clone(entry));
        self.tasks.spawn(async move {
            let _gate = entry.gate.lock().await;
            let plan = &entry.record().plan;
            let image = ImageRequest {
                reference: plan.image.clone(),
                credentials: None,
                platform: plan.platform.clone(),
            };
            if let Err(error) = inner.launch(&entry, &image).await {
                inner.give_up(&entry, &error).await;
            }
        });
        Ok(())
    }

    fn spawn_until_stopped(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move { stopping.run_until_cancelled(work).await });
    }
}

/// The present instant, as precise as the store keeps it.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// 244 random bits from the operating system, in hexadecimal.
fn secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
