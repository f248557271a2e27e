//! What a running daemon is told once.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::process::Identity;

/// Settings of the daemon. Only their owner ever changes, and only once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Token every request must carry until there is an owner; read it through [`Settings::access_token`].
    pub access_token: Option<String>,
    /// `KEY=VALUE` file merged into the environment of every command.
    pub env_file: Option<PathBuf>,
    /// Identity of commands and interpreters that ask for none; `None` is execd's own.
    pub identity: Option<Identity>,
    /// Working directory of commands and interpreters that ask for none.
    pub cwd: PathBuf,
    /// Environment every child begins with, until an owner brings another; read it through [`Settings::env`].
    pub env: BTreeMap<OsString, OsString>,
    /// Who a sandbox that was started ahead has been handed over to.
    pub owner: OnceLock<Owner>,
}

/// What changes when a sandbox that was started ahead gets its owner.
#[derive(Debug, Clone)]
pub struct Owner {
    pub access_token: String,
    pub env: BTreeMap<OsString, OsString>,
}

impl Settings {
    /// Token every request must carry now; `None` leaves the daemon open.
    #[must_use]
    pub fn access_token(&self) -> Option<&str> {
        match self.owner.get() {
            Some(owner) => Some(&owner.access_token),
            None => self.access_token.as_deref(),
        }
    }

    /// Environment every child begins with.
    #[must_use]
    pub fn env(&self) -> &BTreeMap<OsString, OsString> {
        self.owner.get().map_or(&self.env, |owner| &owner.env)
    }

    /// Home directory for a leading `~`.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.env().get(std::ffi::OsStr::new("HOME")).map_or(Path::new("/"), |home| Path::new(home))
    }
}
