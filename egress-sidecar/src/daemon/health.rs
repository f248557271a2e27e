//! What of the configuration does not work at the moment.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Complaints by the part that makes them; healthy means there is none.
#[derive(Debug, Default)]
pub struct Health {
    complaints: Mutex<BTreeMap<&'static str, String>>,
}

impl Health {
    /// `part` does not work, and this is what `/healthz` says of it.
    pub fn broken(&self, part: &'static str, complaint: impl Into<String>) {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).insert(part, complaint.into());
    }

    /// `part` works.
    pub fn works(&self, part: &'static str) {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).remove(part);
    }

    /// Whether `part` does not work.
    pub fn is_broken(&self, part: &'static str) -> bool {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).contains_key(part)
    }

    /// The first complaint, if there is any.
    pub fn complaint(&self) -> Option<String> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).values().next().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healthy_again_when_the_last_complaint_is_gone() {
        let health = Health::default();
        assert_eq!(health.complaint(), None);
        health.broken("b", "b fails");
        health.broken("a", "a fails");
        assert_eq!(health.complaint().as_deref(), Some("a fails"));
        health.works("a");
        assert_eq!(health.complaint().as_deref(), Some("b fails"));
        health.works("b");
        assert_eq!(health.complaint(), None);
    }
}
