//! The life of a member without an owner.

use std::sync::Arc;

use tokio::time::timeout;
use uuid::Uuid;

use super::{DRAIN_PATIENCE, Member, Pool, PoolView, Ready, State};
use crate::{
    fault,
    runtime::Limits,
    sandbox::{
        creation::secret, error::ServiceError, owner::Scope, recipe::Ahead, record::Record, service::Inner,
    },
};

/// Keeps a place for a member until it counts by itself, or does not come.
pub(super) struct Place<'a>(&'a Pool);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.state().admitted -= 1;
    }
}

impl Inner {
    /// Members that have an owner, or are on their way to one. The pool's state is locked first, here as everywhere.
    pub(super) fn allocated(&self, pool: &Pool, state: &State) -> usize {
        let is_ours = |record: &Record| {
            !record.status.state.is_final()
                && record.plan.pool.as_ref() == Some(&pool.origin)
                && !state.leaving.contains(&record.id)
        };
        let entries = self.book.entries();
        entries.values().filter(|entry| is_ours(&entry.record())).count() + state.leaving.len()
    }

    /// Limits of everything that pools hold for an owner beside what is on record as his.
    pub(in crate::sandbox) fn members_of(&self, scope: &Scope) -> Vec<Limits> {
        let held = |pool: Arc<Pool>| {
            let state = pool.state();
            let unrecorded = state.leaving.iter().filter(|id| self.book.entry(id).is_err()).count();
            std::iter::repeat_n(pool.recipe.limits, state.ready.len() + state.admitted + unrecorded)
        };
        self.pools.within(scope).into_iter().flat_map(held).collect()
    }

    /// A place for one more member in what the owner may have.
    pub(super) async fn admit_member<'a>(&self, pool: &'a Pool) -> Result<Place<'a>, ServiceError> {
        let _guard = self.admit(pool.owner().as_ref(), pool.recipe.limits).await?;
        pool.state().admitted += 1;
        Ok(Place(pool))
    }

    pub(super) fn view(&self, pool: &Pool) -> PoolView {
        let state = pool.state();
        pool.view(&state, self.allocated(pool, &state))
    }

    /// Starts one member. Nothing of it remains on an error.
    pub(super) async fn start_member(&self, pool: &Pool) -> Result<Ready, ServiceError> {
        let _permit = tokio::select! {
            () = pool.closed.cancelled() => return Err(ServiceError::PoolNotFound(pool.origin.name.clone())),
            () = self.stopping.cancelled() => return Err(ServiceError::ShuttingDown),
            permit = self.pools.starts.acquire() => permit.map_err(|_| ServiceError::ShuttingDown)?,
        };
        self.check_room_of_member(&pool.recipe.limits)?;
        let id = Uuid::new_v4().hyphenated().to_string();
        let slot = self.runtime.reserve(&id)?;
        let member = Member { id, slot, execd_token: secret() };
        if let Err(error) = self.book.store.insert_member(&member, &pool.origin.uid).await {
            self.runtime.release(&member.id);
            return Err(error.into());
        }
        fault::point("member.registered");
        let ahead = Ahead {
            id: &member.id,
            slot,
            execd_token: &member.execd_token,
            recipe: &pool.recipe,
            tenant: pool.tenant.as_deref(),
            standby: true,
        };
        let started = tokio::select! {
            () = pool.closed.cancelled() => Err(ServiceError::PoolNotFound(pool.origin.name.clone())),
            () = self.stopping.cancelled() => return Err(ServiceError::ShuttingDown),
            started = self.start_ahead(&ahead) => started,
        };
        fault::point("member.started");
        let ready = match started {
            Ok(_) => self.book.store.ready_member(&member.id).await.map_err(ServiceError::from),
            Err(error) => Err(error),
        };
        match ready {
            Ok(()) => {
                fault::point("member.ready");
                Ok(self.ready(member).await)
            }
            Err(error) => {
                self.end_member(&member.id).await;
                Err(error)
            }
        }
    }

    /// A member with all that its hand-over needs.
    pub(super) async fn ready(&self, member: Member) -> Ready {
        let line = self.runtime.line(member.slot, &member.execd_token).await;
        Ready { member, line }
    }

    /// Ends a member nobody will own.
    pub(super) async fn end_member(&self, id: &str) {
        self.free(id).await;
        self.runtime.forget_logs(id);
        if let Err(error) = self.book.store.delete_member(id).await {
            tracing::error!(member.id = %id, %error, "a row stays until the next start");
        }
    }

    /// The first process of something that is no sandbox ended: a member, if it is one.
    pub(in crate::sandbox) async fn settle_member_exit(&self, id: &str) {
        for pool in self.pools.all() {
            let was_ready = {
                let mut state = pool.state();
                let position = state.ready.iter().position(|ready| ready.member.id == id);
                position.and_then(|position| state.ready.remove(position)).is_some()
            };
            if was_ready {
                tracing::warn!(pool = pool.origin.name, member.id = %id, "a member ended by itself");
                {
                    let mut state = pool.state();
                    state.problem = Some("a member ended by itself while it was waiting".to_owned());
                    state.note(false);
                }
                self.end_member(id).await;
                pool.changed.notify_one();
                return;
            }
        }
    }

    /// Ends every member without an owner, and then the pool; if members take long to be done with their start, goes
    /// on with that in the background.
    pub(super) async fn drain(self: &Arc<Self>, pool: &Arc<Pool>) {
        let members: Vec<Ready> = pool.state().ready.drain(..).collect();
        futures_util::future::join_all(members.iter().map(|ready| self.end_member(&ready.member.id))).await;
        fault::point("pool.members_ended");
        pool.starts.close();
        if timeout(DRAIN_PATIENCE, pool.starts.wait()).await.is_ok() {
            self.delete_drained(pool).await;
            return;
        }
        tracing::warn!(pool = pool.origin.name, "members of a deleted pool are still being started");
        let (inner, pool) = (Arc::clone(self), Arc::clone(pool));
        self.spawn_until_stopped(async move {
            pool.starts.wait().await;
            inner.delete_drained(&pool).await;
        });
    }

    async fn delete_drained(&self, pool: &Pool) {
        match self.book.store.delete_pool(&pool.origin.uid).await {
            Ok(()) => self.pools.forget(pool),
            Err(error) => {
                tracing::error!(pool = pool.origin.name, %error, "a pool's row stays until the next start")
            }
        }
    }
}
