//! SQLite in WAL mode: it survives the server's sudden end.

use std::{path::Path, str::FromStr, time::Duration};

use sqlx::{
    Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    super::{StoreError, migrations},
    Database,
};

/// Another process (a backup, an inspection) may hold the database for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

impl Database {
    /// Opens or creates the database at `path`, readable by its owner only (records hold tokens), and migrates it.
    pub(in crate::store) async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        create_private(path)
            .map_err(|source| StoreError::Create { path: path.display().to_string(), source })?;
        // A killed process loses nothing in WAL mode even without an fsync per commit; only a crash of the whole
        // host may lose the last records, and the sandboxes are gone then too.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        let damaged = |problem| StoreError::Damaged { path: path.display().to_string(), problem };
        let failed = |error| match StoreError::from(error) {
            error if error.is_damage() => damaged(error.to_string()),
            error => error,
        };
        let pool = connect(options).await.map_err(failed)?;
        // A record that cannot be read must not look like one that is not there: its sandbox would be removed.
        let check = sqlx::query_scalar::<_, String>("PRAGMA quick_check(1)").fetch_one(&pool);
        let found = check.await.map_err(failed)?;
        if found != "ok" {
            return Err(damaged(found.replace('\n', " ")));
        }
        migrations::sqlite().run(&pool).await?;
        Ok(Self::Sqlite(pool))
    }

    /// A database that is gone with the process.
    pub(in crate::store) async fn in_memory() -> Result<Self, StoreError> {
        let pool = connect(SqliteConnectOptions::from_str("sqlite::memory:")?).await?;
        migrations::sqlite().run(&pool).await?;
        Ok(Self::Sqlite(pool))
    }
}

/// One connection: writes are serialised by SQLite anyway, and reads come from memory.
async fn connect(options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        // It is a thread of this process, looked at when it is given back.
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(is_clean(connection)));
    pool.connect_with(options).await
}

/// Whether a connection may be used again. SQLite itself rolls back what met a full disk, the driver then fails to,
/// and from then on takes every transaction for a part of that one, which is never committed.
async fn is_clean(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Behind a rollback under way.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Ok(())
}
