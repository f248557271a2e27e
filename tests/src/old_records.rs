//! Databases as servers of earlier versions left them: the migrations up to theirs, with rows of their time.

use std::{fmt::Write as _, fs, path::PathBuf, time::SystemTime};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha384};

use crate::paths;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgresql,
}

/// What a version brought: number, file, and the SHA-384 of its text. Databases keep that of what made them, so a text
/// never changes once anybody has run it.
struct Step {
    version: u32,
    file: &'static str,
    checksum: &'static str,
    /// Where the text is another for PostgreSQL.
    postgresql: Option<(&'static str, &'static str)>,
}

const STEPS: &[Step] = &[
    Step {
        version: 1,
        file: "0001_sandboxes.sql",
        checksum: "15210265b30324f304f41824c6bee6d6e41b038526bf2dcb63b4198e3a7902d87f4cfee8e839055c540f8887b9516789",
        postgresql: Some((
            "0001_sandboxes.postgresql.sql",
            "a0ef40f812447744900ddf449848b834db19ac86d7c7f827064dabdb2834a096e2ba0bdf3e7f227ca00deb60bcb6bf48",
        )),
    },
    Step {
        version: 3,
        file: "0003_snapshots.sql",
        checksum: "a4dd95a1836503029b40ab6d5d01728655694777378befb516c0255e304004c5e3edfb7281661abdf4ee2d5a2a1ff351",
        postgresql: None,
    },
    Step {
        version: 4,
        file: "0004_pools_and_templates.sql",
        checksum: "003d3f7b49fd7999fb41f816f2b595a53f2f3f41360e37c694c1ecc5aed59b54bcf6cd8e28e6a444ecc8f529eaeff3eb",
        postgresql: None,
    },
    Step {
        version: 5,
        file: "0005_events.sql",
        checksum: "d924896447fe649c0d79f370f2354d2548dbbf0834926561ae044c589becfccc727768a6cbdb167fdadbf935d846f0ad",
        postgresql: None,
    },
    Step {
        version: 8,
        file: "0008_idempotency_keys.sql",
        checksum: "07caf2c96c9f88eb1e7b7bd24c70c94a1761f60fc35f94bfe3fb931fe65db06124b8e48d0e6391102453c81c8cb06ba7",
        postgresql: None,
    },
    Step {
        version: 10,
        file: "0010_owners.sql",
        checksum: "91054df1b26bfbcb88a20caf4e330f08ba16b86c3541f5c8ef746ccfedd3010691a03fbb9c43bc2e554e9be6a15aa965",
        postgresql: None,
    },
    Step {
        version: 11,
        file: "0011_servers.sql",
        checksum: "36de157dc6f7879208e3ee6e948ea7dfca254590c1712ea76533e71b3d40c5bfd456ecebf0ed56526f7f45beec2ad9ef",
        postgresql: None,
    },
    Step {
        version: 12,
        file: "0012_kept_memory.sql",
        checksum: "183a254eed5248e7768c390c93bdc53f5f061c3ccbf782279f55d07a4116db1792a6ca101c2bd8e1be7050ac74f28aaf",
        postgresql: Some((
            "0012_kept_memory.postgresql.sql",
            "b352fcc61d7b793c74da65a0dccbc5969dcd5915d81ef417cd32304ac3967052f106eb95dbe03dd2933e849a1def97db",
        )),
    },
];

/// Every version that left databases behind, this one included.
pub fn versions() -> impl Iterator<Item = u32> {
    STEPS.iter().map(|step| step.version)
}

/// Statements that make the database of a server of `version`, with what it kept. `image` is the image that its snapshots
/// and templates start from.
pub fn script(database: Database, version: u32, image: &str) -> Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros().to_string();
    let (time, bytes) = match database {
        Database::Sqlite => ("TIMESTAMP", "BLOB"),
        Database::Postgresql => ("TIMESTAMPTZ", "BYTEA"),
    };
    // The table that the migrator itself makes.
    let mut script = format!(
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, installed_on {time} \
         NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, checksum {bytes} NOT NULL, execution_time \
         BIGINT NOT NULL);\n"
    );
    for step in STEPS.iter().take_while(|step| step.version <= version) {
        let own = step.postgresql.filter(|_| database == Database::Postgresql);
        let (file, checksum) = own.unwrap_or((step.file, step.checksum));
        let text = read(paths::workspace().join("lifecycle-server/migrations").join(file))?;
        let actual: String = Sha384::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        ensure!(actual == checksum, "{file} was changed: databases that it made would be refused");
        let literal = match database {
            Database::Sqlite => format!("X'{checksum}'"),
            Database::Postgresql => format!("'\\x{checksum}'"),
        };
        let note = "(version, description, success, checksum, execution_time)";
        let version = step.version;
        writeln!(
            script,
            "{text}\nINSERT INTO _sqlx_migrations {note} VALUES ({version}, 'x', TRUE, {literal}, 1);"
        )?;
        let rows = paths::workspace().join(format!("tests/fixtures/records/{version:04}.sql"));
        if rows.exists() {
            script.push_str(&read(rows)?.replace("{image}", image).replace("{now}", &now));
        }
    }
    Ok(script)
}

fn read(file: PathBuf) -> Result<String> {
    fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))
}
