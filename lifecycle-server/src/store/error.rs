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
