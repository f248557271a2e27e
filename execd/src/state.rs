//! What handlers share.

use std::sync::Arc;

use crate::settings::Settings;

/// State of the daemon, cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    pub settings: Arc<Settings>,
}

impl AppState {
    /// A fresh daemon with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings) }
    }
}
