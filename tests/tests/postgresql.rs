//! PostgreSQL as the store: everything is kept, over kills of the server and while the database is away.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use sandkeep::{Client, EventQuery};
use sandkeep_tests::{
    api::{Api, create_body, eventually},
    paths::{self, BASE_IMAGE},
    postgresql::Postgresql,
    server::{Server, Setup},
};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
/// Above all the bounds that the server has for its database, for a busy machine.
const ANSWER: Duration = Duration::from_secs(45);

fn server_on(dsn: &str) -> Result<Server> {
    let setup = Setup::default().set("store", "type = \"postgresql\"");
    Server::start(setup.set("store", format!("postgresql.dsn = {dsn:?}")))
}

async fn settled(api: &Api, path: &str, field: &str, value: &str) -> Result<()> {
    eventually(&format!("{path} is {value}"), PATIENCE, async || {
        let object = api.get(path).await?.expect(200)?.json()?;
        Ok(object["status"][field] == value)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_kept_in_the_database() -> Result<()> {
    let database = Postgresql::start()?;
    let server = server_on(&database.dsn())?;
    let api = server.api();
    let mut events = Client::new(server.url(), server.key.clone())?.events(&EventQuery::default()).await?;

    let body = create_body(json!({"metadata": {"team": "red"}, "env": {"NOTE": "a ü \u{1F980}"}}));
    let made = api.create_once("once", &body).await?.expect(202)?.json()?;
    let id = made["id"].as_str().context("an id")?.to_owned();
    settled(&api, &format!("/v1/sandboxes/{id}"), "state", "Running").await?;
    let first = tokio::time::timeout(PATIENCE, events.next()).await??.context("an event")?;
    assert_eq!(first.sandbox_id.as_deref(), Some(&*id));
    api.patch(&format!("/v1/sandboxes/{id}/metadata"), &json!({"more": "yes"})).await?.expect(200)?;

    let snapshot = api.post(&format!("/v1/sandboxes/{id}/snapshots"), &json!({"name": "s"})).await?;
    let snapshot = snapshot.expect(202)?.json()?["id"].as_str().context("an id")?.to_owned();
    settled(&api, &format!("/v1/snapshots/{snapshot}"), "state", "Ready").await?;
    let pool = json!({
        "name": "p",
        "template": {"spec": {"containers": [{"name": "sandbox", "image": BASE_IMAGE}]}},
        "capacitySpec": {"bufferMin": 1, "bufferMax": 1, "poolMin": 1, "poolMax": 2},
    });
    api.post("/v1/pools", &pool).await?.expect(201)?;
    eventually("a member waits", PATIENCE, async || {
        Ok(api.get("/v1/pools/p").await?.expect(200)?.json()?["status"]["available"] == 1)
    })
    .await?;
    let taken = json!({"extensions": {"poolRef": "p"}, "timeout": 600});
    let taken = api.post("/v1/sandboxes", &taken).await?.expect(202)?.json()?;
    let taken = taken["id"].as_str().context("an id")?.to_owned();
    let template = json!({"image": BASE_IMAGE, "resourceLimits": {"memory": "64Mi"}, "publish": "a/b"});
    let template = api.post("/v1/templates", &template).await?.expect(201)?.json()?;
    let template = template["templateId"].as_str().context("an id")?.to_owned();

    server.kill()?;
    server.restart()?;
    let again = api.get(&format!("/v1/sandboxes/{id}")).await?.expect(200)?.json()?;
    assert_eq!(again["metadata"], json!({"team": "red", "more": "yes"}));
    assert_eq!(again["status"]["state"], "Running");
    assert_eq!(api.create_once("once", &body).await?.expect(202)?.json()?["id"], json!(id));
    api.create_once("once", &create_body(json!({"timeout": 100}))).await?.expect_error(409)?;
    let snapshots = api.get("/v1/snapshots?state=Ready").await?.expect(200)?.json()?;
    assert_eq!(snapshots["items"][0]["id"], json!(snapshot));
    settled(&api, &format!("/v1/templates/{template}"), "phase", "Succeeded").await?;
    let mut ids = api.ids().await?;
    ids.sort();
    let mut expected = vec![id.clone(), taken];
    expected.sort();
    assert_eq!(ids, expected);
    // Every note since the first, over the kill.
    let since = EventQuery { last_event_id: Some(first.id), ..EventQuery::default() };
    let mut events = Client::new(server.url(), server.key.clone())?.events(&since).await?;
    let next = tokio::time::timeout(PATIENCE, events.next()).await??.context("an event")?;
    assert_eq!(next.id, first.id + 1);

    let kept = database.sql("SELECT COUNT(*) FROM sandboxes")?;
    assert_eq!(kept, "2");
    ensure!(!server.state().join("sandkeep.db").exists(), "there is a file of records as well");
    ensure!(!server.log().contains(&database.password), "the password is in the log");
    api.delete("/v1/pools/p").await?.expect(204)?;
    for id in expected {
        api.delete(&format!("/v1/sandboxes/{id}")).await?.expect(204)?;
    }
    assert_eq!(database.sql("SELECT COUNT(*) FROM sandboxes")?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_go_on_while_the_database_is_away() -> Result<()> {
    let mut database = Postgresql::start()?;
    let server = server_on(&database.socket_dsn())?;
    let api = server.api();
    let kept = api.create(json!({})).await?;
    let ending =
        api.create(json!({"entrypoint": ["sh", "-c", "until [ -e /tmp/end ]; do sleep 0.1; done"]})).await?;
    let (execd, end) = (kept.execd().await?, ending.execd().await?);

    database.stop()?;
    let since = Instant::now();
    let (code, message) = api.post("/v1/sandboxes", &create_body(json!({}))).await?.expect_error(503)?;
    assert_eq!(code, "GENERAL::STORE_UNAVAILABLE", "{message}");
    ensure!(since.elapsed() < ANSWER, "the refusal took {:?}", since.elapsed());
    // What needs no change is answered, and nothing that ran was touched.
    assert_eq!(kept.get().await?["status"]["state"], "Running");
    assert_eq!(execd.output("echo on").await?, "on");
    // The command may be ended together with the sandbox.
    let _ = end.run("touch /tmp/end").await;
    database.launch()?;
    // Its end, while nobody could write it down, is told now; and the server needs no restart.
    ending.wait_state("Terminated").await?;
    let later = api.create(json!({})).await?;

    database.hang(true)?;
    let since = Instant::now();
    let path = format!("{}/metadata", kept.path());
    let (code, _) = api.patch(&path, &json!({"a": "b"})).await?.expect_error(503)?;
    assert_eq!(code, "GENERAL::STORE_UNAVAILABLE");
    ensure!(since.elapsed() < ANSWER, "the refusal took {:?}", since.elapsed());
    assert_eq!(execd.output("echo on").await?, "on");
    database.hang(false)?;
    eventually("a change is taken again", PATIENCE, async || {
        Ok(api.patch(&path, &json!({"a": "c"})).await?.status == 200)
    })
    .await?;
    assert_eq!(kept.get().await?["metadata"]["a"], "c");
    for sandbox in [kept, ending, later] {
        sandbox.delete().await?;
    }
    assert_eq!(database.sql("SELECT COUNT(*) FROM sandboxes")?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_use_its_database_does_not_start() -> Result<()> {
    let mut database = Postgresql::start()?;
    let start = |dsn: &str| -> Result<String> {
        let dir = tempfile::tempdir()?;
        let config = dir.path().join("config.toml");
        let state = dir.path().join("state");
        let text = format!(
            "[server]\nhost = \"127.0.0.1\"\nport = 0\napi_key = \"k\"\n[native]\nstate_dir = {state:?}\n\
             [store]\ntype = \"postgresql\"\npostgresql.connect_timeout_seconds = 2\n\
             postgresql.dsn = {dsn:?}\n"
        );
        std::fs::write(&config, text)?;
        let output = Command::new(paths::dist("lifecycle-server")?)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .output()?;
        ensure!(!output.status.success(), "it started");
        Ok(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    };
    let right = database.dsn();
    let wrong = right.replace(&database.password, "not-this-one");
    let said = start(&wrong)?;
    ensure!(said.contains("password authentication failed"), "{said}");
    let untrusted = right.split("&sslrootcert").next().unwrap_or_default();
    let said = start(untrusted)?;
    ensure!(said.contains("cannot be used now"), "{said}");
    database.stop()?;
    let said = start(&right)?;
    ensure!(said.contains("cannot be used now") && said.contains("127.0.0.1"), "{said}");
    for secret in [&*database.password, "not-this-one"] {
        ensure!(!said.contains(secret), "{said}");
    }
    Ok(())
}
