//! From a member without an owner to somebody's sandbox.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::poll;
use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, timeout_at},
};

use super::{Member, Pool, Ready};
use crate::{
    fault,
    runtime::{HandOver, Line, RuntimeError},
    sandbox::{
        book::now,
        creation::{expiry, secret},
        error::ServiceError,
        note,
        owner::{Owner, Scope},
        record::{CreateSpec, Plan, Record, Status},
        service::Inner,
    },
};

/// Any pool.
const ANY: &str = "*";
/// Members that turn out to be of no use before a caller is told.
const ATTEMPTS: usize = 3;

/// Counts a caller who waits, also one who stops waiting half-way.
struct Waiting<'a>(&'a Pool);

impl<'a> Waiting<'a> {
    fn at(pool: &'a Pool) -> Self {
        pool.state().waiting += 1;
        pool.changed.notify_one();
        Self(pool)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
        self.0.changed.notify_one();
    }
}

/// A member on its way to its owner; counts as allocated.
struct Leaving {
    pool: Arc<Pool>,
    member: Member,
    line: Option<Line>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.pool.state().leaving.remove(&self.member.id);
        self.pool.changed.notify_one();
    }
}

impl Inner {
    /// Hands a member of a pool over; waits for one if the pool may still grow. Image and limits are the pool's.
    pub(in crate::sandbox) async fn create_from_pool(
        self: &Arc<Self>,
        pool: &str,
        wish: &CreateSpec,
    ) -> Result<Arc<Record>, ServiceError> {
        let deadline = Instant::now() + self.options.create_wait;
        let mut attempt = 1;
        loop {
            let leaving = self.take_member(wish.owner.as_ref(), pool, deadline).await?;
            match self.hand_over(leaving, wish).await {
                Err(ServiceError::Runtime(RuntimeError::Os { context, source })) if attempt < ATTEMPTS => {
                    tracing::warn!(%source, "a member was of no use: {context}");
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn take_member(
        &self,
        owner: Option<&Owner>,
        name: &str,
        deadline: Instant,
    ) -> Result<Leaving, ServiceError> {
        let scope = Owner::scope_of(owner);
        let pool = match name {
            ANY => match self.take_any(&scope) {
                Ok(leaving) => return Ok(leaving),
                Err(pool) => {
                    pool.ok_or(ServiceError::PoolExhausted { pool: ANY.to_owned(), problem: None })?
                }
            },
            name => self.pools.find(&scope, name)?,
        };
        pool.notice(owner);
        if let Some(leaving) = take(&pool) {
            return Ok(leaving);
        }
        let _waiting = Waiting::at(&pool);
        loop {
            // Counted among those who wait before the look, so that each arrival wakes one of them.
            let mut arrived = pin!(pool.arrived.notified());
            arrived.as_mut().enable();
            if let Some(leaving) = take(&pool) {
                return Ok(leaving);
            }
            let exhausted = || pool.exhausted();
            if pool.closed.is_cancelled() {
                return Err(ServiceError::PoolNotFound(pool.origin.name.clone()));
            }
            let room = {
                let state = pool.state();
                state.capacity.has_room(self.allocated(&pool, &state))
            };
            if !room {
                return Err(exhausted());
            }
            timeout_at(deadline, arrived).await.map_err(|_| exhausted())?;
        }
    }

    /// A member of the fullest of one's pools; else a pool that may get one.
    fn take_any(&self, scope: &Scope) -> Result<Leaving, Option<Arc<Pool>>> {
        let mut pools = self.pools.within(scope);
        pools.sort_by_key(|pool| std::cmp::Reverse(pool.state().ready.len()));
        if let Some(leaving) = pools.iter().find_map(take) {
            return Ok(leaving);
        }
        Err(pools.into_iter().find(|pool| {
            let state = pool.state();
            state.capacity.has_room(self.allocated(pool, &state))
        }))
    }

    async fn hand_over(
        self: &Arc<Self>,
        mut leaving: Leaving,
        wish: &CreateSpec,
    ) -> Result<Arc<Record>, ServiceError> {
        let line = leaving.line.take();
        let (pool, member) = (&leaving.pool, &leaving.member);
        let record = match new_record(pool, member, wish) {
            Ok(record) => record,
            Err(error) => {
                self.end_member(&member.id).await;
                return Err(error);
            }
        };
        let order = HandOver { entrypoint: wish.entrypoint.clone(), ..record.hand_over() };
        let entry = self.book.insert(record);
        let gate = Arc::clone(&entry.gate).lock_owned().await;
        let begun = Instant::now();
        // Both at once, the longer one first. A start that finds only one of them done ends the member: nobody was told.
        let given = async {
            self.runtime.hand_over(member.slot, &member.execd_token, line, order).await?;
            fault::point("handover.handed_over");
            Ok::<_, ServiceError>(begun.elapsed())
        };
        let recorded = async {
            let key = wish.key.as_ref().map(|key| key.row(&member.id));
            self.book.assign(&entry, key).await.inspect(|()| fault::point("handover.recorded"))
        };
        let (given, recorded) = tokio::join!(given, recorded);
        let is_recorded = recorded.is_ok();
        let shown = recorded.and(given).and_then(|took| Ok((took, self.book.show_running(&entry)?)));
        match shown {
            Ok((took, running)) => {
                fault::point("handover.done");
                self.attend(&entry);
                tracing::info!(sandbox.id = %running.id, pool = pool.origin.name, "sandbox handed over");
                self.note_hand_over(Arc::clone(&running), took, gate).await;
                Ok(running)
            }
            Err(error) if is_recorded => {
                self.forget(&member.id, &error.to_string()).await;
                Err(error)
            }
            Err(error) => {
                self.book.remove(&member.id);
                self.end_member(&member.id).await;
                Err(error)
            }
        }
    }

    /// Has the store write down that a sandbox runs, behind the gate; its owner need not wait for that.
    async fn note_hand_over(
        self: &Arc<Self>,
        running: Arc<Record>,
        took: Duration,
        gate: OwnedMutexGuard<()>,
    ) {
        let inner = Arc::clone(self);
        let mut writing = Box::pin(async move {
            let _gate = gate;
            inner.book.write_down(&running, note::phases(&[("handover", took)])).await;
        });
        if self.book.store.is_shared() {
            // Other servers read what is written.
            writing.await;
        } else if poll!(&mut writing).is_pending() {
            // Asked for by now, and so before anything the owner asks for next.
            self.tasks.spawn(writing);
        }
    }
}

/// Takes the member that has been ready for longest.
fn take(pool: &Arc<Pool>) -> Option<Leaving> {
    let mut state = pool.state();
    if pool.closed.is_cancelled() {
        return None;
    }
    let Ready { member, line } = state.take(Instant::now())?;
    drop(state);
    pool.changed.notify_one();
    Some(Leaving { pool: Arc::clone(pool), member, line })
}

fn new_record(pool: &Pool, member: &Member, wish: &CreateSpec) -> Result<Record, ServiceError> {
    let (recipe, created_at) = (&pool.recipe, now());
    let mut spec = wish.clone();
    spec.image.reference.clone_from(&recipe.image);
    spec.limits = recipe.limits;
    if spec.entrypoint.is_empty() {
        spec.entrypoint.clone_from(&recipe.command);
    }
    Ok(Record {
        id: member.id.clone(),
        plan: Plan { pool: Some(pool.origin.clone()), ..Plan::new(&spec) },
        metadata: spec.metadata,
        status: Status::pending(created_at),
        created_at,
        expires_at: expiry(created_at, spec.timeout)?,
        slot: member.slot,
        accepted: false,
        execd_token: secret(),
        access_token: secret(),
        kept_bytes: 0,
    })
}
