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
use sandkeep::{Client, EventQuery};
use sandkeep_tests::{
    api::{Api, Sandbox, create_body, eventually},
    old_records::{self, Database},
    paths::{self, BASE_IMAGE},
    postgresql::Postgresql,
    server::{Server, Setup},
};
use serde_json::{Value, json};

const WAS_RUNNING: &str = "400c7d36-74d9-4d57-9dc3-0f4ab44944a5";
const HAD_FAILED: &str = "373e536c-3435-4e2c-9635-7b396ee85aac";
const EXPIRED: &str = "8412b4ab-845a-4b01-977c-3fd19f52179c";

/// The version that first kept its records in PostgreSQL if told to.
const FIRST_IN_POSTGRESQL: u32 = 8;
/// What a version that nobody knows yet may have left.
const LATER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES \
                     (99999, 'later', TRUE, 'x', 1); CREATE TABLE later (id TEXT);";
/// Other tests keep the machine busy.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// The identifier of the image that every server of these tests has.
async fn image_of(api: &Api) -> Result<String> {
    let images = api.get("/v1/images").await?.expect(200)?.json()?;
    Ok(images["items"][0]["id"].as_str().context("an image")?.to_owned())
}

/// What a server of `version` had kept is told as it was told then, and is of use.
async fn all_is_there(server: &Server, version: u32) -> Result<()> {
    let api = server.api();
    // What had failed is told as it was told then.
    let failed = api.get(&format!("/v1/sandboxes/{HAD_FAILED}")).await?.expect(200)?.json()?;
    assert_eq!(failed["status"]["state"], "Failed");
    assert_eq!(failed["status"]["reason"], "SANDBOX_EXITED_ERROR");
    assert_eq!(failed["status"]["message"], "the sandbox's program ended with status 3");
    assert_eq!(failed["metadata"], json!({"team": "b"}));
    assert_eq!(failed["entrypoint"], json!(["sh", "-c", "sleep 1; exit 3"]));
    assert_eq!(failed["image"]["uri"], BASE_IMAGE);
    assert!(failed["createdAt"].as_str().is_some_and(|at| at.starts_with("2026-01-02T")), "{failed}");
    assert!(failed["expiresAt"].as_str().is_some_and(|at| at.starts_with("2100-01-01T")), "{failed}");
    // What was running does not run on this host: that is said, and nothing else about it is lost.
    eventually("the vanished sandbox is shown as failed", PATIENCE, async || {
        let gone = api.get(&format!("/v1/sandboxes/{WAS_RUNNING}")).await?.expect(200)?.json()?;
        ensure!(gone["metadata"] == json!({"forever": "yes"}), "{gone}");
        Ok(gone["status"]["state"] == "Failed" && gone["status"]["message"].is_string())
    })
    .await?;
    // What expired meanwhile is gone.
    eventually("the expired sandbox is gone", PATIENCE, async || {
        Ok(api.get(&format!("/v1/sandboxes/{EXPIRED}")).await?.status == 404)
    })
    .await?;
    if version >= 3 {
        snapshots_are_there(&api, version).await.context("snapshots")?;
    }
    if version >= 4 {
        pools_and_templates_are_there(&api).await.context("pools and templates")?;
    }
    if version >= 5 {
        events_are_there(server).await.context("events")?;
    }
    if version >= 8 {
        let body = json!({
            "image": {"uri": BASE_IMAGE}, "resourceLimits": {}, "metadata": {"team": "b"},
            "entrypoint": ["sh", "-c", "sleep 1; exit 3"],
        });
        let repeated = api.create_once("made-long-ago", &body).await?.expect(202)?.json()?;
        assert_eq!(repeated["id"], HAD_FAILED, "a repeated request is known again");
        api.create_once("made-long-ago", &create_body(json!({}))).await?.expect_error(409)?;
    }
    if version >= 10 {
        assert_eq!(api.get("/v1/pools/newer").await?.expect(200)?.json()?["capacitySpec"]["poolMax"], 4);
    }
    // New work beside the old records.
    works(&api, json!({"metadata": {"made": "now"}}), "echo new", "new").await
}

/// Creates a sandbox, asks it something, and deletes it.
async fn works(api: &Api, body: Value, command: &str, said: &str) -> Result<()> {
    let sandbox = match body.get("metadata") {
        Some(_) => api.create(body).await?,
        None => {
            let made = api.post("/v1/sandboxes", &body).await?.expect(202)?.json()?;
            Sandbox { id: made["id"].as_str().context("an id")?.to_owned(), api: api.clone() }
        }
    };
    sandbox.wait_state("Running").await?;
    assert_eq!(sandbox.execd().await?.output(command).await?, said);
    sandbox.delete().await
}

async fn snapshots_are_there(api: &Api, version: u32) -> Result<()> {
    let path = |last: u32| format!("/v1/snapshots/5a2f6c1e-9a53-4f0e-8c6b-0d6f6f1e7a0{last}");
    let kept = api.get(&path(1)).await?.expect(200)?.json()?;
    assert_eq!((&kept["status"]["state"], &kept["name"]), (&json!("Ready"), &json!("kept")));
    assert_eq!(kept["sandboxId"], HAD_FAILED);
    let lost = api.get(&path(2)).await?.expect(200)?.json()?;
    assert_eq!(
        (&lost["status"]["state"], &lost["status"]["message"]),
        (&json!("Failed"), &json!("the disk was full"))
    );
    eventually("what was being made came to nothing", PATIENCE, async || {
        Ok(api.get(&path(3)).await?.expect(200)?.json()?["status"]["state"] == "Failed")
    })
    .await?;
    if version >= 10 {
        assert_eq!(api.get(&path(4)).await?.expect(200)?.json()?["name"], "counted");
    }
    let body = json!({"snapshotId": kept["id"], "entrypoint": ["sleep", "infinity"], "resourceLimits": {}});
    works(api, body, "echo from it", "from it").await
}

