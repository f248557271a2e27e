//! Sandboxes that live on while they are used.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
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
    last: Mutex<HashMap<String, Instant>>,
}

impl RenewOnUse {
    pub fn new(config: &RenewIntentConfig) -> Self {
        Self { enabled: config.enabled, min_interval: config.min_interval(), last: Mutex::default() }
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
        if at <= expires_at || !self.is_due(id, Instant::now()) {
            return;
        }
        let (service, id) = (service.clone(), id.to_owned());
        tokio::spawn(async move {
            if let Err(error) = service.renew(&id, at).await {
                tracing::warn!(sandbox.id = %id, %error, "a used sandbox could not be renewed");
            }
        });
    }

    fn is_due(&self, id: &str, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.get(id).is_some_and(|&at| now.duration_since(at) < self.min_interval) {
            return false;
        }
        if last.len() >= MAX_REMEMBERED {
            last.retain(|_, &mut at| now.duration_since(at) < self.min_interval);
        }
        if last.len() >= MAX_REMEMBERED {
            last.clear();
        }
        last.insert(id.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sandbox_is_not_renewed_too_often() {
        let renew = RenewOnUse::new(&RenewIntentConfig::default());
        let start = Instant::now();
        assert!(renew.is_due("a", start));
        assert!(!renew.is_due("a", start + Duration::from_secs(59)));
        assert!(renew.is_due("b", start));
        assert!(renew.is_due("a", start + Duration::from_secs(60)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let renew = RenewOnUse::new(&RenewIntentConfig::default());
        let now = Instant::now();
        for number in 0..3 * MAX_REMEMBERED {
            renew.is_due(&number.to_string(), now);
        }
        assert!(renew.last.lock().unwrap().len() <= MAX_REMEMBERED);
    }
}
