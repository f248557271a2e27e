//! Pools: sandboxes that run before anybody asks for them.
//!
//! A member is a started sandbox without an owner. It has a row of its own and no record, so nobody sees it. Handing
//! it over makes it a sandbox like any other: its row becomes a record in one step, so that it has one owner at most
//! whenever the server is killed. A member is handed over once and never comes back.

mod capacity;
mod handover;
mod keeper;
mod member;
mod recovery;

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

pub use capacity::Capacity;

use self::capacity::Standing;
use super::{
    book::now,
    error::ServiceError,
    idempotency::fingerprint,
    owner::{Owner, Quota, Scope},
    recipe::Recipe,
    record::PoolOrigin,
    service::Service,
};
use crate::{
    fault,
    runtime::{Limits, Line, Slot},
    store::PoolRow,
};

/// Members started at once over all pools: creates of callers must not wait behind them.
const PARALLEL_STARTS: usize = 2;
/// How long the answer to the end of a pool waits for members that are just being started.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);
/// How long after a member was taken the start of another one waits: the taken one's hand-over and its owner's first
/// request should not have to share the processor with it.
const REFILL_PAUSE: Duration = Duration::from_millis(25);
/// Hexadecimal digits of a revision.
const REVISION_DIGITS: usize = 10;

/// Whose a pool is, and its name: each tenant has its own names. Empty is no tenant.
type Key = (String, String);

/// All pools of this server.
pub(super) struct Pools {
    by_name: RwLock<BTreeMap<Key, Arc<Pool>>>,
    starts: Semaphore,
}

impl Default for Pools {
    fn default() -> Self {
        Self { by_name: RwLock::default(), starts: Semaphore::new(PARALLEL_STARTS) }
    }
}

/// One pool.
pub(super) struct Pool {
    pub(super) origin: PoolOrigin,
    /// Whose it is; `None` where there are no tenants.
    tenant: Option<Arc<str>>,
    pub(super) recipe: Recipe,
    revision: String,
    created_at: DateTime<Utc>,
    state: Mutex<State>,
    /// The starts of members.
    starts: TaskTracker,
    /// Something happened that the keeper has to look at.
    changed: Notify,
    /// A member became ready, or none will.
    arrived: Notify,
    /// The pool is being deleted.
    closed: CancellationToken,
}

struct State {
    capacity: Capacity,
    /// The owner's, as he was last seen.
    quota: Quota,
    ready: VecDeque<Ready>,
    starting: usize,
    /// Of those, how many the owner's quota has let through; without a quota none is asked.
    admitted: usize,
    /// Ids of members on their way to an owner, with a record or not yet.
    leaving: HashSet<String>,
    waiting: usize,
    /// Before this nothing takes the place of members that were taken, unless there is no other.
    refill_at: Option<Instant>,
    /// Why the last start failed.
    problem: Option<String>,
    /// Whether all went well since the keeper last looked; `None` if nothing happened.
    outcome: Option<bool>,
}

/// A started sandbox without an owner.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) slot: Slot,
    pub(crate) execd_token: String,
}

impl fmt::Debug for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Member").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A member that waits for its owner.
struct Ready {
    member: Member,
    /// What it is handed over on.
    line: Option<Line>,
}

/// A pool to make.
#[derive(Debug, Clone)]
pub struct NewPool {
    pub name: String,
    /// `None` on a server without tenants.
    pub owner: Option<Owner>,
    pub recipe: Recipe,
    pub capacity: Capacity,
    /// The template as its creator wrote it; only for telling templates apart.
    pub source: String,
}

/// What callers see of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolView {
    pub name: String,
    pub capacity: Capacity,
    pub revision: String,
    pub created_at: DateTime<Utc>,
    /// Members that are ready, or belong to an owner.
    pub total: usize,
    pub allocated: usize,
    pub available: usize,
    /// Why it has fewer members than it should, as far as that is known.
    pub problem: Option<String>,
}

impl NewPool {
    /// The same for `owner`. What his quota counts gets the limit that would hold anyway.
    #[must_use]
    pub fn owned_by(mut self, owner: Option<Owner>, defaults: &Limits) -> Self {
        if owner.is_some() {
            Owner::bound(&mut self.recipe.limits, defaults);
        }
        self.owner = owner;
        self
    }
}

impl Pools {
    /// The pool of this name among those `scope` covers.
    pub(super) fn find(&self, scope: &Scope, name: &str) -> Result<Arc<Pool>, ServiceError> {
        let pools = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let key = (scope.tenant().unwrap_or_default().to_owned(), name.to_owned());
        let is_open = |pool: &&Arc<Pool>| !pool.closed.is_cancelled();
        let pool = pools.get(&key).filter(is_open);
        // A server that has tenants no more still has their pools.
        let left =
            || pools.values().find(|pool| *scope == Scope::All && pool.origin.name == name && is_open(pool));
        pool.or_else(left).cloned().ok_or_else(|| ServiceError::PoolNotFound(name.to_owned()))
    }

