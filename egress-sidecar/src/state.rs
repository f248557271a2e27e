//! What handlers share.

use std::sync::Arc;

use crate::{config::Config, daemon::health::Health, dns::Names, engine::Engine};

/// State of the daemon, cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    pub config: Arc<Config>,
    pub health: Arc<Health>,
    pub engine: Arc<Engine>,
    /// Names as the namespace is told them.
    pub names: Names,
}
