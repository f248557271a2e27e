//! Why records could not be read or written.

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("cannot bring the database up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
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

/// `SQLITE_FULL`, the low byte of every code of that kind.
const SQLITE_FULL: u32 = 13;
/// `SQLITE_IOERR_SHMSIZE`: no room for the file that the connections of a database share.
const SQLITE_IOERR_SHMSIZE: u32 = 4874;
/// `disk_full` of PostgreSQL.
const POSTGRESQL_FULL: &str = "53100";

impl StoreError {
    /// There is no room for what was to be written.
    pub fn is_full(&self) -> bool {
        let Self::Database(error) = self else { return false };
        let Some(code) = error.as_database_error().and_then(|error| error.code()) else { return false };
        let of_sqlite = |code: u32| code & 0xff == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE;
        code == POSTGRESQL_FULL || code.parse().is_ok_and(of_sqlite)
    }
}
