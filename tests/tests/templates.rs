//! Templates, repeated creates and a host without room.

use std::time::Duration;

use anyhow::{Context, Result};
use sandkeep_tests::{
    api::{Api, Sandbox, create_body, eventually},
    paths::BASE_IMAGE,
    server::{Server, Setup},
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

fn template(more: Value) -> Value {
    let mut body = json!({
        "image": BASE_IMAGE, "publish": "team/thing", "env": {"FROM": "template"}, "metadata": {"kind": "test"},
        "resourceLimits": {"memory": "64Mi"},
    });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}

async fn build(api: &Api, body: &Value) -> Result<String> {
    let made = api.post("/v1/templates", body).await?.expect(201)?.json()?;
    Ok(made["templateId"].as_str().context("an id")?.to_owned())
}

async fn ends(api: &Api, id: &str, phase: &str) -> Result<Value> {
    let path = format!("/v1/templates/{id}");
    eventually(&format!("template {id} is {phase}"), PATIENCE, async || {
        Ok(api.get(&path).await?.expect(200)?.json()?["status"]["phase"] == phase)
    })
    .await?;
    api.get(&path).await?.expect(200)?.json()
}

#[tokio::test]
async fn a_template_is_tried_out_and_used() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let id = build(
        &api,
        &template(json!({
            "entrypoint": ["sh", "-c", "sleep 0.5; touch /tmp/ready; exec sleep infinity"],
            "readiness": {"probe": "cmd://test -e /tmp/ready", "warmupSeconds": 30},
        })),
    )
    .await?;
    let built = ends(&api, &id, "Succeeded").await?;
    assert!(id.starts_with("tpl-"));
    assert!(built["status"]["manifestRef"].as_str().is_some_and(|text| text.contains("@sha256:")), "{built}");
    assert_eq!(built["format"], "overlaybd");
    assert!(api.ids().await?.is_empty(), "the trial is over");

    let body = json!({"templateId": id, "timeout": 600, "metadata": {"a": "b"}});
    let made = api.post("/v1/sandboxes", &body).await?.expect(202)?.json()?;
    let sandbox = Sandbox { id: made["id"].as_str().context("an id")?.to_owned(), api: api.clone() };
    assert_eq!(sandbox.get().await?["image"]["uri"], BASE_IMAGE);
    let plain = api.create(json!({})).await?;
    for (which, origin) in [(&sandbox, "template"), (&plain, "")] {
        let endpoint = api.get(&format!("{}/endpoints/80", which.path())).await?.expect(200)?;
        assert_eq!(endpoint.header("open-sandbox-origin"), origin);
    }
    plain.delete().await?;
    assert_eq!(sandbox.execd().await?.output("echo $FROM").await?, "template");

    // The image stays as long as somebody may start from it.
    let in_use = api.delete(&format!("/v1/images/{BASE_IMAGE}")).await?;
    in_use.expect_error(409)?;
    let listed = api.get("/v1/templates?metadata=kind%3Dtest").await?.expect(200)?.json()?;
    assert_eq!(listed["pagination"]["totalItems"], 1);
    let listed = api.get("/v1/templates?metadata=kind%3Dother").await?.expect(200)?.json()?;
    assert_eq!(listed["pagination"]["totalItems"], 0);

    api.delete(&format!("/v1/templates/{id}")).await?.expect(204)?;
    assert_eq!(api.post("/v1/sandboxes", &body).await?.expect_error(404)?.0, "SANDBOX::TEMPLATE_NOT_FOUND");
    assert_eq!(sandbox.execd().await?.output("echo on").await?, "on");
    sandbox.delete().await
}

#[tokio::test]
async fn a_sandbox_of_a_template_runs_once_its_probe_holds() -> Result<()> {
    let api = Server::shared()?.api();
    let body = template(json!({
        "entrypoint": ["sh", "-c", "sleep 1; touch /tmp/ready; exec sleep infinity"],
        "readiness": {"probe": "cmd://test -e /tmp/ready", "warmupSeconds": 30},
    }));
    let id = build(&api, &body).await?;
    ends(&api, &id, "Succeeded").await?;
    let wish = json!({"templateId": id, "timeout": 600});
    let made = api.post("/v1/sandboxes", &wish).await?.expect(202)?.json()?;
    let sandbox = Sandbox { id: made["id"].as_str().context("an id")?.to_owned(), api: api.clone() };
    sandbox.wait_state("Running").await?;
    assert_eq!(sandbox.execd().await?.run("test -e /tmp/ready").await?.exit_code, 0, "it ran too early");
    sandbox.delete().await?;
    api.delete(&format!("/v1/templates/{id}")).await?.expect(204)?;
    Ok(())
}

