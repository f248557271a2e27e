//! `[renew_intent]`: sandboxes that live on while they are used.

use std::time::Duration;

use serde::Deserialize;

use super::{error::Problem, ingest::at_least};

/// Sandboxes that live on while they are used.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RenewIntentConfig {
    /// Lets proxied requests renew sandboxes created with the extension `access.renew.extend.seconds`. Default false.
    pub enabled: bool,
    /// Seconds between two renewals of one sandbox. Default 60.
    pub min_interval_seconds: u64,
    redis: toml::Table,
}

impl Default for RenewIntentConfig {
    fn default() -> Self {
        Self { enabled: false, min_interval_seconds: 60, redis: toml::Table::new() }
    }
}

impl RenewIntentConfig {
    pub fn min_interval(&self) -> Duration {
        Duration::from_secs(self.min_interval_seconds)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        at_least("renew_intent.min_interval_seconds", self.min_interval_seconds, 1)?;
        if self.redis.get("enabled").and_then(toml::Value::as_bool) == Some(true) {
            return Err((
                "renew_intent.redis.enabled",
                "renewals fed through Redis are not available".to_owned(),
            ));
        }
        Ok(())
    }
}