    /// Those that `scope` covers.
    fn within(&self, scope: &Scope) -> Vec<Arc<Pool>> {
        let mut pools = self.all();
        pools.retain(|pool| scope.covers(pool.tenant.as_deref()));
        pools
    }

    fn all(&self) -> Vec<Arc<Pool>> {
        let pools = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        pools.values().filter(|pool| !pool.closed.is_cancelled()).cloned().collect()
    }

    fn insert(&self, pool: &Arc<Pool>) {
        let mut pools = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        pools.insert(pool.key(), Arc::clone(pool));
    }

    fn is_taken(&self, key: &Key) -> bool {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    fn forget(&self, pool: &Pool) {
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).remove(&pool.key());
    }

    /// Whether a member of this id is ready in some pool.
    pub(super) fn holds(&self, id: &str) -> bool {
        let pools = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        pools.values().any(|pool| pool.state().ready.iter().any(|ready| ready.member.id == id))
    }

    /// Bytes promised to members without a record.
    pub(super) fn promised(&self, share: impl Fn(&Limits) -> u64) -> u64 {
        let promised = |pool: &Arc<Pool>| {
            let state = pool.state();
            let count = (state.ready.len() + state.starting) as u64;
            share(&pool.recipe.limits).saturating_mul(count)
        };
        self.all().iter().map(promised).fold(0, u64::saturating_add)
    }

    /// A sandbox of this pool ended: there may be room for another member.
    pub(super) fn notice_end(&self, origin: Option<&PoolOrigin>) {
        let Some(origin) = origin else { return };
        if let Some(pool) = self.all().into_iter().find(|pool| pool.origin == *origin) {
            pool.changed.notify_one();
        }
    }
}

impl Pool {
    fn new(row: PoolRow) -> Arc<Self> {
        let (tenant, quota) = match row.owner {
            Some(Owner { tenant, quota }) => (Some(tenant), quota),
            None => (None, Quota::default()),
        };
        Arc::new(Self {
            tenant,
            origin: PoolOrigin { name: row.name, uid: row.uid },
            recipe: row.recipe,
            revision: row.revision,
            created_at: row.created_at,
            state: Mutex::new(State {
                capacity: row.capacity,
                quota,
                ready: VecDeque::new(),
                starting: 0,
                admitted: 0,
                leaving: HashSet::new(),
                waiting: 0,
                refill_at: None,
                problem: None,
                outcome: None,
            }),
            starts: TaskTracker::new(),
            changed: Notify::new(),
            arrived: Notify::new(),
            closed: CancellationToken::new(),
        })
    }

    fn key(&self) -> Key {
        (self.tenant.as_deref().unwrap_or_default().to_owned(), self.origin.name.clone())
    }

    /// Whose it is, with the quota last seen.
    fn owner(&self) -> Option<Owner> {
        self.tenant.as_ref().map(|tenant| Owner { tenant: Arc::clone(tenant), quota: self.state().quota })
    }

    /// A quota may change whenever its owner comes.
    fn notice(&self, owner: Option<&Owner>) {
        if let Some(owner) = owner {
            self.state().quota = owner.quota;
        }
    }

    fn exhausted(&self) -> ServiceError {
        ServiceError::PoolExhausted { pool: self.origin.name.clone(), problem: self.state().problem.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self, state: &State, allocated: usize) -> PoolView {
        PoolView {
            name: self.origin.name.clone(),
            capacity: state.capacity,
            revision: self.revision.clone(),
            created_at: self.created_at,
            total: allocated + state.ready.len(),
            allocated,
            available: state.ready.len(),
            problem: state.problem.clone(),
        }
    }
}

impl State {
    /// Takes the member that has been ready for longest.
    fn take(&mut self, now: Instant) -> Option<Ready> {
        let ready = self.ready.pop_front()?;
        self.leaving.insert(ready.member.id.clone());
        if self.pause(now).is_zero() {
            self.refill_at = Some(now + REFILL_PAUSE);
        }
        Some(ready)
    }

    /// How long the start of further members can wait.
    fn pause(&self, now: Instant) -> Duration {
        match self.refill_at {
            Some(at) if !self.ready.is_empty() && self.waiting == 0 => at.saturating_duration_since(now),
            _ => Duration::ZERO,
        }
    }