async fn pools_and_templates_are_there(api: &Api) -> Result<()> {
    eventually("a new member takes the place of the lost one", PATIENCE, async || {
        let pool = api.get("/v1/pools/old").await?.expect(200)?.json()?;
        Ok(pool["status"]["available"] == 1 && pool["status"]["total"] == 1)
    })
    .await?;
    eventually("what was being deleted is gone", PATIENCE, async || {
        Ok(api.get("/v1/pools/going").await?.status == 404)
    })
    .await?;
    let body = json!({"extensions": {"poolRef": "old"}, "entrypoint": ["sleep", "infinity"]});
    works(api, body, "echo $FROM", "pool").await?;
    let template = api.get("/v1/templates/tpl-5d0e7f6a8b9c").await?.expect(200)?.json()?;
    assert_eq!(template["status"]["phase"], "Succeeded");
    assert_eq!(template["metadata"], json!({"kind": "old"}));
    works(api, json!({"templateId": "tpl-5d0e7f6a8b9c", "timeout": 600}), "echo $FROM", "template").await
}

async fn events_are_there(server: &Server) -> Result<()> {
    let query =
        EventQuery { sandbox_ids: vec![HAD_FAILED.into()], last_event_id: Some(1), ..EventQuery::default() };
    let mut events = Client::new(server.url(), server.key.clone())?.events(&query).await?;
    for (id, state) in [(2, "Running"), (3, "Failed")] {
        let event = tokio::time::timeout(PATIENCE, events.next()).await??.context("an event")?;
        assert_eq!((event.id, event.state.map(|state| state.to_string())), (id, Some(state.to_owned())));
        assert_eq!(event.metadata["team"], "b");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_of_every_version_are_brought_up_to_date() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let image = image_of(&server.api()).await?;
    let database = server.state().join("sandkeep.db");
    let applied = || sqlite(&database, "SELECT version FROM _sqlx_migrations ORDER BY version");
    let newest = applied()?;
    let known: Vec<_> = old_records::versions().map(|version| version.to_string()).collect();
    assert_eq!(newest, known.join("\n"), "every migration has its rows in tests/fixtures/records");
    for version in old_records::versions() {
        server.stop()?;
        for ending in ["", "-wal", "-shm"] {
            let file = server.state().join(format!("sandkeep.db{ending}"));
            if file.exists() {
                fs::remove_file(file)?;
            }
        }
        sqlite(&database, &old_records::script(Database::Sqlite, version, &image)?)?;
        server.restart()?;
        all_is_there(&server, version).await.with_context(|| format!("a database of version {version}"))?;
        assert_eq!(applied()?, newest);
    }
    // Nothing of it is brought up to date a second time, and it can all be removed.
    server.stop()?;
    server.restart()?;
    let api = server.api();
    for id in [WAS_RUNNING, HAD_FAILED] {
        api.delete(&format!("/v1/sandboxes/{id}")).await?.expect(204)?;
    }
    eventually("the old sandboxes are gone", PATIENCE, async || Ok(api.ids().await?.is_empty())).await?;
    assert_eq!(applied()?, newest);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_in_postgresql_are_brought_up_to_date() -> Result<()> {
    let database = Postgresql::start()?;
    let setup = Setup::default().set("store", "type = \"postgresql\"");
    let server = Server::start(setup.set("store", format!("postgresql.dsn = {:?}", database.dsn())))?;
    let image = image_of(&server.api()).await?;
    for version in old_records::versions().filter(|&version| version >= FIRST_IN_POSTGRESQL) {
        server.stop()?;
        database.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")?;
        database.sql(&old_records::script(Database::Postgresql, version, &image)?)?;
        server.restart()?;
        all_is_there(&server, version).await.with_context(|| format!("a database of version {version}"))?;
    }
    server.stop()?;
    database.sql(LATER)?;
    let refused = refusal(&server)?;
    ensure!(
        refused.contains("99999") && refused.contains("later version"),
        "the reason is not told: {refused}"
    );
    assert_eq!(database.sql("SELECT count(*) FROM later")?, "0");
    database.sql("DELETE FROM _sqlx_migrations WHERE version = 99999; DROP TABLE later")?;
    server.restart()
}

/// What a server says that does not start on its database.
fn refusal(server: &Server) -> Result<String> {
    let refused = match server.restart() {
        Ok(()) => anyhow::bail!("it started"),
        Err(error) => format!("{error:#}"),
    };
    server.wait_for_end(PATIENCE)?;
    Ok(refused)
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused_untouched() -> Result<()> {
    let server = Server::start(Setup::default().without_image())?;
    server.stop()?;
    let database = server.state().join("sandkeep.db");
    sqlite(&database, LATER)?;
    let before = sqlite(&database, ".dump")?;
    let refused = refusal(&server)?;
    ensure!(
        refused.contains("99999") && refused.contains("later version"),
        "the reason is not told: {refused}"
    );
    assert_eq!(sqlite(&database, ".dump")?, before);
    sqlite(&database, "DELETE FROM _sqlx_migrations WHERE version = 99999; DROP TABLE later;")?;
    server.restart()
}
