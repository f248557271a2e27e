//! What can still be read of a damaged file of records.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use futures_util::StreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::{Store, StoreError, database::Row, row};
use crate::sandbox::Record;

/// Ways through the records: damage ends each of them where it is met.
const WAYS: [&str; 3] = [
    "SELECT * FROM sandboxes ORDER BY rowid",
    "SELECT * FROM sandboxes ORDER BY rowid DESC",
    "SELECT * FROM sandboxes ORDER BY id",
];
/// What a database in WAL mode has beside its file; the third part of it is made anew.
const LOG: &str = "-wal";

impl Store {
    /// The records that can be read of a damaged file. The file is not touched: a copy is looked at.
    ///
    /// # Errors
    /// When it cannot be copied. A file of which nothing can be read has no records.
    pub async fn salvage(path: &Path) -> Result<Vec<Record>, StoreError> {
        let copy = Copy::of(path)
            .map_err(|source| StoreError::Create { path: path.display().to_string(), source })?;
        let options = SqliteConnectOptions::new().filename(&copy.file);
        let Ok(pool) = SqlitePoolOptions::new().max_connections(1).connect_with(options).await else {
            return Ok(Vec::new());
        };
        let mut found = HashMap::new();
        for way in WAYS {
            let mut rows = sqlx::query(way).fetch(&pool);
            while let Some(Ok(next)) = rows.next().await {
                if let Ok(record) = row::read(&Row::Sqlite(next)) {
                    found.insert(record.id.clone(), record);
                }
            }
        }
        pool.close().await;
        Ok(found.into_values().collect())
    }
}

/// A copy of a database, gone with this. It is as private as the original: records hold tokens.
struct Copy {
    directory: PathBuf,
    file: PathBuf,
}

impl Copy {
    fn of(path: &Path) -> io::Result<Self> {
        let directory = path.with_extension("salvage");
        // One that an earlier server left.
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::DirBuilder::new().mode(0o700).create(&directory)?;
        let copy = Self { file: directory.join("copy"), directory };
        fs::copy(path, &copy.file)?;
        let log = |of: &Path| {
            let mut name = of.as_os_str().to_owned();
            name.push(LOG);
            name
        };
        match fs::copy(log(path), log(&copy.file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(copy),
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What cannot be removed now goes when the next copy is made.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
