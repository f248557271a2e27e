//! The records, in SQLite for one server or in PostgreSQL for several.

mod database;
mod error;
mod events;
mod idempotency;
mod migrations;
mod pools;
mod row;
mod salvage;
mod servers;
mod snapshots;
mod templates;

use std::{path::Path, sync::Arc};

pub use database::PostgresqlOptions;
use database::{Database, Statement, sql};
pub use error::StoreError;
pub use events::Keep;
pub(crate) use idempotency::KeyRow;
pub(crate) use pools::{MemberRow, PoolRow};
pub(crate) use servers::SILENCE;
pub use servers::{Announcement, Kind};

use crate::sandbox::{Note, Noted, Record};

/// The records. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
    /// The server whose records these are; empty where there is but one.
    owner: Arc<str>,
}

impl Store {
    /// Opens or creates a file of records, readable by its owner only, and brings it up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { database: Database::open_sqlite(path).await?, owner: "".into() })
    }

    /// Connects to a PostgreSQL server and brings its database up to date.
    pub async fn connect(options: &PostgresqlOptions) -> Result<Self, StoreError> {
        Ok(Self { database: Database::connect_postgresql(options).await?, owner: "".into() })
    }

    /// A store that is gone with the process, for tests.
    pub async fn in_memory() -> Result<Self, StoreError> {
        Ok(Self { database: Database::in_memory().await?, owner: "".into() })
    }

    /// Writes a new record and, in the same commit, the note of it; answers the note's number.
    pub async fn insert(&self, record: &Record) -> Result<i64, StoreError> {
        self.change(vec![row::insert(record, &self.owner)?], &Note::state(record, None)).await
    }

    /// Writes everything about `record` that can change and, in the same commit, `note`.
    pub async fn update(&self, record: &Record, note: Option<&Note>) -> Result<Option<i64>, StoreError> {
        let update = row::update(record)?;
        let Some(note) = note else {
            self.database.execute(update).await?;
            return Ok(None);
        };
        self.change(vec![update], note).await.map(Some)
    }

    /// Removes a record and, in the same commit, writes `note`; answers its number.
    pub async fn delete(&self, note: &Note) -> Result<i64, StoreError> {
        self.change(vec![sql("DELETE FROM sandboxes WHERE id = $1").bind(&note.sandbox)], note).await
    }

    /// Writes a note of something that changes no record; answers its number.
    pub async fn note(&self, note: &Note) -> Result<i64, StoreError> {
        self.change(Vec::new(), note).await
    }

    /// Changes something and writes a note of it, in one commit; answers the note's number.
    async fn change(&self, mut statements: Vec<Statement>, note: &Note) -> Result<i64, StoreError> {
        statements.extend(events::append(note)?);
        let id = self.database.change(statements).await?;
        Ok(id.ok_or(sqlx::Error::RowNotFound)?)
    }

    /// Number of the newest note there ever was, 0 before the first.
    pub async fn last_note(&self) -> Result<i64, StoreError> {
        events::last(&self.database).await
    }

    /// Number up to which notes may have been removed, 0 while all are there.
    pub async fn notes_floor(&self) -> Result<i64, StoreError> {
        events::floor(&self.database).await
    }

    /// At most `limit` notes after number `after`, oldest first.
    pub async fn notes_after(&self, after: i64, limit: i64) -> Result<Vec<Noted>, StoreError> {
        events::after(&self.database, after, limit).await
    }

    /// The newest notes of one sandbox, oldest first.
    pub async fn notes_of(&self, sandbox: &str, limit: i64) -> Result<Vec<Noted>, StoreError> {
        events::of_sandbox(&self.database, sandbox, limit).await
    }

    /// Removes notes beyond these bounds.
    pub async fn trim_notes(&self, keep: Keep) -> Result<(), StoreError> {
        events::trim(&self.database, keep).await
    }

    /// What this server owns.
    pub async fn load_all(&self) -> Result<Vec<Record>, StoreError> {
        let rows = self
            .database
            .fetch_all(sql("SELECT * FROM sandboxes WHERE owner = $1").bind(&*self.owner))
            .await?;
        rows.iter().map(row::read).collect()
    }

    pub async fn close(&self) {
        self.database.close().await;
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

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
        record.kept_bytes = 5 << 30;
        store.update(&record, None).await.unwrap();
        store.close().await;

        let reopened = Store::open(&path).await.unwrap();
        assert_eq!(reopened.load_all().await.unwrap(), vec![record.clone()]);
        reopened.delete(&Note::deleted(&record, record.created_at, None)).await.unwrap();
        assert!(reopened.load_all().await.unwrap().is_empty());
    }

    fn note_at(sandbox: &str, seconds: i64) -> Note {
        let at = DateTime::<Utc>::from_timestamp(seconds, 0).expect("a valid instant");
        Note::image(&record_for_tests(sandbox, at), at, "fetched", Some(Duration::from_millis(7)))
    }

    #[tokio::test]
    async fn notes_are_numbered_in_order_over_all_lives_of_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db.sqlite");
        let record = record();
        let store = Store::open(&path).await.unwrap();
        assert_eq!(store.last_note().await.unwrap(), 0);
        assert_eq!(store.insert(&record).await.unwrap(), 1);
        let running = Note::state(&record, Some(serde_json::json!({"durationMs": 1.5})));
        assert_eq!(store.update(&record, Some(&running)).await.unwrap(), Some(2));
        assert_eq!(store.update(&record, None).await.unwrap(), None);
        store.close().await;

        let store = Store::open(&path).await.unwrap();
        assert_eq!(store.note(&note_at("other", 5)).await.unwrap(), 3);
        assert_eq!(store.delete(&Note::deleted(&record, record.created_at, Some("why"))).await.unwrap(), 4);
        let notes = store.notes_after(1, 10).await.unwrap();
        assert_eq!(notes.iter().map(|noted| noted.id).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!((&notes[0].note, &notes[1].note), (&running, &note_at("other", 5)));
        let own: Vec<i64> =
            store.notes_of(&record.id, 2).await.unwrap().iter().map(|noted| noted.id).collect();
        assert_eq!(own, [2, 4]);
    }

    #[tokio::test]
    async fn a_change_that_fails_leaves_no_note() {
        let store = Store::in_memory().await.unwrap();
        store.insert(&record()).await.unwrap();
        assert!(store.insert(&record()).await.is_err());
        assert_eq!(store.last_note().await.unwrap(), 1);
        assert_eq!(store.notes_after(0, 10).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn old_notes_go_but_those_of_living_sandboxes_stay_a_while() {
        let store = Store::in_memory().await.unwrap();
        store.insert(&record()).await.unwrap();
        for second in 0..20 {
            store.note(&note_at(&record().id, second)).await.unwrap();
            store.note(&note_at("gone", second)).await.unwrap();
        }
        let ids = async || -> Vec<i64> {
            store.notes_after(0, 100).await.unwrap().iter().map(|noted| noted.id).collect()
        };
        store.trim_notes(Keep { rows: 41, bytes: 1 << 20, per_sandbox: 3 }).await.unwrap();
        assert_eq!((ids().await.len(), store.notes_floor().await.unwrap()), (41, 0));
        store.trim_notes(Keep { rows: 4, bytes: 1 << 20, per_sandbox: 3 }).await.unwrap();
        assert_eq!(ids().await, [32, 34, 36, 38, 39, 40, 41]);
        assert_eq!(store.notes_floor().await.unwrap(), 37);
        // A note of these takes well over 20 bytes.
        store.trim_notes(Keep { rows: 4, bytes: 20, per_sandbox: 0 }).await.unwrap();
        assert_eq!((ids().await, store.notes_floor().await.unwrap()), (vec![], 41));
        assert_eq!(store.note(&note_at("new", 1)).await.unwrap(), 42);
    }

    #[tokio::test]
    async fn a_damaged_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db.sqlite");
        let store = Store::open(&path).await.unwrap();
        store.insert(&record()).await.unwrap();
        store.close().await;
        let sound = std::fs::read(&path).unwrap();
        for page in [0, 1] {
            let mut damaged = sound.clone();
            damaged[page * 4096..(page + 1) * 4096].fill(0xa5);
            std::fs::write(&path, damaged).unwrap();
            let error = Store::open(&path).await.unwrap_err();
            assert!(
                matches!(&error, StoreError::Damaged { path, .. } if path.ends_with("db.sqlite")),
                "{error:?}"
            );
        }
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
