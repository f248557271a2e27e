//! The steps that make a database what the statements here expect.

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

/// The first step came before the second database, and databases know it by its text: each has its own.
const FIRST_OF_SQLITE: &str = include_str!("../../migrations/0001_sandboxes.sql");
const FIRST_OF_POSTGRESQL: &str = include_str!("../../migrations/0001_sandboxes.postgresql.sql");

const COMMON: &[(i64, &str, &str)] = &[
    (3, "snapshots", include_str!("../../migrations/0003_snapshots.sql")),
    (4, "pools and templates", include_str!("../../migrations/0004_pools_and_templates.sql")),
    (5, "events", include_str!("../../migrations/0005_events.sql")),
    (8, "idempotency keys", include_str!("../../migrations/0008_idempotency_keys.sql")),
    (10, "owners", include_str!("../../migrations/0010_owners.sql")),
    (11, "servers", include_str!("../../migrations/0011_servers.sql")),
];

pub(super) fn sqlite() -> Migrator {
    migrator(FIRST_OF_SQLITE)
}

pub(super) fn postgresql() -> Migrator {
    migrator(FIRST_OF_POSTGRESQL)
}

fn migrator(first: &'static str) -> Migrator {
    let all = std::iter::once((1, "sandboxes", first)).chain(COMMON.iter().copied());
    let migrations = all.map(|(version, name, text)| {
        Migration::new(version, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}
