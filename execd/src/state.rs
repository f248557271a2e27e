//! What handlers share.

use std::sync::Arc;

use crate::{code::Contexts, command::Commands, metrics::Sampler, pty::Terminals, session::Sessions, settings::Settings};

/// State of the daemon, cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    pub settings: Arc<Settings>,
    pub commands: Commands,
    pub metrics: Arc<Sampler>,
    pub sessions: Sessions,
    pub terminals: Terminals,
    pub code: Contexts,
}

impl AppState {
    /// A fresh daemon with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        Self {
            commands: Commands::new(Arc::clone(&settings)),
            metrics: Arc::default(),
            sessions: Sessions::new(Arc::clone(&settings)),
            terminals: Terminals::new(Arc::clone(&settings)),
            code: Contexts::new(Arc::clone(&settings)),
            settings,
        }
    }
}
