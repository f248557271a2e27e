//! Creates, finds, changes and removes sandboxes; the one place where a record changes.
//!
//! One change per sandbox at a time (its gate), different sandboxes in parallel. What a caller started goes on when
//! the caller hangs up: nothing is left half-done.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::{DateTime, SubsecRound, Utc};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use super::{
    access::{Openness, Target},
    admission::CommittedMemory,
    book::Book,
    egress::EgressOptions,
    error::ServiceError,
    idempotency::Keys,
    idle,
    images::Images,
    journal::{Journal, Subscription},
    limits::Seen,
    list::{self, Filter, Page, PageRequest},
    note::Noted,
    pool::Pools,
    record::{CreateSpec, Origin, Record, check_metadata},
    state::{Denial, State},
    template::Templates,
};
use crate::{
    otel,
    runtime::{Limits, Log, Refusal, Runtime, Usage},
    store::Store,
    volume::Volumes,
};

/// Launches at once; more wait their turn.
const PARALLEL_LAUNCHES: usize = 16;
/// How long a stopping server waits for changes under way.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// What the configuration decides about the service.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// A create answers when the sandbox runs, or after this long with the sandbox still pending.
    pub create_wait: Duration,
    /// Variables of every sandbox, weaker than those of the request.
    pub env: Vec<(String, String)>,
    /// `None` promises any amount; only what is in use counts then.
    pub committed_memory: Option<CommittedMemory>,
    /// Storage that sandboxes can mount.
    pub volumes: Volumes,
    pub egress: EgressOptions,
}

/// The sandboxes of this server. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) images: Arc<dyn Images>,
    pub(super) book: Book,
    pub(super) options: ServiceOptions,
    pub(super) launches: Semaphore,
    pub(super) tasks: TaskTracker,
    pub(super) stopping: CancellationToken,
    pub(super) seen: Seen,
    pub(super) started_at: DateTime<Utc>,
    pub(super) pools: Pools,
    pub(super) templates: Templates,
    pub(super) keys: Keys,
    read_only: bool,
}

