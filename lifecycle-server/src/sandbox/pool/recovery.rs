//! What a starting server does with the pools an earlier one had.

use std::{collections::HashMap, sync::Arc};

use super::Pool;
use crate::{
    runtime::Found,
    sandbox::{error::ServiceError, service::Inner},
    store::MemberRow,
};

impl Inner {
    /// Takes over members that are ready and untouched; what is left of `strays` belongs to nobody.
    pub(in crate::sandbox) async fn recover_pools(
        &self,
        strays: Vec<Found>,
    ) -> Result<Vec<Found>, ServiceError> {
        let store = &self.book.store;
        let mut pools = HashMap::new();
        for row in store.load_pools().await? {
            if row.deleting {
                store.delete_pool(&row.uid).await?;
                continue;
            }
            let pool = Pool::new(row);
            self.pools.insert(&pool);
            pools.insert(pool.origin.uid.clone(), pool);
        }
        let mut strays: HashMap<String, Found> =
            strays.into_iter().map(|found| (found.id.clone(), found)).collect();
        for row in store.load_members().await? {
            let found = strays.remove(&row.member.id);
            let pool = pools.get(&row.pool).filter(|_| self.may_stay(&row, found.as_ref()));
            match pool {
                // One that was handed over in the instant of the server's end obeys another token by now.
                Some(pool) if self.runtime.answers(row.member.slot, &row.member.execd_token).await => {
                    tracing::info!(pool = pool.origin.name, member.id = %row.member.id, "recovering member");
                    let ready = self.ready(row.member).await;
                    pool.state().ready.push_back(ready);
                }
                _ => {
                    tracing::info!(member.id = %row.member.id, "removing a member that is of no use");
                    self.end_member(&row.member.id).await;
                }
            }
        }
        Ok(strays.into_values().collect())
    }

    fn may_stay(&self, row: &MemberRow, found: Option<&Found>) -> bool {
        row.ready && found.is_some_and(|found| found.alive && found.slot == row.member.slot)
    }

    /// Begins to fill the pools that were recovered.
    pub(in crate::sandbox) fn keep_pools(self: &Arc<Self>) {
        for pool in self.pools.all() {
            self.keep(&pool);
        }
    }
}
