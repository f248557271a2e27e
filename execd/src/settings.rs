//! What a running daemon is told once.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::process::Identity;

/// Fixed settings of the daemon.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Token every request must carry; `None` leaves the daemon open.
    pub access_token: Option<String>,
    /// `KEY=VALUE` file merged into the environment of every command.
    pub env_file: Option<PathBuf>,
    /// Identity of commands and interpreters that ask for none; `None` is execd's own.
    pub identity: Option<Identity>,
    /// Working directory of commands and interpreters that ask for none.
    pub cwd: PathBuf,
    /// Environment every child begins with.
    pub env: BTreeMap<OsString, OsString>,
}

impl Settings {
    /// Home directory for a leading `~`.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.env.get(std::ffi::OsStr::new("HOME")).map_or(Path::new("/"), |home| Path::new(home))
    }
}
