//! `[store]`: where records are kept.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::Problem;

/// File of the records under the state directory.
const DATABASE_FILE: &str = "sandkeep.db";

/// Where records are kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Default `sqlite`.
    pub r#type: StoreKind,
    /// The database's file. Default `sandkeep.db` under `native.state_dir`, beside the sandboxes it tells of.
    pub path: Option<PathBuf>,
    pub(super) postgresql: toml::Table,
}

/// The kinds of store a file may name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    #[default]
    Sqlite,
    Postgresql,
}

impl StoreConfig {
    pub fn database(&self, state_dir: &Path) -> PathBuf {
        self.path.clone().unwrap_or_else(|| state_dir.join(DATABASE_FILE))
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.r#type == StoreKind::Postgresql {
            return Err((
                "store.type",
                "this server keeps its records in SQLite; set it to \"sqlite\"".to_owned(),
            ));
        }
        match &self.path {
            Some(path) if !path.is_absolute() => {
                Err(("store.path", format!("must be an absolute path, is {path:?}")))
            }
            _ => Ok(()),
        }
    }
}
