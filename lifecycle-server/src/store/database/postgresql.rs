//! PostgreSQL: connections that are lost and come back, and waits that end.

use std::{fmt, str::FromStr as _, time::Duration};

use sqlx::{
    Connection as _, PgConnection, Pool, Postgres, Row as _,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use super::{
    super::{StoreError, migrations},
    Database, Statement,
};

/// A statement that takes longer has met a server that hangs or a lock nobody gives up.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// The same as the server is told it, a little sooner: its own word is the clearer one.
const SERVER_TIMEOUTS: [(&str, &str); 3] = [
    ("statement_timeout", "9s"),
    ("lock_timeout", "9s"),
    // A server that was cut off in the middle of a change must not keep the others waiting.
    ("idle_in_transaction_session_timeout", "10s"),
];
/// Bringing tables up to date, the wait for another server that does it included.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest wait for connections to end in good order.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// What connections are known by in the server's own lists.
const APPLICATION: &str = "lifecycle-server";
const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];

/// How to reach a PostgreSQL server.
#[derive(Clone)]
pub struct PostgresqlOptions {
    connect: PgConnectOptions,
    pub min_connections: u32,
    pub max_connections: u32,
    /// Bound of the first connection, at start.
    pub connect_timeout: Duration,
    /// Bound of the wait for a connection later.
    pub pool_timeout: Duration,
}

// Without the password.
impl fmt::Debug for PostgresqlOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PostgresqlOptions").field("place", &self.place()).finish_non_exhaustive()
    }
}

impl PostgresqlOptions {
    /// Reads a URL such as `postgresql://user:password@host:5432/database?sslmode=verify-full`.
    ///
    /// # Errors
    /// A text that says what is wrong, and nothing of the URL.
    pub fn new(url: &str) -> Result<Self, String> {
        if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            return Err(format!("must begin with {}", SCHEMES[0]));
        }
        let connect = PgConnectOptions::from_str(url).map_err(|error| match error {
            sqlx::Error::Configuration(problem) => format!("is no URL of a PostgreSQL server: {problem}"),
            _ => "is no URL of a PostgreSQL server".to_owned(),
        })?;
        Ok(Self {
            connect: connect.application_name(APPLICATION),
            min_connections: 0,
            max_connections: 10,
            connect_timeout: Duration::from_secs(5),
            pool_timeout: Duration::from_secs(5),
        })
    }

    /// Server and database, for messages.
    fn place(&self) -> String {
        let host = match self.connect.get_socket() {
            Some(directory) => directory.display().to_string(),
            None => self.connect.get_host().to_owned(),
        };
        let database = self.connect.get_database().unwrap_or_else(|| self.connect.get_username());
        format!("{database} on {host} port {}", self.connect.get_port())
    }
}

/// A PostgreSQL server. Cheap to clone.
#[derive(Clone)]
pub(in crate::store) struct Server {
    pool: Pool<Postgres>,
    place: std::sync::Arc<str>,
}

// A pool tells all about its options.
impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Database {
    /// Connects and brings the tables up to date.
    pub(in crate::store) async fn connect_postgresql(
        options: &PostgresqlOptions,
    ) -> Result<Self, StoreError> {
        let place: std::sync::Arc<str> = options.place().into();
        bring_up_to_date(options, &place).await?;
        let pool = PgPoolOptions::new()
            .min_connections(options.min_connections)
            .max_connections(options.max_connections)
            .acquire_timeout(options.pool_timeout)
            .connect_lazy_with(options.connect.clone().options(SERVER_TIMEOUTS));
        Ok(Self::Postgresql(Server { pool, place }))
    }
}

/// On a connection of its own, that may take long. Servers that start at once wait for each other: the migrator holds an
/// advisory lock of the database.
async fn bring_up_to_date(options: &PostgresqlOptions, place: &str) -> Result<(), StoreError> {
    let hangs = || unavailable(place, "it does not answer");
    let connected = timeout(options.connect_timeout, PgConnection::connect_with(&options.connect)).await;
    let mut connection = connected.map_err(|_| hangs())?.map_err(|error| judge(place, error))?;
    let migrated =
        timeout(MIGRATION_TIMEOUT, migrations::postgresql().run_direct(None, &mut connection, false)).await;
    migrated.map_err(|_| hangs())??;
    // What it was for is done; the server notices its end in any case.
    let _ = timeout(CLOSE_TIMEOUT, connection.close()).await;
    Ok(())
}

