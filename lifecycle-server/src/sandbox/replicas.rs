//! Several servers on one database: what belongs to another is shown from its record, and done by that server.

use std::sync::Arc;

use super::{
    error::ServiceError,
    list::{self, Filter, Page, PageRequest},
    owner::Scope,
    pool::PoolView,
    record::Record,
    service::{Inner, Service},
    template::{Template, TemplateFilter, TemplatePage, paginate_templates},
};
use crate::store::Kind;

/// Where something is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Here, or nowhere.
    Here,
    /// By the server at this address, such as `http://10.0.0.5:8080`.
    There(String),
}

impl Service {
    /// Whether other servers may use the same database.
    pub fn is_shared(&self) -> bool {
        self.inner.book.store.is_shared()
    }

    /// Which server has something.
    ///
    /// # Errors
    /// When it is one that is not there.
    pub async fn locate(&self, scope: &Scope, kind: Kind, id: &str) -> Result<Place, ServiceError> {
        let is_here = match kind {
            Kind::Sandbox => self.inner.book.entry(id).is_ok(),
            Kind::Pool => self.pool(scope, id).is_ok(),
            Kind::Template => self.inner.templates.holds(id),
            Kind::Snapshot => false,
        };
        // No name holds a NUL, and PostgreSQL refuses to look for one.
        if is_here || id.contains('\0') {
            return Ok(Place::Here);
        }
        let store = &self.inner.book.store;
        let owner = match store.owner_of(kind, id, scope.tenant()).await? {
            Some(owner) if !store.is_own(&owner.server) => owner,
            _ => return Ok(Place::Here),
        };
        let is_heard = owner.is_heard();
        match owner.address {
            Some(address) if is_heard => Ok(Place::There(address)),
            // What is another tenant's is not there at all.
            _ if !self.covers(scope, kind, id, owner.tenant.as_deref()).await? => Ok(Place::Here),
            _ => Err(ServiceError::ServerAway { server: owner.server, thing: id.to_owned() }),
        }
    }

    /// Whether `scope` covers something of another server.
    async fn covers(
        &self,
        scope: &Scope,
        kind: Kind,
        id: &str,
        tenant: Option<&str>,
    ) -> Result<bool, ServiceError> {
        if kind != Kind::Sandbox || *scope == Scope::All {
            return Ok(scope.covers(tenant));
        }
        let record = self.inner.book.store.find_record(id).await?;
        Ok(record.is_some_and(|record| scope.covers(record.plan.tenant.as_deref())))
    }

    /// The sandboxes of all servers.
    pub async fn list_all(&self, filter: &Filter, page: PageRequest) -> Result<Page, ServiceError> {
        let mut matching: Vec<Arc<Record>> = {
            let entries = self.inner.book.entries();
            entries.values().map(|entry| entry.record()).filter(|record| filter.matches(record)).collect()
        };
        if self.is_shared() {
            let others = self.inner.book.store.others_records().await?;
            matching.extend(others.into_iter().filter(|record| filter.matches(record)));
        }
        Ok(list::paginate(matching, page))
    }

    /// Those pools of all servers that `scope` covers, by name.
    pub async fn all_pools(&self, scope: &Scope) -> Result<Vec<PoolView>, ServiceError> {
        let mut pools = self.pools(scope);
        if !self.is_shared() {
            return Ok(pools);
        }
        let mut others = self.inner.book.store.others_pools().await?;
        others.retain(|other| scope.covers(other.row.owner.as_ref().map(|owner| &*owner.tenant)));
        let records =
            if others.is_empty() { Vec::new() } else { self.inner.book.store.others_records().await? };
        pools.extend(others.into_iter().map(|other| {
            let is_member = |record: &&Arc<Record>| {
                let origin = record.plan.pool.as_ref();
                origin.is_some_and(|origin| origin.uid == other.row.uid) && !record.status.state.is_final()
            };
            let allocated = records.iter().filter(is_member).count();
            PoolView {
                name: other.row.name,
                capacity: other.row.capacity,
                revision: other.row.revision,
                created_at: other.row.created_at,
                total: allocated + other.ready,
                allocated,
                available: other.ready,
                problem: None,
            }
        }));
        pools.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(pools)
    }

    /// The templates of all servers, newest first; pages count from 1.
    pub async fn all_templates(
        &self,
        filter: &TemplateFilter,
        page: usize,
        page_size: usize,
    ) -> Result<TemplatePage, ServiceError> {
        let mut found: Vec<Arc<Template>> = self.inner.templates.all();
        if self.is_shared() {
            found.extend(self.inner.book.store.others_templates().await?);
        }
        Ok(paginate_templates(found, filter, page, page_size))
    }
}

impl Inner {
    /// A sandbox, whichever server has it.
    pub(super) async fn find_anywhere(&self, id: &str) -> Result<Arc<Record>, ServiceError> {
        match self.book.entry(id) {
            Ok(entry) => Ok(entry.record()),
            Err(error) if !self.book.store.is_shared() => Err(error),
            Err(error) => self.book.store.find_record(id).await?.map(Arc::new).ok_or(error),
        }
    }
}
