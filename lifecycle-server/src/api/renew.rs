//! Sandboxes that live on while they are used.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::http::HeaderMap;
use chrono::{TimeDelta, Utc};
use sandkeep_specs::lifecycle::ACCESS_RENEW_HEADER;

use super::validate;
use crate::{
    config::RenewIntentConfig,
    sandbox::{Service, State},
};

/// Sandboxes whose last renewal is remembered; with more, the oldest are forgotten and may be renewed early.
const MAX_REMEMBERED: usize = 8192;
/// Value of the header that keeps a request from renewing.
const SKIP: &[u8] = b"skip";

/// Moves a sandbox's expiry on each use, not too often.
pub struct RenewOnUse {
    enabled: bool,
    min_interval: Duration,
    last: Arc<Last>,
}

/// When which sandbox was renewed last.
#[derive(Default)]
struct Last(Mutex<HashMap<String, Instant>>);

impl RenewOnUse {
    pub fn new(config: &RenewIntentConfig) -> Self {
        Self { enabled: config.enabled, min_interval: config.min_interval(), last: Arc::default() }
    }

    /// Renews in the background if the sandbox was created to be renewed by use. Nothing the caller could notice.
    pub fn used(&self, service: &Service, id: &str, headers: &HeaderMap) {
        if !self.enabled || headers.get(ACCESS_RENEW_HEADER).is_some_and(|value| value.as_bytes() == SKIP) {
            return;
        }
        let Ok(record) = service.get(id) else { return };
        let Some(extension) = validate::renew_extension(&record.plan.extensions) else { return };
        let (State::Running, Some(expires_at)) = (record.status.state, record.expires_at) else { return };
        let Some(at) = TimeDelta::from_std(extension).ok().map(|extension| Utc::now() + extension) else {
            return;
        };
        if at <= expires_at || !self.last.is_due(id, Instant::now(), self.min_interval) {
            return;
        }
        let (service, id, last) = (service.clone(), id.to_owned(), Arc::clone(&self.last));
        tokio::spawn(async move {
            if let Err(error) = service.renew(&id, at).await {
                tracing::warn!(sandbox.id = %id, %error, "a used sandbox could not be renewed");
                last.forget(&id);
            }
        });
    }
}

impl Last {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self, id: &str, now: Instant, interval: Duration) -> bool {
        let mut last = self.all();
        if last.get(id).is_some_and(|&at| now.duration_since(at) < interval) {
            return false;
        }
        if last.len() >= MAX_REMEMBERED {
            last.retain(|_, &mut at| now.duration_since(at) < interval);
        }
        if last.len() >= MAX_REMEMBERED {
            last.clear();
        }
        last.insert(id.to_owned(), now);
        true
    }

    /// What came to nothing keeps the next use from nothing.
    fn forget(&self, id: &str) {
        self.all().remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    #[test]
    fn one_sandbox_is_not_renewed_too_often() {
        let (last, start) = (Last::default(), Instant::now());
        assert!(last.is_due("a", start, INTERVAL));
        assert!(!last.is_due("a", start + Duration::from_secs(59), INTERVAL));
        assert!(last.is_due("b", start, INTERVAL));
        assert!(last.is_due("a", start + INTERVAL, INTERVAL));
        last.forget("a");
        assert!(last.is_due("a", start + INTERVAL, INTERVAL), "the one before failed");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (last, now) = (Last::default(), Instant::now());
        for number in 0..3 * MAX_REMEMBERED {
            last.is_due(&number.to_string(), now, INTERVAL);
        }
        assert!(last.all().len() <= MAX_REMEMBERED);
    }
}