impl Service {
    /// Takes over what an earlier server left behind and starts the background work.
    pub async fn start(
        runtime: Arc<dyn Runtime>,
        images: Arc<dyn Images>,
        store: Store,
        options: ServiceOptions,
    ) -> Result<Self, ServiceError> {
        let inner = Inner::new(runtime, images, store, options, false).await?;
        let journal = Arc::clone(&inner.book.journal);
        let mut exits = inner.runtime.exits();
        inner.recover().await?;
        inner.spawn_until_stopped(async move { journal.follow().await });
        inner.spawn_until_stopped({
            let inner = Arc::clone(&inner);
            async move { inner.watch_limits().await }
        });
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
                    for id in inner.book.expiry.due().await {
                        let inner_for_expiry = Arc::clone(&inner);
                        inner.tasks.spawn(async move { inner_for_expiry.expire(&id).await });
                    }
                }
            }
        });
        inner.keep_pools();
        inner.build_templates();
        inner.forget_old_keys();
        Ok(Self { inner })
    }

    /// Shows sandboxes and changes nothing about any, known or not: for a server that cannot know all there are. Their
    /// output is taken, so that none of them waits.
    pub async fn show(
        runtime: Arc<dyn Runtime>,
        images: Arc<dyn Images>,
        records: Vec<Record>,
        options: ServiceOptions,
    ) -> Result<Self, ServiceError> {
        // Nothing is written for good, whatever asks for it.
        let inner = Inner::new(runtime, images, Store::in_memory().await?, options, true).await?;
        inner.runtime.adopt().await?;
        for record in records {
            inner.book.insert(record);
        }
        Ok(Self { inner })
    }

    /// Whether this server only shows sandboxes.
    pub fn is_read_only(&self) -> bool {
        self.inner.read_only
    }

    /// Starts a sandbox. The answer is a running sandbox, or a pending one when its image takes long to come.
    ///
    /// # Errors
    /// When the sandbox could not be started in the time waited for; nothing of it remains then.
    pub async fn create(&self, spec: CreateSpec) -> Result<Arc<Record>, ServiceError> {
        let service = self.clone();
        self.once(spec.key.clone(), async move {
            let inner = Arc::clone(&service.inner);
            match spec.origin.clone() {
                Origin::Image => service.create_new(spec).await,
                Origin::Template(id) => service.create_new(inner.templates.apply(&id, spec)?).await,
                Origin::Pool(pool) => {
                    service.owned(async move { inner.create_from_pool(&pool, &spec).await }).await
                }
            }
        })
        .await
    }

    async fn create_new(&self, spec: CreateSpec) -> Result<Arc<Record>, ServiceError> {
        self.check_writable()?;
        if self.inner.stopping.is_cancelled() {
            return Err(ServiceError::ShuttingDown);
        }
        let (answer, answered) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        let create = async move { inner.create(spec, answer).await };
        self.inner.tasks.spawn(otel::carried(create).in_current_span());
        answered.await.map_err(|_| ServiceError::ShuttingDown)?
    }

    pub fn get(&self, id: &str) -> Result<Arc<Record>, ServiceError> {
        Ok(self.inner.book.entry(id)?.record())
    }

    pub fn list(&self, filter: &Filter, page: PageRequest) -> Page {
        let matching = {
            let entries = self.inner.book.entries();
            entries.values().map(|entry| entry.record()).filter(|record| filter.matches(record)).collect()
        };
        list::paginate(matching, page)
    }

    /// Removes a sandbox, whatever state it is in. Returns once nothing of it runs.
    pub async fn delete(&self, id: &str) -> Result<(), ServiceError> {
        let entry = self.inner.book.entry(id)?;
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
        self.inner.book.expiry.set(id, record.expires_at);
        Ok(at)
    }

    /// Sets (`Some`) and removes (`None`) metadata.
    ///
    /// # Errors
    /// `TooMuchMetadata` if that would be more than a create takes; nothing has changed then.
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
            check_metadata(&record.metadata)
        })
        .await
    }

    /// Where `port` of the sandbox is, and what opens it.
    pub fn target(&self, id: &str, port: u16) -> Result<Target, ServiceError> {
        let entry = self.inner.book.entry(id)?;
        let record = entry.record();
        Ok(Target {
            address: SocketAddr::from((record.slot.address, port)),
            run: entry.runs.load(Ordering::Relaxed),
            execd_token: record.execd_token.clone(),
            access_token: record.access_token.clone(),
            egress_token: record.plan.egress.as_ref().map(|egress| egress.token.clone()),
            openness: Openness::of(&record.plan, port),
            reachable: record.status.state.is_reachable()
                || (record.status.state == State::Paused && idle::resumes(&record.plan.extensions)),
        })
    }

    /// What the sandbox uses right now.
    pub async fn usage(&self, id: &str) -> Result<Usage, ServiceError> {
        let state = self.get(id)?.status.state;
        if !matches!(state, State::Running | State::Pausing | State::Paused) {
            return Err(Denial { state, action: "measuring" }.into());
        }
        Ok(self.inner.runtime.usage(id).await?)
    }

    /// The newest notes of a sandbox, oldest first.
    pub async fn notes(&self, id: &str, limit: u32) -> Result<Vec<Noted>, ServiceError> {
        let entry = self.inner.book.entry(id)?;
        self.inner.look_at_limits(&entry).await;
        Ok(self.inner.book.store.notes_of(id, limit.into()).await?)
    }

    /// What a sandbox was refused outside lately, oldest first.
    pub async fn refusals(&self, id: &str) -> Result<Vec<Refusal>, ServiceError> {
        let record = self.get(id)?;
        if record.plan.egress.is_none() {
            return Ok(Vec::new());
        }
        Ok(self.inner.runtime.refusals(id).await?)
    }

    /// Follows what happens to all sandboxes, after note number `after` or from now on.
    pub async fn subscribe(&self, after: Option<i64>) -> Result<Subscription, ServiceError> {
        Subscription::new(&self.inner.book.journal, after).await
    }

    /// Ends all subscriptions: they would keep a stopping server waiting.
    pub fn end_subscriptions(&self) {
        self.inner.book.journal.close();
    }

    /// What the sandbox's program has printed; `None` if the runtime keeps no logs.
    pub fn log(&self, id: &str) -> Result<Option<Arc<Log>>, ServiceError> {
        self.inner.book.entry(id)?;
        Ok(self.inner.runtime.log(id))
    }

    /// The limits that hold for the sandbox, defaults included.
    pub fn limits(&self, record: &Record) -> Limits {
        self.inner.runtime.effective(record.plan.limits())
    }

    /// Number of sandboxes in each state.
    pub fn counts(&self) -> Vec<(State, usize)> {
        let entries = self.inner.book.entries();
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
        self.inner.book.store.close().await;
    }

    async fn change(
        &self,
        id: &str,
        edit: impl FnOnce(&mut Record) -> Result<(), ServiceError> + Send + 'static,
    ) -> Result<Arc<Record>, ServiceError> {
        let entry = self.inner.book.entry(id)?;
        let inner = Arc::clone(&self.inner);
        self.owned(async move {
            let _gate = entry.gate.lock().await;
            let mut record = inner.book.still_there(&entry)?;
            edit(&mut record)?;
            inner.book.commit(&entry, record).await
        })
        .await
    }

    fn check_writable(&self) -> Result<(), ServiceError> {
        if self.inner.read_only { Err(ServiceError::ReadOnly) } else { Ok(()) }
    }

    /// Runs `work`, which may change something, to its end even if the caller goes away.
    pub(super) async fn owned<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.check_writable()?;
        self.inner
            .tasks
            .spawn(otel::carried(work).in_current_span())
            .await
            .map_err(|_| ServiceError::ShuttingDown)?
    }
}

impl Inner {
    async fn new(
        runtime: Arc<dyn Runtime>,
        images: Arc<dyn Images>,
        store: Store,
        options: ServiceOptions,
        read_only: bool,
    ) -> Result<Arc<Self>, ServiceError> {
        let stopping = CancellationToken::new();
        let journal = Journal::open(store.clone()).await?;
        Ok(Arc::new(Self {
            runtime,
            images,
            book: Book::new(store, journal, stopping.clone()),
            options,
            launches: Semaphore::new(PARALLEL_LAUNCHES),
            tasks: TaskTracker::new(),
            stopping,
            seen: Seen::default(),
            started_at: Utc::now(),
            pools: Pools::default(),
            templates: Templates::default(),
            keys: Keys::default(),
            read_only,
        }))
    }

    pub(super) fn spawn_until_stopped(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move { stopping.run_until_cancelled(work).await });
    }
}