#[tokio::test]
async fn a_template_that_never_becomes_ready_says_why() -> Result<()> {
    let server = Server::shared()?;
    let api = server.api();
    let never = json!({"readiness": {"probe": "tcp://127.0.0.1:9", "warmupSeconds": 1}});
    let id = build(&api, &template(never)).await?;
    let failed = ends(&api, &id, "Failed").await?;
    assert!(failed["status"]["message"].as_str().is_some_and(|text| text.contains("within 1 s")), "{failed}");
    let body = json!({"templateId": id, "timeout": 600});
    api.post("/v1/sandboxes", &body).await?.expect_error(404)?;
    let (_, message) =
        api.post("/v1/templates", &template(json!({"color": "red"}))).await?.expect_error(400)?;
    assert!(message.contains("color"), "{message}");
    api.delete(&format!("/v1/templates/{id}")).await?.expect(204)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_was_cut_off_begins_anew() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let slow = json!({"readiness": {"probe": "cmd://sleep 2", "warmupSeconds": 60}});
    let id = build(&api, &template(slow)).await?;
    ends(&api, &id, "Building").await?;
    server.kill()?;
    tokio::task::block_in_place(|| server.restart())?;
    ends(&api, &id, "Succeeded").await?;
    eventually("nothing of either trial is left", PATIENCE, async || {
        Ok(std::fs::read_dir(server.state().join("sandboxes"))?.next().is_none())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_create_makes_one_sandbox() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let body = create_body(json!({"metadata": {"once": "yes"}}));
    // At the same time, afterwards, and after the server was killed.
    let answers = futures_util::future::try_join_all((0..6).map(|_| api.create_once("key-1", &body))).await?;
    let mut ids = Vec::new();
    for answer in answers {
        ids.push(answer.expect(202)?.json()?["id"].as_str().context("an id")?.to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    server.kill()?;
    tokio::task::block_in_place(|| server.restart())?;
    assert_eq!(api.create_once("key-1", &body).await?.expect(202)?.json()?["id"], ids[0]);
    assert_eq!(api.ids().await?, ids);

    let other = create_body(json!({"metadata": {"once": "no"}}));
    assert_eq!(api.create_once("key-1", &other).await?.expect_error(409)?.0, "SANDBOX::IDEMPOTENCY_CONFLICT");
    api.create_once("a b", &body).await?.expect_error(400)?;
    // What came to nothing may be tried again.
    let missing = create_body(json!({"entrypoint": ["/no/such"]}));
    api.create_once("key-2", &missing).await?.expect_error(400)?;
    api.create_once("key-2", &missing).await?.expect_error(400)?;

    api.delete(&format!("/v1/sandboxes/{}", ids[0])).await?.expect(204)?;
    let (_, message) = api.create_once("key-1", &body).await?.expect_error(409)?;
    assert!(message.contains("gone"), "{message}");
    assert!(api.ids().await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_host_refuses_creates_and_starts_and_keeps_what_runs() -> Result<()> {
    for (line, what) in [
        ("min_free_memory = \"100Ti\"", "memory"),
        ("min_free_pids = 1000000000", "processes"),
        ("min_free_disk = \"100Ti\"", "disk"),
    ] {
        let server = Server::start(Setup::default())?;
        let api = server.api();
        let sandbox = api.create(json!({})).await?;
        let stopped = api.create(json!({})).await?;
        api.post(&format!("{}/stop", stopped.path()), &json!({})).await?.expect(200)?;
        server.stop()?;
        let config = std::fs::read_to_string(server.config())?;
        std::fs::write(server.config(), config.replace("[native]\n", &format!("[native]\n{line}\n")))?;
        tokio::task::block_in_place(|| server.restart())?;
        let start = (format!("{}/start", stopped.path()), json!({}));
        for (path, body) in [("/v1/sandboxes".to_owned(), create_body(json!({}))), start] {
            let refused = api.post(&path, &body).await?;
            assert_eq!(refused.header("retry-after"), "1", "{what} for {path}");
            let (code, message) = refused.expect_error(429)?;
            assert_eq!(code, "SANDBOX::CAPACITY_EXHAUSTED");
            assert!(message.contains(what), "{message}");
        }
        assert_eq!(sandbox.execd().await?.output("echo on").await?, "on");
        assert_eq!(api.ids().await?.len(), 2);
        stopped.wait_state("Stopped").await?;
        stopped.delete().await?;
        sandbox.delete().await?;
    }
    Ok(())
}

#[tokio::test]
async fn promised_memory_is_bounded_where_it_is_wanted() -> Result<()> {
    let setup = Setup::default()
        .set("native", "default_memory = \"64Mi\"")
        .set("native", "max_committed_memory_percent = 100");
    let server = Server::start(setup)?;
    let api = server.api();
    let sandbox = api.create(json!({"resourceLimits": {}})).await?;
    let greedy = create_body(json!({"resourceLimits": {"memory": "64Ti"}}));
    let (_, message) = api.post("/v1/sandboxes", &greedy).await?.expect_error(429)?;
    assert!(message.contains("memory limits"), "{message}");
    sandbox.delete().await
}
