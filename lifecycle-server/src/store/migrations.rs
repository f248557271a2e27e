//! The steps that make a database what the statements here expect.

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

type Step = (i64, &'static str, &'static str);

/// The table of sandboxes came before the second database: SQLite has a strict one, whose types have other names.
const SQLITE: &[Step] = &[
    (1, "sandboxes", include_str!("../../migrations/0001_sandboxes.sql")),
    (12, "kept memory", include_str!("../../migrations/0012_kept_memory.sql")),
];
const POSTGRESQL: &[Step] = &[
    (1, "sandboxes", include_str!("../../migrations/0001_sandboxes.postgresql.sql")),
    (12, "kept memory", include_str!("../../migrations/0012_kept_memory.postgresql.sql")),
];
const COMMON: &[Step] = &[
    (3, "snapshots", include_str!("../../migrations/0003_snapshots.sql")),
    (4, "pools and templates", include_str!("../../migrations/0004_pools_and_templates.sql")),
    (5, "events", include_str!("../../migrations/0005_events.sql")),
    (8, "idempotency keys", include_str!("../../migrations/0008_idempotency_keys.sql")),
    (10, "owners", include_str!("../../migrations/0010_owners.sql")),
    (11, "servers", include_str!("../../migrations/0011_servers.sql")),
];

pub(super) fn sqlite() -> Migrator {
    migrator(SQLITE)
}

pub(super) fn postgresql() -> Migrator {
    migrator(POSTGRESQL)
}

fn migrator(own: &[Step]) -> Migrator {
    let migrations = own.iter().chain(COMMON).map(|(version, name, text)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, text.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}
