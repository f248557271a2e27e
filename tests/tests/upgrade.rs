//! A new server on what an old one left behind. `crash.rs` has the restart beside running sandboxes, `systemd.rs` the
//! exchange of the binaries while they run.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    api::eventually,
    paths,
    server::{Server, Setup},
};
use serde_json::json;

const WAS_RUNNING: &str = "400c7d36-74d9-4d57-9dc3-0f4ab44944a5";
const HAD_FAILED: &str = "373e536c-3435-4e2c-9635-7b396ee85aac";
const EXPIRED: &str = "8412b4ab-845a-4b01-977c-3fd19f52179c";

fn sqlite(database: &Path, sql: &str) -> Result<String> {
    let mut command = Command::new(paths::program("sqlite3", "sqlite3")?);
    let mut child = command
        .arg("-bail")
        .arg(database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("an input")?.write_all(sql.as_bytes())?;
    let output = child.wait_with_output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "sqlite3 failed: {complaint}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[tokio::test]
async fn records_of_the_first_version_are_read_and_brought_up_to_date() -> Result<()> {
    let server = Server::start(Setup::default())?;
    server.stop()?;
    let database = server.state().join("sandkeep.db");
    let migrations = sqlite(&database, "SELECT count(*) FROM _sqlx_migrations")?;
    for ending in ["", "-wal", "-shm"] {
        let file = server.state().join(format!("sandkeep.db{ending}"));
        if file.exists() {
            fs::remove_file(file)?;
        }
    }
    let fixture = paths::workspace().join("tests/fixtures/first-records.sql");
    let dump = fs::read_to_string(&fixture).with_context(|| format!("reading {}", fixture.display()))?;
    sqlite(&database, &dump)?;
    server.restart()?;

    // What had failed is told as it was told then.
    let api = server.api();
    let failed = api.get(&format!("/v1/sandboxes/{HAD_FAILED}")).await?.expect(200)?.json()?;
    assert_eq!(failed["status"]["state"], "Failed");
    assert_eq!(failed["status"]["reason"], "SANDBOX_EXITED_ERROR");
    assert_eq!(failed["status"]["message"], "the sandbox's program ended with status 3");
    assert_eq!(failed["metadata"], json!({"team": "b"}));
    assert_eq!(failed["entrypoint"], json!(["sh", "-c", "sleep 1; exit 3"]));
    assert_eq!(failed["image"]["uri"], "sandkeep/base:latest");
    assert!(failed["createdAt"].as_str().is_some_and(|at| at.starts_with("2026-01-02T")), "{failed}");
    assert!(failed["expiresAt"].as_str().is_some_and(|at| at.starts_with("2100-01-01T")), "{failed}");
    // What was running does not run on this host: that is said, and nothing else about it is lost.
    eventually("the vanished sandbox is shown as failed", Duration::from_secs(15), async || {
        let gone = api.get(&format!("/v1/sandboxes/{WAS_RUNNING}")).await?.expect(200)?.json()?;
        ensure!(gone["metadata"] == json!({"forever": "yes"}), "{gone}");
        Ok(gone["status"]["state"] == "Failed" && gone["status"]["message"].is_string())
    })
    .await?;
    // What expired meanwhile is gone.
    eventually("the expired sandbox is gone", Duration::from_secs(15), async || {
        Ok(api.get(&format!("/v1/sandboxes/{EXPIRED}")).await?.status == 404)
    })
    .await?;

    // New work on the old records.
    let sandbox = api.create(json!({"metadata": {"made": "now"}})).await?;
    assert_eq!(sandbox.execd().await?.output("echo new").await?, "new");
    sandbox.delete().await?;
    for id in [WAS_RUNNING, HAD_FAILED] {
        api.delete(&format!("/v1/sandboxes/{id}")).await?.expect(204)?;
    }
    eventually("the old sandboxes are gone", Duration::from_secs(15), async || {
        Ok(api.ids().await?.is_empty())
    })
    .await?;
    server.stop()?;
    assert_eq!(sqlite(&database, "SELECT count(*) FROM _sqlx_migrations")?, migrations);
    server.restart()
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused_untouched() -> Result<()> {
    let server = Server::start(Setup::default().without_image())?;
    server.stop()?;
    let database = server.state().join("sandkeep.db");
    let later = "INSERT INTO _sqlx_migrations VALUES \
                 (99999, 'later', CURRENT_TIMESTAMP, 1, X'00', 1); CREATE TABLE later (id TEXT);";
    sqlite(&database, later)?;
    let refused = match server.restart() {
        Ok(()) => anyhow::bail!("it started"),
        Err(error) => format!("{error:#}"),
    };
    server.wait_for_end(Duration::from_secs(15))?;
    ensure!(refused.contains("99999"), "the reason is not told: {refused}");
    assert_eq!(sqlite(&database, "SELECT count(*) FROM later")?, "0");
    sqlite(&database, "DELETE FROM _sqlx_migrations WHERE version = 99999; DROP TABLE later;")?;
    server.restart()
}
