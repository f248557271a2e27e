//! What handlers share.

use std::sync::Arc;

use sandkeep_idle::Activity;

use crate::{
    code::Contexts,
    command::{CommandError, Commands},
    daemon::standby::Standby,
    isolated::IsolatedSessions,
    metrics::Sampler,
    pty::Terminals,
    session::Sessions,
    settings::Settings,
};

/// State of the daemon, cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    pub settings: Arc<Settings>,
    pub activity: Arc<Activity>,
    pub commands: Commands,
    pub metrics: Arc<Sampler>,
    pub sessions: Sessions,
    pub terminals: Terminals,
    pub code: Contexts,
    pub isolated: IsolatedSessions,
    /// Where an owner's program is started; `None` unless the daemon stands by for one.
    pub standby: Option<Standby>,
}

impl AppState {
    /// A fresh daemon with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let sessions = Sessions::new(Arc::clone(&settings));
        Self {
            commands: Commands::new(Arc::clone(&settings)),
            activity: Arc::default(),
            metrics: Arc::default(),
            terminals: Terminals::new(Arc::clone(&settings)),
            isolated: IsolatedSessions::new(Arc::clone(&settings)),
            code: Contexts::new(Arc::clone(&settings), sessions.clone()),
            sessions,
            settings,
            standby: None,
        }
    }

    /// Whether the sandbox has been started for an owner who is not known yet.
    #[must_use]
    pub fn stands_by(&self) -> bool {
        self.standby.is_some() && self.settings.owner.get().is_none()
    }

    /// Interrupts the code context of this id, ends the command of this id, or deletes the bash session of this id.
    pub async fn interrupt(&self, id: &str) -> Result<(), CommandError> {
        if self.code.interrupt(id).is_ok() {
            return Ok(());
        }
        match self.commands.interrupt(id).await {
            Err(CommandError::Unknown(_)) if self.sessions.delete(id).await.is_ok() => Ok(()),
            ended => ended,
        }
    }
}
