//! All terminals.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sandkeep_specs::execd::pty::{CreatePtyRequest, PtyStatus};

use super::terminal::{Reservation, Terminal};
use crate::{
    command::env,
    id,
    session::{SessionError, start_directory},
    settings::Settings,
};

/// Terminals that may exist at the same time; each keeps up to a mebibyte of output.
const MAX_TERMINALS: usize = 64;

/// The terminals of this daemon; cheap to clone.
#[derive(Debug, Clone)]
pub struct Terminals {
    settings: Arc<Settings>,
    table: Arc<Mutex<HashMap<String, Arc<Terminal>>>>,
}

impl Terminals {
    /// No terminals yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { settings, table: Arc::default() }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Arc<Terminal>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a terminal and returns its id. Nothing runs on it before a client attaches.
    pub fn create(&self, request: CreatePtyRequest) -> Result<String, SessionError> {
        if self.table().len() >= MAX_TERMINALS {
            return Err(SessionError::TooMany(MAX_TERMINALS, "terminals"));
        }
        let command = request.command.filter(|command| !command.trim().is_empty());
        if command.as_ref().is_some_and(|command| command.contains('\0')) {
            return Err(SessionError::Invalid("command contains a NUL byte".to_owned()));
        }
        let env = env::for_command(&self.settings, None);
        let cwd = start_directory(request.cwd.as_deref(), &env, &self.settings)?;
        let id = id::random().to_string();
        let terminal = Terminal::new(id.clone(), cwd, command, Arc::clone(&self.settings));
        self.table().insert(id.clone(), Arc::new(terminal));
        Ok(id)
    }

    fn get(&self, id: &str) -> Result<Arc<Terminal>, SessionError> {
        self.table().get(id).cloned().ok_or_else(|| SessionError::Unknown(id.to_owned()))
    }

    /// What is known of a terminal.
    pub fn status(&self, id: &str) -> Result<PtyStatus, SessionError> {
        Ok(self.get(id)?.status())
    }

    /// Keeps a place for a client that is about to attach.
    pub(super) fn reserve(&self, id: &str, takeover: bool) -> Result<Reservation, SessionError> {
        self.get(id)?.reserve(takeover)
    }

    /// Deletes a terminal and kills everything on it.
    pub async fn delete(&self, id: &str) -> Result<(), SessionError> {
        let terminal = self.table().remove(id).ok_or_else(|| SessionError::Unknown(id.to_owned()))?;
        terminal.delete().await;
        Ok(())
    }

    /// Deletes all terminals.
    pub async fn shutdown(&self) {
        let terminals: Vec<_> = self.table().drain().map(|(_, terminal)| terminal).collect();
        futures_util::future::join_all(terminals.iter().map(|terminal| terminal.delete())).await;
    }
}
