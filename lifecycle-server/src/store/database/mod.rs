//! The databases records can lie in: one set of statements, two drivers.
//!
//! Statements are written for both: `$1` placeholders, whole numbers and texts only.

mod postgresql;
mod sqlite;
mod statement;

use sqlx::{Postgres, Sqlite, SqlitePool};

pub use postgresql::PostgresqlOptions;
use postgresql::Server;
pub(super) use statement::{Row, Statement, sql};

use super::StoreError;

/// Connections to a database. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Database {
    Sqlite(SqlitePool),
    Postgresql(Server),
}

impl Database {
    /// Whether several servers can use it.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Postgresql(_))
    }

    /// Number of rows that were changed.
    pub(super) async fn execute(&self, statement: Statement) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(pool) => Ok(statement.of::<Sqlite>()?.execute(pool).await?.rows_affected()),
            Self::Postgresql(server) => {
                let query = statement.of::<Postgres>()?;
                let done = server.run(async |connection| query.execute(connection).await).await?;
                Ok(done.rows_affected())
            }
        }
    }

    pub(super) async fn fetch_all(&self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(pool) => {
                let rows = statement.of::<Sqlite>()?.fetch_all(pool).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgresql(server) => {
                let query = statement.of::<Postgres>()?;
                let rows = server.run(async |connection| query.fetch_all(connection).await).await?;
                Ok(rows.into_iter().map(Row::Postgresql).collect())
            }
        }
    }

    pub(super) async fn fetch_optional(&self, statement: Statement) -> Result<Option<Row>, StoreError> {
        match self {
            Self::Sqlite(pool) => Ok(statement.of::<Sqlite>()?.fetch_optional(pool).await?.map(Row::Sqlite)),
            Self::Postgresql(server) => {
                let query = statement.of::<Postgres>()?;
                let row = server.run(async |connection| query.fetch_optional(connection).await).await?;
                Ok(row.map(Row::Postgresql))
            }
        }
    }

    /// The only row of the answer.
    pub(super) async fn fetch_one(&self, statement: Statement) -> Result<Row, StoreError> {
        Ok(self.fetch_optional(statement).await?.ok_or(sqlx::Error::RowNotFound)?)
    }

    /// Carries statements out after each other, all of them or none; the number that the last of them with an answer gave.
    pub(super) async fn change(&self, statements: Vec<Statement>) -> Result<Option<i64>, StoreError> {
        match self {
            Self::Sqlite(pool) => sqlite::change(pool, statements).await,
            Self::Postgresql(server) => server.change(statements).await,
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgresql(server) => server.close().await,
        }
    }
}