    fn note(&mut self, succeeded: bool) {
        self.outcome = Some(self.outcome.unwrap_or(true) && succeeded);
    }

    fn standing(&self, allocated: usize) -> Standing {
        Standing { allocated, ready: self.ready.len(), starting: self.starting, waiting: self.waiting }
    }
}

impl Service {
    /// Makes a pool and begins to fill it.
    pub async fn create_pool(&self, new: NewPool) -> Result<PoolView, ServiceError> {
        let inner = Arc::clone(&self.inner);
        self.owned(async move {
            let mut revision = fingerprint(new.source.as_bytes());
            revision.truncate(REVISION_DIGITS);
            if let Some(owner) = &new.owner {
                // One alone has to fit, or none ever will.
                owner.quota.admit(&[], 0, &new.recipe.limits.into())?;
            }
            let row = PoolRow {
                name: new.name,
                owner: new.owner,
                uid: Uuid::new_v4().hyphenated().to_string(),
                recipe: new.recipe,
                revision,
                capacity: new.capacity,
                created_at: now(),
                deleting: false,
            };
            let name = row.name.clone();
            let pool = Pool::new(row.clone());
            if inner.pools.is_taken(&pool.key()) || !inner.book.store.insert_pool(&row).await? {
                return Err(ServiceError::PoolExists(name));
            }
            fault::point("pool.on_record");
            inner.pools.insert(&pool);
            inner.keep(&pool);
            Ok(inner.view(&pool))
        })
        .await
    }

    pub fn pool(&self, scope: &Scope, name: &str) -> Result<PoolView, ServiceError> {
        let pool = self.inner.pools.find(scope, name)?;
        Ok(self.inner.view(&pool))
    }

    /// Every pool that `scope` covers, by name.
    pub fn pools(&self, scope: &Scope) -> Vec<PoolView> {
        self.inner.pools.within(scope).iter().map(|pool| self.inner.view(pool)).collect()
    }

    /// Sets a pool's bounds; members are started and ended accordingly in the background.
    pub async fn resize_pool(
        &self,
        owner: Option<Owner>,
        name: &str,
        capacity: Capacity,
    ) -> Result<PoolView, ServiceError> {
        let pool = self.inner.pools.find(&Owner::scope_of(owner.as_ref()), name)?;
        let inner = Arc::clone(&self.inner);
        self.owned(async move {
            if !inner.book.store.resize_pool(&pool.origin.uid, capacity, owner.as_ref()).await? {
                return Err(ServiceError::PoolNotFound(pool.origin.name.clone()));
            }
            pool.notice(owner.as_ref());
            pool.state().capacity = capacity;
            pool.changed.notify_one();
            Ok(inner.view(&pool))
        })
        .await
    }

    /// Deletes a pool and its members without an owner. Sandboxes that came from it go on.
    pub async fn delete_pool(&self, scope: &Scope, name: &str) -> Result<(), ServiceError> {
        let pool = self.inner.pools.find(scope, name)?;
        let inner = Arc::clone(&self.inner);
        self.owned(async move {
            inner.book.store.mark_pool_deleting(&pool.origin.uid).await?;
            fault::point("pool.deleting");
            pool.closed.cancel();
            pool.arrived.notify_waiters();
            inner.drain(&pool).await;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_hand_over_comes_before_the_next_start_unless_that_is_urgent() {
        let member = |number| Member {
            id: format!("member-{number}"),
            slot: Slot { number, address: Ipv4Addr::LOCALHOST },
            execd_token: String::new(),
        };
        let ready = |number| Ready { member: member(number), line: None };
        let mut state = State {
            capacity: Capacity { buffer_max: 3, buffer_min: 3, pool_max: 9, pool_min: 0 },
            quota: Quota::default(),
            admitted: 0,
            ready: (0..3).map(ready).collect(),
            starting: 0,
            leaving: HashSet::new(),
            waiting: 0,
            refill_at: None,
            problem: None,
            outcome: None,
        };
        let start = Instant::now();
        assert!(state.pause(start).is_zero());
        assert_eq!(state.take(start).map(|ready| ready.member.id).as_deref(), Some("member-0"));
        assert_eq!(state.pause(start), REFILL_PAUSE);
        // Further ones do not put it off.
        assert!(state.take(start + REFILL_PAUSE / 2).is_some());
        assert!(state.pause(start + REFILL_PAUSE).is_zero());
        assert_eq!(state.pause(start), REFILL_PAUSE);
        state.waiting = 1;
        assert!(state.pause(start).is_zero());
        state.waiting = 0;
        assert!(state.take(start).is_some());
        assert!(state.pause(start).is_zero());
        assert!(state.take(start).is_none());
    }
}
