//! What is searched for in an answer, as long as it takes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::vault::{redact::Redactions, select::Active, store::Store};

/// Counts the exchanges of one connection that hold secrets.
#[derive(Default)]
pub(super) struct Holders(Arc<AtomicUsize>);

impl Holders {
    /// Counts one more as long as it lives. To be taken before the vault is looked into: a deletion after that look then
    /// finds it counted.
    pub(super) fn enter(&self) -> Holding {
        self.0.fetch_add(1, Ordering::AcqRel);
        Holding(self.0.clone())
    }

    /// Done when the vault was deleted while an exchange held its secrets: what holds them is to be dropped.
    pub(super) async fn forgotten(&self, vault: &Store) {
        let mut changes = vault.changes();
        let mut deletions = changes.borrow_and_update().deletions;
        while changes.changed().await.is_ok() {
            let now = changes.borrow_and_update().deletions;
            if now != deletions && self.0.load(Ordering::Acquire) > 0 {
                return;
            }
            deletions = now;
        }
        std::future::pending().await
    }
}

/// One exchange that holds secrets.
pub(super) struct Holding(Arc<AtomicUsize>);

impl Drop for Holding {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Knows the secrets an answer may repeat: those in force when its request was made, and all since. A change of the vault
/// does not make the server forget what it was sent.
pub(super) struct Guard {
    vault: Arc<Store>,
    /// All of them.
    redactions: Arc<Redactions>,
    /// Those looked at last.
    latest: Arc<Redactions>,
    _holding: Holding,
}

impl Guard {
    pub(super) fn new(vault: Arc<Store>, active: &Active, holding: Holding) -> Self {
        let redactions = active.redactions();
        Self { vault, latest: redactions.clone(), redactions, _holding: holding }
    }

    /// What to look for now.
    pub(super) fn redactions(&mut self) -> &Redactions {
        if let Some(active) = self.vault.active() {
            let now = active.redactions();
            if !Arc::ptr_eq(&now, &self.latest) {
                self.redactions = Arc::new(self.redactions.united(&now));
                self.latest = now;
            }
        }
        &self.redactions
    }
}
