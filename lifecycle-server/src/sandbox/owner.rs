//! Whose sandboxes are whose, and how much of the host each owner may have.

use std::{fmt, sync::Arc};

use super::{
    book::Book,
    error::ServiceError,
    record::{CreateSpec, Record},
};

/// Whose sandboxes a caller sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's: the server has one owner.
    #[default]
    All,
    /// Those of one tenant; everything else does not exist for him.
    Tenant(Arc<str>),
}

/// The tenant a new sandbox belongs to.
#[derive(Debug, Clone)]
pub struct Owner {
    pub tenant: Arc<str>,
    pub quota: Quota,
}

/// Upper bounds of all sandboxes of one tenant together; `None` sets no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    pub sandboxes: Option<u64>,
    pub cpu_millis: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub disk_bytes: Option<u64>,
}

/// Why a tenant gets no further sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaProblem {
    #[error("the tenant's quota of {limit} {what} would be exceeded: {used} in use, {wanted} asked for")]
    Exceeded { what: &'static str, limit: u64, used: u64, wanted: u64 },
    #[error(
        "resourceLimits.{0} must be given: the tenant has a quota of it, and without a limit it has no bound"
    )]
    Unbounded(&'static str),
}

impl Scope {
    /// Whether what belongs to `tenant` exists for the caller.
    pub fn covers(&self, tenant: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Tenant(own) => tenant == Some(&**own),
        }
    }

    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Tenant(tenant) => Some(tenant),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.tenant().unwrap_or("*"))
    }
}

/// A sandbox counts with the limits it was created with until its program has ended or it is gone.
fn counts(record: &Record, tenant: &str) -> bool {
    record.plan.tenant.as_deref() == Some(tenant) && !record.status.state.is_final()
}

/// What one kind of resource amounts to in a record; `None` has no limit of it.
type Amount = fn(&Limited) -> Option<u64>;

/// The members a quota looks at.
struct Limited {
    cpu_millis: Option<u64>,
    memory_bytes: Option<u64>,
    disk_bytes: Option<u64>,
}

impl Quota {
    fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    fn bounds(&self) -> [(&'static str, &'static str, Option<u64>, Amount); 4] {
        [
            ("sandboxes", "sandboxes", self.sandboxes, |_| Some(1)),
            ("cpu", "thousandths of a CPU", self.cpu_millis, |limited| limited.cpu_millis),
            ("memory", "bytes of memory", self.memory_bytes, |limited| limited.memory_bytes),
            ("disk", "bytes of disk", self.disk_bytes, |limited| limited.disk_bytes),
        ]
    }

    /// Whether `wanted` fits beside `present`.
    fn admit(&self, present: &[Limited], wanted: &Limited) -> Result<(), QuotaProblem> {
        for (name, what, limit, amount) in self.bounds() {
            let Some(limit) = limit else { continue };
            let wanted = amount(wanted).ok_or(QuotaProblem::Unbounded(name))?;
            // One without a limit is from a time without a quota; it counts for nothing rather than for everything.
            let used = present.iter().filter_map(amount).fold(0, u64::saturating_add);
            if used.saturating_add(wanted) > limit {
                return Err(QuotaProblem::Exceeded { what, limit, used, wanted });
            }
        }
        Ok(())
    }
}

impl Book {
    /// Refuses a sandbox its owner has no room for. Hold what this returns until the sandbox is in the book: two
    /// creates at once must not both take the last place.
    pub(super) async fn admit(
        &self,
        spec: &CreateSpec,
    ) -> Result<Option<tokio::sync::MutexGuard<'_, ()>>, ServiceError> {
        let Some(Owner { tenant, quota }) = spec.owner.as_ref().filter(|owner| !owner.quota.is_unlimited())
        else {
            return Ok(None);
        };
        let guard = self.admission.lock().await;
        let records: Vec<_> = self.entries().values().map(|entry| entry.record()).collect();
        let present: Vec<Limited> = records
            .iter()
            .filter(|record| counts(record, tenant))
            .map(|record| Limited {
                cpu_millis: record.plan.cpu_millis,
                memory_bytes: record.plan.memory_bytes,
                disk_bytes: record.plan.disk_bytes,
            })
            .collect();
        let wanted = Limited {
            cpu_millis: spec.limits.cpu_millis,
            memory_bytes: spec.limits.memory_bytes,
            disk_bytes: spec.limits.disk_bytes,
        };
        quota.admit(&present, &wanted)?;
        Ok(Some(guard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(cpu: u64, memory: u64) -> Limited {
        Limited { cpu_millis: Some(cpu), memory_bytes: Some(memory), disk_bytes: None }
    }

    #[test]
    fn the_last_place_is_given_and_no_further_one() {
        let quota = Quota { sandboxes: Some(2), ..Quota::default() };
        assert!(quota.admit(&[limited(1, 1)], &limited(1, 1)).is_ok());
        let full = quota.admit(&[limited(1, 1), limited(1, 1)], &limited(1, 1)).unwrap_err();
        assert!(full.to_string().contains("quota of 2 sandboxes"), "{full}");
    }

    #[test]
    fn amounts_add_up_to_the_bound_exactly() {
        let quota = Quota { cpu_millis: Some(2000), memory_bytes: Some(100), ..Quota::default() };
        let present = [limited(500, 40), limited(500, 30)];
        assert!(quota.admit(&present, &limited(1000, 30)).is_ok());
        assert!(quota.admit(&present, &limited(1001, 30)).is_err());
        assert!(quota.admit(&present, &limited(1000, 31)).is_err());
        assert!(quota.admit(&present, &limited(u64::MAX, 1)).is_err());
    }

    #[test]
    fn what_has_a_quota_needs_a_limit() {
        let quota = Quota { disk_bytes: Some(1), ..Quota::default() };
        assert_eq!(quota.admit(&[], &limited(1, 1)), Err(QuotaProblem::Unbounded("disk")));
        assert!(Quota::default().admit(&[], &limited(1, 1)).is_ok());
    }

    #[test]
    fn a_tenant_sees_only_its_own() {
        let own = Scope::Tenant("a".into());
        assert!(own.covers(Some("a")));
        assert!(!own.covers(Some("b")) && !own.covers(None));
        assert!(Scope::All.covers(None) && Scope::All.covers(Some("b")));
    }
}
