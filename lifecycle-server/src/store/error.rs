//! Why records could not be read or written.

use std::borrow::Cow;

use sqlx::migrate::MigrateError;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("cannot bring the database up to date: {0}")]
    Migration(MigrateError),
    #[error(
        "the database is that of a later version: it has step {step}, of which this one knows nothing. Nothing in it was \
         changed. Start that version again, or put a copy from before the upgrade in its place"
    )]
    Later { step: i64 },
    /// It may be back in a moment.
    #[error("the database {place} cannot be used now: {problem}")]
    Unavailable { place: String, problem: String },
    #[error("cannot create {path}: {source}")]
    Create { path: String, source: std::io::Error },
    #[error(
        "the database {path} is damaged ({problem}). Nothing that runs was touched. Put a sound copy of the file in its \
         place: a start without it would remove every sandbox it tells of"
    )]
    Damaged { path: String, problem: String },
    #[error("record {id}: column {column} holds {value:?}")]
    Corrupt { id: String, column: &'static str, value: String },
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(step) => Self::Later { step },
            other => Self::Migration(other),
        }
    }
}

/// `SQLITE_FULL`, the low byte of every code of that kind.
const SQLITE_FULL: u32 = 13;
/// `SQLITE_IOERR_SHMSIZE`: no room for the file that the connections of a database share.
const SQLITE_IOERR_SHMSIZE: u32 = 4874;
/// `SQLITE_CORRUPT` and `SQLITE_NOTADB`, the low bytes likewise.
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_NOTADB: u32 = 26;
/// `disk_full` of PostgreSQL.
const POSTGRESQL_FULL: &str = "53100";
/// `data_corrupted` and `index_corrupted` of PostgreSQL.
const POSTGRESQL_DAMAGED: [&str; 2] = ["XX001", "XX002"];

impl StoreError {
    /// There is no room for what was to be written.
    pub fn is_full(&self) -> bool {
        let of_sqlite = |code: u32| code & 0xff == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE;
        self.code().is_some_and(|code| code == POSTGRESQL_FULL || code.parse().is_ok_and(of_sqlite))
    }

    /// Something of this name was there already.
    pub fn is_taken(&self) -> bool {
        let Self::Database(error) = self else { return false };
        error.as_database_error().is_some_and(|error| error.is_unique_violation())
    }

    /// What is in the database cannot be what was written there.
    pub fn is_damage(&self) -> bool {
        let of_sqlite = |code: u32| [SQLITE_CORRUPT, SQLITE_NOTADB].contains(&(code & 0xff));
        match self {
            Self::Damaged { .. } | Self::Corrupt { .. } => true,
            Self::Database(_) => self.code().is_some_and(|code| {
                POSTGRESQL_DAMAGED.contains(&&*code) || code.parse().is_ok_and(of_sqlite)
            }),
            _ => false,
        }
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        let Self::Database(error) = self else { return None };
        error.as_database_error()?.code()
    }
}
