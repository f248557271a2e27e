//! A sandbox's sidecar through the sandbox's life: pauses, snapshots, stops, templates, pools.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    api::{Api, Sandbox, create_body, eventually},
    execd::Execd,
    guarded::{Guarded, make_vault, proxied, sidecar},
    paths::BASE_IMAGE,
    server::Setup,
};
use serde_json::{Value, json};

const SECRET: &str = "s3cret-AbCdEfGhIjKlMnOp";
const AUTHORITY: &str = "/opt/opensandbox/mitmproxy-ca-cert.pem";
/// Whatever is waited for on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

async fn bind(sandbox: &Sandbox) -> Result<()> {
    let bindings = json!([{
        "name": "api", "match": {"hosts": ["api.test"]}, "auth": {"type": "bearer", "credential": "key"},
    }]);
    make_vault(sandbox, &[("key", SECRET)], bindings).await
}

async fn act(sandbox: &Sandbox, what: &str) -> Result<()> {
    let answer = sandbox.api.post(&format!("{}/{what}", sandbox.path()), &json!({})).await?;
    ensure!([200, 202].contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
    Ok(())
}

async fn create(api: &Api, body: &Value) -> Result<Sandbox> {
    let made = api.post("/v1/sandboxes", body).await?.expect(202)?.json()?;
    let sandbox = Sandbox { id: made["id"].as_str().context("an id")?.to_owned(), api: api.clone() };
    sandbox.wait_state("Running").await?;
    Ok(sandbox)
}

/// The allowed host is reached, its certificate believed, and the denied one is not; says whether the secret went along.
async fn guarded(world: &Guarded, execd: &Execd) -> Result<bool> {
    world.web.take();
    let fetch = |host: &str| format!("curl -sS --max-time 60 https://{host}/echo");
    let reached = execd.run(&fetch("api.test")).await?;
    ensure!(reached.stdout.starts_with("you sent"), "an allowed host is not reached: {reached:?}");
    let received = world.web.only()?;
    let denied = execd.run(&fetch("other.test")).await?;
    ensure!(denied.exit_code != 0 && world.web.take().is_empty(), "a denied host is reached: {denied:?}");
    Ok(received.header("authorization") == Some(format!("Bearer {SECRET}").as_str()))
}

#[test]
fn policy_and_vault_go_through_a_sandboxs_life() -> Result<()> {
    let world = Guarded::start(Setup::default(), None)?;
    world.run(async |api| {
        let sandbox = api.create(proxied(&["api.test"])).await?;
        let execd = sandbox.execd().await?;
        bind(&sandbox).await?;
        ensure!(guarded(&world, &execd).await?, "the vault does not give");

        act(&sandbox, "pause").await?;
        sandbox.wait_state("Paused").await?;
        act(&sandbox, "resume").await?;
        sandbox.wait_state("Running").await?;
        ensure!(guarded(&world, &execd).await?, "the vault does not outlive a pause");

        let restored = from_snapshot(&api, &sandbox).await?;
        let (own, theirs) = (restored.execd().await?, execd.output(&format!("cat {AUTHORITY}")).await?);
        ensure!(!guarded(&world, &own).await?, "a snapshot holds a secret");
        assert_eq!(sidecar(&restored, "GET", "/credential-vault", None).await?.status, 404);
        // It has got the files of another sandbox, but nothing of what that one trusted.
        let line = theirs.lines().rev().nth(2).context("a certificate has lines")?;
        let found =
            own.run(&format!("grep -rlF -- '{line}' /etc/ssl /opt/opensandbox /usr/local/share")).await?;
        ensure!(found.exit_code == 1, "the authority of the snapshot's sandbox is trusted: {found:?}");
        bind(&restored).await?;
        ensure!(guarded(&world, &own).await?, "a restored sandbox's vault does not give");
        restored.delete().await?;

        act(&sandbox, "stop").await?;
        act(&sandbox, "start").await?;
        let execd = sandbox.execd().await?;
        ensure!(!guarded(&world, &execd).await?, "a secret outlives its sidecar");
        assert_eq!(sidecar(&sandbox, "GET", "/credential-vault", None).await?.status, 404);
        assert_eq!(execd.output(&format!("cat {AUTHORITY}")).await?, theirs);
        bind(&sandbox).await?;
        ensure!(guarded(&world, &execd).await?, "a sandbox started again cannot have a vault");
        Ok(())
    })
}

/// Another sandbox with the files of this one and a policy of its own.
async fn from_snapshot(api: &Api, sandbox: &Sandbox) -> Result<Sandbox> {
    let made = api.post(&format!("{}/snapshots", sandbox.path()), &json!({})).await?.expect(202)?.json()?;
    let id = made["id"].as_str().context("an id")?;
    eventually("the snapshot is made", PATIENCE, async || {
        let shown = api.get(&format!("/v1/snapshots/{id}")).await?.expect(200)?.json()?;
        ensure!(shown["status"]["state"] != "Failed", "{shown}");
        Ok(shown["status"]["state"] == "Ready")
    })
    .await?;
    let mut body = create_body(proxied(&["api.test"]));
    body["snapshotId"] = json!(id);
    let members = body.as_object_mut().context("an object")?;
    members.remove("image");
    members.remove("entrypoint");
    create(api, &body).await
}

#[test]
fn sandboxes_of_templates_have_policies_and_those_of_pools_say_that_they_have_none() -> Result<()> {
    let world = Guarded::start(Setup::default(), None)?;
    world.run(async |api| {
        let template = json!({"image": BASE_IMAGE, "publish": "a/b", "resourceLimits": {"memory": "128Mi"}});
        let built = api.post("/v1/templates", &template).await?.expect(201)?.json()?;
        let id = built["templateId"].as_str().context("an id")?;
        eventually("the template is built", PATIENCE, async || {
            let shown = api.get(&format!("/v1/templates/{id}")).await?.expect(200)?.json()?;
            ensure!(shown["status"]["phase"] != "Failed", "{shown}");
            Ok(shown["status"]["phase"] == "Succeeded")
        })
        .await?;
        let policy = json!({"defaultAction": "deny", "egress": [{"action": "allow", "target": "api.test"}]});
        let body = json!({"templateId": id, "timeout": 600, "networkPolicy": policy});
        let sandbox = create(&api, &body).await?;
        let execd = sandbox.execd().await?;
        let fetch = |host: &str| format!("curl -sS --max-time 60 http://{host}/echo");
        assert_eq!(execd.output(&fetch("api.test")).await?, "you sent none.");
        ensure!(execd.run(&fetch("other.test")).await?.exit_code != 0, "a denied host is reached");
        let shown = api.get(&format!("{}/networkpolicy", sandbox.path())).await?.expect(200)?.json()?;
        assert_eq!(shown["policy"], policy);

        // A sandbox of a pool runs before anybody says what it may reach.
        let pool = json!({
            "name": "ready",
            "template": {"spec": {"containers": [{"name": "sandbox", "image": BASE_IMAGE}]}},
            "capacitySpec": {"bufferMin": 0, "bufferMax": 0, "poolMin": 0, "poolMax": 1},
        });
        api.post("/v1/pools", &pool).await?.expect(201)?;
        for (member, value) in [("networkPolicy", policy), ("credentialProxy", json!({"enabled": true}))] {
            let mut body = json!({"extensions": {"poolRef": "ready"}, "timeout": 600});
            body[member] = value;
            let (_, message) = api.post("/v1/sandboxes", &body).await?.expect_error(400)?;
            ensure!(message.contains(member), "{member}: {message}");
        }
        Ok(())
    })
}
