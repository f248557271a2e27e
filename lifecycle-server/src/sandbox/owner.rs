//! Whose sandboxes are whose, and how much of the host each owner may have.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::runtime::Limits;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub tenant: Arc<str>,
    pub quota: Quota,
}

/// Upper bounds of all sandboxes of one tenant together; `None` sets no bound. Snapshots and named volumes take of the
/// disk as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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

impl Owner {
    pub fn scope(&self) -> Scope {
        Scope::Tenant(Arc::clone(&self.tenant))
    }

    /// What somebody sees who makes something for this owner.
    pub(super) fn scope_of(owner: Option<&Self>) -> Scope {
        owner.map_or(Scope::All, Self::scope)
    }

    /// Gives what the quota counts the limit that would hold anyway.
    pub(super) fn bound(limits: &mut Limits, defaults: &Limits) {
        limits.cpu_millis = limits.cpu_millis.or(defaults.cpu_millis);
        limits.memory_bytes = limits.memory_bytes.or(defaults.memory_bytes);
        limits.disk_bytes = limits.disk_bytes.or(defaults.disk_bytes);
    }
}

const DISK: &str = "disk";
const DISK_UNIT: &str = "bytes of disk";

/// What one kind of resource amounts to in a record; `None` has no limit of it.
type Amount = fn(&Limited) -> Option<u64>;

/// What a quota looks at of one sandbox.
pub(super) struct Limited {
    cpu_millis: Option<u64>,
    memory_bytes: Option<u64>,
    disk_bytes: Option<u64>,
}

impl From<Limits> for Limited {
    fn from(limits: Limits) -> Self {
        let Limits { cpu_millis, memory_bytes, disk_bytes, .. } = limits;
        Self { cpu_millis, memory_bytes, disk_bytes }
    }
}

impl Quota {
    pub(super) fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    fn bounds(&self) -> [(&'static str, &'static str, Option<u64>, Amount); 4] {
        [
            ("sandboxes", "sandboxes", self.sandboxes, |_| Some(1)),
            ("cpu", "thousandths of a CPU", self.cpu_millis, |limited| limited.cpu_millis),
            ("memory", "bytes of memory", self.memory_bytes, |limited| limited.memory_bytes),
            (DISK, DISK_UNIT, self.disk_bytes, |limited| limited.disk_bytes),
        ]
    }

    /// Whether `wanted` fits beside the sandboxes `present` and what is `stored` beside them on disk.
    pub(super) fn admit(
        &self,
        present: &[Limited],
        stored: u64,
        wanted: &Limited,
    ) -> Result<(), QuotaProblem> {
        for (name, what, limit, amount) in self.bounds() {
            let Some(limit) = limit else { continue };
            let wanted = amount(wanted).ok_or(QuotaProblem::Unbounded(name))?;
            // One without a limit is from a time without a quota; it counts for nothing rather than for everything.
            let stored = if name == DISK { stored } else { 0 };
            let used = present.iter().filter_map(amount).fold(stored, u64::saturating_add);
            if used.saturating_add(wanted) > limit {
                return Err(QuotaProblem::Exceeded { what, limit, used, wanted });
            }
        }
        Ok(())
    }

    /// Whether `bytes` more may be stored.
    pub(super) fn admit_bytes(
        &self,
        present: &[Limited],
        stored: u64,
        bytes: u64,
    ) -> Result<(), QuotaProblem> {
        let Some(limit) = self.disk_bytes else { return Ok(()) };
        let used = present.iter().filter_map(|one| one.disk_bytes).fold(stored, u64::saturating_add);
        match used.saturating_add(bytes) > limit {
            true => Err(QuotaProblem::Exceeded { what: DISK_UNIT, limit, used, wanted: bytes }),
            false => Ok(()),
        }
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
        assert!(quota.admit(&[limited(1, 1)], 0, &limited(1, 1)).is_ok());
        let full = quota.admit(&[limited(1, 1), limited(1, 1)], 0, &limited(1, 1)).unwrap_err();
        assert!(full.to_string().contains("quota of 2 sandboxes"), "{full}");
    }

    #[test]
    fn amounts_add_up_to_the_bound_exactly() {
        let quota = Quota { cpu_millis: Some(2000), memory_bytes: Some(100), ..Quota::default() };
        let present = [limited(500, 40), limited(500, 30)];
        assert!(quota.admit(&present, 0, &limited(1000, 30)).is_ok());
        assert!(quota.admit(&present, 0, &limited(1001, 30)).is_err());
        assert!(quota.admit(&present, 0, &limited(1000, 31)).is_err());
        assert!(quota.admit(&present, 0, &limited(u64::MAX, 1)).is_err());
    }

    #[test]
    fn what_has_a_quota_needs_a_limit() {
        let quota = Quota { disk_bytes: Some(1), ..Quota::default() };
        assert_eq!(quota.admit(&[], 0, &limited(1, 1)), Err(QuotaProblem::Unbounded("disk")));
        let disk = Quota { disk_bytes: Some(10), ..Quota::default() };
        let wanted = Limited { disk_bytes: Some(4), ..limited(1, 1) };
        assert!(disk.admit(&[], 6, &wanted).is_ok() && disk.admit(&[], 7, &wanted).is_err());
        let present = [Limited { disk_bytes: Some(4), ..limited(1, 1) }];
        assert!(disk.admit_bytes(&present, 1, 5).is_ok() && disk.admit_bytes(&present, 1, 6).is_err());
        assert!(Quota::default().admit(&[], 0, &limited(1, 1)).is_ok());
    }

    #[test]
    fn a_tenant_sees_only_its_own() {
        let own = Scope::Tenant("a".into());
        assert!(own.covers(Some("a")));
        assert!(!own.covers(Some("b")) && !own.covers(None));
        assert!(Scope::All.covers(None) && Scope::All.covers(Some("b")));
    }
}
