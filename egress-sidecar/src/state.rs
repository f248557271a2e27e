//! What handlers share.

use std::sync::Arc;

use crate::{
    audit::Audit, config::Config, daemon::health::Health, dns::Names, engine::Engine, intercept::Gate,
    vault::store::Store,
};

/// State of the daemon, cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub config: Arc<Config>,
    pub health: Arc<Health>,
    pub engine: Arc<Engine>,
    /// Names as the namespace is told them.
    pub names: Names,
    /// What the policy says of hosts, for interception and the vault.
    pub gate: Arc<dyn Gate>,
    pub vault: Arc<Store>,
    pub audit: Arc<Audit>,
}
