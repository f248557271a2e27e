//! What handlers share.

use std::sync::Arc;

use crate::{command::Commands, metrics::Sampler, settings::Settings};

/// State of the daemon, cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    pub settings: Arc<Settings>,
    pub commands: Commands,
    pub metrics: Arc<Sampler>,
}

impl AppState {
    /// A fresh daemon with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        Self { commands: Commands::new(Arc::clone(&settings)), metrics: Arc::default(), settings }
    }
}
