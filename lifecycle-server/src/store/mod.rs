//! The records on disk: SQLite in WAL mode, so that they survive the server's sudden end.

mod row;
mod snapshots;

use std::{path::Path, str::FromStr, time::Duration};

use sqlx::{
    SqlSafeStr, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::sandbox::Record;

/// Another process (a backup, an inspection) may hold the database for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "sandboxes", include_str!("../../migrations/0001_sandboxes.sql")),
    (3, "snapshots", include_str!("../../migrations/0003_snapshots.sql")),
];

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("cannot bring the database up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("cannot create {path}: {source}")]
    Create { path: String, source: std::io::Error },
    #[error("record {id}: column {column} holds {value:?}")]
    Corrupt { id: String, column: &'static str, value: String },
}

/// The sandbox records. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens or creates the database at `path`, readable by its owner only (records hold tokens), and migrates it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        create_private(path)
            .map_err(|source| StoreError::Create { path: path.display().to_string(), source })?;
        // A killed process loses nothing in WAL mode even without an fsync per commit; only a crash of the whole
        // host may lose the last records, and the sandboxes are gone then too.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        Self::connect(options).await
    }

    /// A store that is gone with the process, for tests.
    pub async fn in_memory() -> Result<Self, StoreError> {
        Self::connect(SqliteConnectOptions::from_str("sqlite::memory:")?).await
    }

    async fn connect(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        // One connection: writes are serialised by SQLite anyway, and reads come from memory.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        let migrations = MIGRATIONS
            .iter()
            .map(|&(version, name, sql)| {
                Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
            })
            .collect();
        Migrator::with_migrations(migrations).run(&pool).await?;
        Ok(Self { pool })
    }

    pub async fn insert(&self, record: &Record) -> Result<(), StoreError> {
        row::insert(record)?.execute(&self.pool).await?;
        Ok(())
    }

    /// Writes everything about `record` that can change.
    pub async fn update(&self, record: &Record) -> Result<(), StoreError> {
        row::update(record)?.execute(&self.pool).await?;
        Ok(())
    }

    pub async fn delete(&self, id: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sandboxes WHERE id = ?").bind(id).execute(&self.pool).await?;
        Ok(())
    }

    pub async fn load_all(&self) -> Result<Vec<Record>, StoreError> {
        let rows = sqlx::query("SELECT * FROM sandboxes").fetch_all(&self.pool).await?;
        rows.iter().map(row::read).collect()
    }

    pub async fn close(&self) {
        self.pool.close().await;
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::Ipv4Addr};

    use chrono::{DateTime, Utc};

    use super::*;
    use crate::{
        runtime::Slot,
        sandbox::{Platform, State, Status, record_for_tests},
    };

    fn record() -> Record {
        let now = DateTime::<Utc>::from_timestamp_micros(1_700_000_000_123_456).expect("a valid instant");
        let mut record = record_for_tests("6f0c", now);
        record.metadata = BTreeMap::from([("team".to_owned(), "ü".to_owned())]);
        record.slot = Slot { number: 7, address: Ipv4Addr::new(10, 0, 0, 7) };
        record.plan.platform = Some(Platform { os: "linux".to_owned(), arch: "amd64".to_owned() });
        record
    }

    #[tokio::test]
    async fn records_come_back_as_they_went_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db.sqlite");
        let mut record = record();
        let store = Store::open(&path).await.unwrap();
        store.insert(&record).await.unwrap();
        assert_eq!(store.load_all().await.unwrap(), vec![record.clone()]);

        record.status = Status {
            state: State::Failed,
            reason: "OOM_KILLED".to_owned(),
            message: Some("limit".to_owned()),
            last_transition_at: record.created_at,
        };
        record.expires_at = None;
        store.update(&record).await.unwrap();
        store.close().await;

        let reopened = Store::open(&path).await.unwrap();
        assert_eq!(reopened.load_all().await.unwrap(), vec![record.clone()]);
        reopened.delete(&record.id).await.unwrap();
        assert!(reopened.load_all().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_database_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/db.sqlite");
        let store = Store::open(&path).await.unwrap();
        store.insert(&record()).await.unwrap();
        for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        }
    }

    #[tokio::test]
    async fn a_second_record_with_the_same_id_is_refused() {
        let store = Store::in_memory().await.unwrap();
        store.insert(&record()).await.unwrap();
        assert!(store.insert(&record()).await.is_err());
    }
}