impl Server {
    /// One statement by itself.
    pub(super) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let mut lease = self.lease().await?;
        let done = lease.run(work).await;
        // A statement that was refused leaves its connection as it was.
        lease.is_sound = !matches!(done, Err(StoreError::Unavailable { .. }));
        done
    }

    /// Statements that take effect together, or not at all.
    pub(super) async fn change(&self, statements: Vec<Statement>) -> Result<Option<i64>, StoreError> {
        let mut lease = self.lease().await?;
        lease.run(async |connection| sqlx::query("BEGIN").execute(connection).await).await?;
        let mut number = None;
        for statement in statements {
            let query = statement.of::<Postgres>()?;
            let row = lease.run(async |connection| query.fetch_optional(connection).await).await?;
            number = row.map(|row| row.try_get(0)).transpose()?.or(number);
        }
        lease.run(async |connection| sqlx::query("COMMIT").execute(connection).await).await?;
        lease.is_sound = true;
        Ok(number)
    }

    async fn lease(&self) -> Result<Lease, StoreError> {
        let connection = self.pool.acquire().await.map_err(|error| judge(&self.place, error))?;
        Ok(Lease { connection, is_sound: false, place: self.place.clone() })
    }

    pub(super) async fn close(&self) {
        if timeout(CLOSE_TIMEOUT, self.pool.close()).await.is_err() {
            tracing::warn!(place = &*self.place, "connections to the database were cut");
        }
    }
}

/// A connection that is closed unless what was done on it came to its end: the server then undoes it.
struct Lease {
    connection: PoolConnection<Postgres>,
    is_sound: bool,
    place: std::sync::Arc<str>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_sound {
            self.connection.close_on_drop();
        }
    }
}

impl Lease {
    pub(super) async fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        match timeout(STATEMENT_TIMEOUT, work(&mut self.connection)).await {
            Ok(done) => done.map_err(|error| judge(&self.place, error)),
            Err(_) => Err(unavailable(&self.place, "it does not answer")),
        }
    }
}

fn unavailable(place: &str, problem: impl fmt::Display) -> StoreError {
    StoreError::Unavailable { place: place.to_owned(), problem: problem.to_string() }
}

/// Whether it is the statement that is wrong, or the server that cannot be used for now.
fn judge(place: &str, error: sqlx::Error) -> StoreError {
    let is_passing = match &error {
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| is_passing(&code)),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::PoolTimedOut => return unavailable(place, "no connection in time"),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        _ => false,
    };
    if is_passing { unavailable(place, error) } else { error.into() }
}

/// SQLSTATE codes that say nothing of the statement: lost connections, a server that starts, stops, is full or read-only,
/// one that lets nobody in, locks, deadlocks and time limits.
fn is_passing(code: &str) -> bool {
    ["08", "28", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
        || matches!(code, "25006" | "25P03" | "3D000" | "55P03")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_understood_and_never_shown() {
        let options = PostgresqlOptions::new("postgresql://me:geheim@db.example:5433/sandkeep").unwrap();
        assert_eq!(options.place(), "sandkeep on db.example port 5433");
        assert!(!format!("{options:?}").contains("geheim"), "{options:?}");
        let socket = PostgresqlOptions::new("postgres://me@localhost/x?host=/run/pg&port=7").unwrap();
        assert_eq!(socket.place(), "x on /run/pg port 7");
        for wrong in ["host=db password=geheim", "mysql://geheim", "postgresql://me:geheim@db:port/x"] {
            let problem = PostgresqlOptions::new(wrong).unwrap_err();
            assert!(!problem.contains("geheim"), "{problem}");
        }
    }

    #[test]
    fn wrong_statements_are_told_from_servers_that_cannot_be_used() {
        assert!(
            ["08006", "57P01", "57014", "53300", "40P01", "28P01", "25006"]
                .iter()
                .all(|code| is_passing(code))
        );
        assert!(!["23505", "42601", "42P01", "22021"].iter().any(|code| is_passing(code)));
    }
}
