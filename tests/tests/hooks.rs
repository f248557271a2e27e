//! Commands tied to a sandbox's life: one before its entrypoint, others on schedules.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    api::{create_body, eventually},
    server::{Server, Setup},
};
use serde_json::json;

/// Longest wait for anything that takes a second or two.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_hook_before_the_start_is_done_when_the_sandbox_runs() -> Result<()> {
    let api = Server::shared()?.api();
    let prepare = "sleep 1; id -u > /prepared; echo \"$GREETING $1\" >> /prepared";
    let sandbox = api
        .create(json!({
            "env": {"GREETING": "hello"},
            "entrypoint": ["sh", "-c", "cp /prepared /seen && exec tail -f /dev/null"],
            "lifecycle": {"preStart": {"command": ["sh", "-c", prepare, "sh", "two words"]}},
        }))
        .await?;
    let execd = sandbox.execd().await?;
    eventually("the entrypoint saw what the hook made", PATIENCE, async || {
        Ok(execd.run("cat /seen").await?.stdout == "0\nhello two words\n")
    })
    .await?;
    sandbox.delete().await
}

#[tokio::test]
async fn a_failing_hook_fails_the_create_and_says_why() -> Result<()> {
    // Long enough that the answer is not given while the hook still runs.
    let server = Server::start(Setup::default())?;
    let api = server.api();
    for (hook, told) in [
        (json!({"command": ["sh", "-c", "echo no licence here; exit 3"]}), "no licence here"),
        (json!({"command": ["no-such-program"]}), "no-such-program"),
        (json!({"command": ["sleep", "1000"], "timeoutSeconds": 1}), "did not end within 1 s"),
    ] {
        let body = create_body(json!({"lifecycle": {"preStart": hook}}));
        let answer = api.post("/v1/sandboxes", &body).await?;
        let message = if answer.status == 202 {
            // Its answer came first: the sandbox shows what happened.
            let id = answer.json()?["id"].as_str().context("an id")?.to_owned();
            let path = format!("/v1/sandboxes/{id}");
            let mut status = json!(null);
            eventually("the sandbox fails", PATIENCE, async || {
                status = api.get(&path).await?.expect(200)?.json()?["status"].clone();
                Ok(status["state"] == "Failed")
            })
            .await?;
            api.delete(&path).await?.expect(204)?;
            status["message"].as_str().unwrap_or_default().to_owned()
        } else {
            answer.expect_error(400)?.1
        };
        ensure!(message.contains("preStart hook") && message.contains(told), "{hook}: {message}");
    }
    assert_eq!(api.ids().await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_long_first_hook_leaves_the_sandbox_pending_and_others_alone() -> Result<()> {
    let api = Server::shared()?.api();
    let wait = "until test -e /go; do sleep 0.1; done";
    let body = create_body(json!({
        "lifecycle": {"preStart": {"command": ["sh", "-c", wait], "timeoutSeconds": 600}},
    }));
    let slow = {
        let (api, body) = (api.clone(), body.clone());
        tokio::spawn(async move { api.post("/v1/sandboxes", &body).await })
    };
    let other = api.create(json!({})).await?;
    other.delete().await?;
    // The create is answered before the hook ends.
    let created = slow.await??.expect(202)?.json()?;
    assert_eq!(created["status"]["state"], "Pending");
    let path = format!("/v1/sandboxes/{}", created["id"].as_str().context("an id")?);
    assert_eq!(api.get(&path).await?.expect(200)?.json()?["status"]["state"], "Pending");
    api.delete(&path).await?.expect(204)?;
    api.get(&path).await?.expect_error(404)?;
    Ok(())
}

#[tokio::test]
async fn periodic_hooks_run_for_as_long_as_the_sandbox_does() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api
        .create(json!({"lifecycle": {"periodic": [
            {"name": "tick", "schedule": "@every 1s", "command": ["sh", "-c", "echo tick >> /ticks"]},
            {"name": "never now", "schedule": "@yearly", "command": ["sh", "-c", "echo > /yearly"]},
        ]}}))
        .await?;
    let execd = sandbox.execd().await?;
    eventually("three runs", PATIENCE, async || {
        Ok(execd.run("cat /ticks").await?.stdout.lines().count() >= 3)
    })
    .await?;
    assert_eq!(execd.run("test -e /yearly").await?.exit_code, 1);
    sandbox.delete().await
}

#[tokio::test]
async fn hooks_that_make_no_sense_are_refused_by_name() -> Result<()> {
    let api = Server::shared()?.api();
    let periodic = json!({"name": "n", "schedule": "@hourly", "command": ["true"]});
    for (lifecycle, member) in [
        (json!({"postStop": {"command": ["true"]}}), "lifecycle.postStop"),
        (json!({"preStart": {"command": ["true"], "shell": true}}), "lifecycle.preStart.shell"),
        (json!({"preStart": {"command": []}}), "lifecycle.preStart.command"),
        (
            json!({"preStart": {"command": ["true"], "timeoutSeconds": 10801}}),
            "lifecycle.preStart.timeoutSeconds",
        ),
        (json!({"periodic": [periodic, periodic]}), "lifecycle.periodic[1].name"),
        (
            json!({"periodic": [{"name": "n", "schedule": "61 * * * *", "command": ["true"]}]}),
            "lifecycle.periodic[0].schedule",
        ),
    ] {
        let body = create_body(json!({"lifecycle": lifecycle}));
        let (_, message) = api.post("/v1/sandboxes", &body).await?.expect_error(400)?;
        ensure!(message.starts_with(member), "{lifecycle}: {message}");
    }
    let body = create_body(json!({"env": {"OPENSANDBOX_LIFECYCLE": "{}"}}));
    let (_, message) = api.post("/v1/sandboxes", &body).await?.expect_error(400)?;
    ensure!(message.contains("OPENSANDBOX_LIFECYCLE"), "{message}");
    Ok(())
}
