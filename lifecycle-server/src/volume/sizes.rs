//! What the named volumes of tenants take of the disk, remembered for a while: telling takes a look at every file.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Up to this age a size is as good as new.
const FRESH: Duration = Duration::from_secs(1);
/// An older one is not used any more: what was written since does not count yet.
const LONGEST: Duration = Duration::from_secs(10);

/// What is known of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Known(u64),
    /// Still good, and to be measured anew meanwhile.
    Aging(u64),
    Unknown,
}

/// By tenant.
#[derive(Debug, Default)]
pub(super) struct Sizes(Mutex<HashMap<String, Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    measured: Option<(u64, Instant)>,
    /// Nobody could write while it was measured, nor since.
    settled: bool,
    /// Somebody is at it.
    measuring: bool,
    /// Number of times a volume was opened, made or removed.
    changes: u64,
}

/// A measurement that was begun.
pub(super) struct Begun {
    changes: u64,
    written: bool,
}

impl Sizes {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `written` says whether anybody may write to the tenant's volumes now.
    pub(super) fn get(&self, tenant: &str, written: bool, now: Instant) -> Size {
        let mut all = self.all();
        let Some(size) = all.get_mut(tenant) else { return Size::Unknown };
        let Some((bytes, at)) = size.measured else { return Size::Unknown };
        let age = now.saturating_duration_since(at);
        if age <= FRESH || size.settled && !written {
            return Size::Known(bytes);
        }
        if age > LONGEST {
            return Size::Unknown;
        }
        if std::mem::replace(&mut size.measuring, true) { Size::Known(bytes) } else { Size::Aging(bytes) }
    }

    pub(super) fn begin(&self, tenant: &str, written: bool) -> Begun {
        let mut all = self.all();
        let size = all.entry(tenant.to_owned()).or_default();
        size.measuring = true;
        Begun { changes: size.changes, written }
    }

    /// Takes a measurement down that was begun at `at`; `None` came to nothing.
    pub(super) fn finish(&self, tenant: &str, begun: &Begun, at: Instant, bytes: Option<u64>) {
        let mut all = self.all();
        let Some(size) = all.get_mut(tenant) else { return };
        size.measuring = false;
        // What was made or removed on the way may be in it or not.
        if let Some(bytes) = bytes.filter(|_| size.changes == begun.changes) {
            size.measured = Some((bytes, at));
            size.settled = !begun.written;
        }
    }

    /// A volume was opened: somebody may write to it from now on.
    pub(super) fn opened(&self, tenant: &str) {
        if let Some(size) = self.all().get_mut(tenant) {
            size.settled = false;
            size.changes += 1;
        }
    }

    /// A volume was made or removed: what was measured is no longer so.
    pub(super) fn changed(&self, tenant: &str) {
        if let Some(size) = self.all().get_mut(tenant) {
            size.measured = None;
            size.changes += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(sizes: &Sizes, written: bool, at: Instant, bytes: u64) {
        let begun = sizes.begin("a", written);
        sizes.finish("a", &begun, at, Some(bytes));
    }

    #[test]
    fn a_size_is_used_as_long_as_little_can_have_been_written() {
        let (sizes, start) = (Sizes::default(), Instant::now());
        assert_eq!(sizes.get("a", true, start), Size::Unknown);
        measure(&sizes, true, start, 7);
        assert_eq!(sizes.get("a", true, start + FRESH), Size::Known(7));
        assert_eq!(sizes.get("a", true, start + FRESH * 2), Size::Aging(7));
        // One measures for all.
        assert_eq!(sizes.get("a", true, start + LONGEST), Size::Known(7));
        assert_eq!(sizes.get("a", true, start + LONGEST * 2), Size::Unknown);
        assert_eq!(sizes.get("b", true, start), Size::Unknown);
        let failed = sizes.begin("a", true);
        sizes.finish("a", &failed, start, None);
        assert_eq!(sizes.get("a", true, start + LONGEST), Size::Aging(7));
    }

    #[test]
    fn what_nobody_writes_to_keeps_its_size() {
        let (sizes, start) = (Sizes::default(), Instant::now());
        measure(&sizes, false, start, 7);
        let later = start + LONGEST * 100;
        assert_eq!(sizes.get("a", false, later), Size::Known(7));
        assert_eq!(sizes.get("a", true, later), Size::Unknown);
        sizes.opened("a");
        assert_eq!(sizes.get("a", false, later), Size::Unknown);
        // A measurement that somebody may have written into the middle of says nothing for good.
        let begun = sizes.begin("a", false);
        sizes.opened("a");
        sizes.finish("a", &begun, later, Some(8));
        assert_eq!(sizes.get("a", false, later), Size::Unknown);
    }

    #[test]
    fn volumes_that_come_and_go_are_counted_at_once() {
        let (sizes, start) = (Sizes::default(), Instant::now());
        measure(&sizes, true, start, 7);
        sizes.changed("a");
        assert_eq!(sizes.get("a", true, start), Size::Unknown);
        let begun = sizes.begin("a", true);
        sizes.changed("a");
        sizes.finish("a", &begun, start, Some(7));
        assert_eq!(sizes.get("a", true, start), Size::Unknown);
    }
}
