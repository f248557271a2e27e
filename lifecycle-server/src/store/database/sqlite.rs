//! SQLite in WAL mode: it survives the server's sudden end.

use std::{iter, path::Path, str::FromStr, time::Duration};

use sqlx::{
    Row as _, Sqlite, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    super::{StoreError, migrations},
    Database, Statement, sql,
};

/// Another process (a backup, an inspection) may hold the database for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// `SQLITE_ERROR`, which a rollback gives only outside of any transaction.
const NOTHING_TO_UNDO: &str = "1";

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
        .test_before_acquire(false);
    pool.connect_with(options).await
}

/// Statements that take effect together, or not at all. They go as one text: each way to the connection's thread and
/// back takes longer than a statement.
pub(super) async fn change(pool: &SqlitePool, statements: Vec<Statement>) -> Result<Option<i64>, StoreError> {
    let whole = iter::once(sql("BEGIN IMMEDIATE")).chain(statements).chain(iter::once(sql("COMMIT")));
    let query = Statement::together(whole.collect()).of::<Sqlite>()?;
    let mut lease = Lease { connection: pool.acquire().await?, is_sound: false };
    let done = query.fetch_all(&mut *lease.connection).await;
    lease.is_sound = done.is_ok() || is_undone(&mut lease.connection).await;
    Ok(done?.last().map(|row| row.try_get(0)).transpose()?)
}

/// Whether nothing is left of a change that failed. What met a full disk or a damaged file SQLite has undone itself, or
/// never begun.
async fn is_undone(connection: &mut SqliteConnection) -> bool {
    match sqlx::query("ROLLBACK").execute(connection).await {
        Ok(_) => true,
        Err(error) => {
            error.as_database_error().and_then(|error| error.code()).as_deref() == Some(NOTHING_TO_UNDO)
        }
    }
}

/// A connection that is closed, and what was done on it undone, unless that came to its end.
struct Lease {
    connection: PoolConnection<Sqlite>,
    is_sound: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_sound {
            self.connection.close_on_drop();
        }
    }
}

fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Ok(())
}
