//! Sandboxes frozen where they are, and everything that may happen to one then.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::Method;
use sandkeep_tests::{
    api::{Api, Sandbox, eventually},
    execd::Execd,
    leaks::Watch,
    server::{Server, Setup},
};
use serde_json::json;

/// Prints a number as often as it can while it is let.
const COUNTER: &str = "i=0; while :; do i=$((i+1)); echo $i >/tmp/count; sleep 0.01; done";

async fn counting(api: &Api) -> Result<(Sandbox, Execd)> {
    let sandbox = api.create(json!({"entrypoint": ["sh", "-c", COUNTER]})).await?;
    let execd = sandbox.execd().await?;
    eventually("the counter counts", Duration::from_secs(20), async || {
        Ok(execd.output("cat /tmp/count 2>/dev/null || true").await?.parse::<u64>().is_ok())
    })
    .await?;
    Ok((sandbox, execd))
}

async fn act(sandbox: &Sandbox, what: &str) -> Result<sandkeep_tests::api::Answer> {
    sandbox.api.send(Method::POST, &format!("{}/{what}", sandbox.path()), None).await
}

/// Processor time of the sandbox in microseconds; it stands still while the sandbox does.
async fn used(sandbox: &Sandbox) -> Result<u64> {
    let listed = std::fs::read_dir("/proc")?.flatten().filter_map(|entry| {
        let environment = std::fs::read(entry.path().join("environ")).ok()?;
        let ours = String::from_utf8_lossy(&environment).contains(&format!("OPENSANDBOX_ID={}", sandbox.id));
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok().filter(|_| ours)?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    });
    let ticks: Vec<u64> = listed.collect();
    ensure!(!ticks.is_empty(), "sandbox {} has no process", sandbox.id);
    Ok(ticks.iter().sum())
}

#[tokio::test]
async fn a_paused_sandbox_stands_still_and_goes_on_where_it_was() -> Result<()> {
    let api = Server::shared()?.api();
    let (sandbox, execd) = counting(&api).await?;
    let pause = act(&sandbox, "pause").await?.expect(202)?;
    assert!(pause.body.is_empty(), "{}", pause.text());
    let shown = sandbox.get().await?;
    assert_eq!(
        (&shown["status"]["state"], &shown["status"]["reason"]),
        (&json!("Paused"), &json!("SANDBOX_PAUSED"))
    );
    let listed = api.get("/v1/sandboxes?state=paused&pageSize=200").await?.json()?;
    ensure!(
        listed["items"]
            .as_array()
            .is_some_and(|all| all.iter().any(|item| item["id"] == sandbox.id.as_str()))
    );
    let (code, _) = act(&sandbox, "pause").await?.expect_error(409)?;
    assert_eq!(code, "SANDBOX::INVALID_STATE");

    let before = used(&sandbox).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(used(&sandbox).await?, before, "a frozen sandbox used the processor");

    assert!(act(&sandbox, "resume").await?.expect(202)?.body.is_empty());
    assert_eq!(sandbox.get().await?["status"]["state"], "Running");
    act(&sandbox, "resume").await?.expect_error(409)?;
    // Nothing at all in the instant before the next number is written.
    let count =
        async || -> Result<u64> { Ok(execd.output("cat /tmp/count").await?.parse().unwrap_or_default()) };
    let first = count().await?;
    eventually("it counts on", Duration::from_secs(20), async || Ok(count().await? > first)).await?;
    let missing = Sandbox { id: "00000000-0000-4000-8000-000000000000".into(), api: api.clone() };
    for what in ["pause", "resume"] {
        assert_eq!(act(&missing, what).await?.expect_error(404)?.0, "SANDBOX::NOT_FOUND");
    }
    sandbox.delete().await
}

#[tokio::test]
async fn a_paused_sandbox_is_deleted_expires_and_dies_like_any() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let deleted = api.create(json!({})).await?;
    let expiring = api.create(json!({})).await?;
    let dying = api.create(json!({})).await?;
    for sandbox in [&deleted, &expiring, &dying] {
        act(sandbox, "pause").await?.expect(202)?;
    }
    deleted.delete().await?;
    let soon = (chrono::Utc::now() + chrono::TimeDelta::seconds(1)).to_rfc3339();
    let path = format!("{}/renew-expiration", expiring.path());
    api.post(&path, &json!({"expiresAt": soon})).await?.expect(200)?;
    eventually("it expires", Duration::from_secs(20), async || {
        Ok(api.get(&expiring.path()).await?.status == 404)
    })
    .await?;
    for pid in watch.processes()? {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if String::from_utf8_lossy(&environment).contains(&format!("OPENSANDBOX_ID={}", dying.id)) {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed());
            pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
        }
    }
    eventually("its end is seen", Duration::from_secs(20), async || {
        Ok(dying.get().await?["status"]["state"] == "Failed")
    })
    .await?;
    dying.delete().await?;
    watch.returns_to(&baseline).await
}

#[tokio::test]
async fn a_killed_server_finds_the_paused_paused_and_the_running_running() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let (paused, _) = counting(&server.api()).await?;
    let (running, running_execd) = counting(&server.api()).await?;
    act(&paused, "pause").await?.expect(202)?;
    server.kill()?;
    let frozen = used(&paused).await?;
    server.restart()?;
    assert_eq!(paused.get().await?["status"]["state"], "Paused");
    assert_eq!(used(&paused).await?, frozen);
    assert_eq!(running.get().await?["status"]["state"], "Running");
    assert_eq!(running_execd.output("echo alive").await?, "alive");
    act(&paused, "resume").await?.expect(202)?;
    assert_eq!(paused.execd().await?.output("echo awake").await?, "awake");
    paused.delete().await?;
    running.delete().await
}

#[tokio::test]
async fn an_oci_runtimes_sandbox_pauses_too() -> Result<()> {
    sandkeep_tests::paths::program("runc", "runc")?;
    let server = Server::start(Setup::default().set("native", "oci_runtime = \"runc\""))?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let (sandbox, execd) = counting(&server.api()).await?;
    act(&sandbox, "pause").await?.expect(202)?;
    let before = used(&sandbox).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(used(&sandbox).await?, before);
    act(&sandbox, "resume").await?.expect(202)?;
    assert_eq!(execd.output("echo awake").await?, "awake");
    act(&sandbox, "pause").await?.expect(202)?;
    sandbox.delete().await?;
    watch.returns_to(&baseline).await
}

/// A Python HTTP server inside, and a sandbox that sleeps when nobody asks it.
fn sleepy() -> serde_json::Value {
    json!({
        "entrypoint": ["python3", "-m", "http.server", "8000", "--directory", "/etc"],
        "extensions": {"access.autopause.idle.seconds": "1", "access.autoresume": "true"},
    })
}

async fn asleep(sandbox: &Sandbox) -> Result<()> {
    eventually("it is paused for idleness", Duration::from_secs(30), async || {
        Ok(sandbox.get().await?["status"]["state"] == "Paused")
    })
    .await
}

#[tokio::test]
async fn an_idle_sandbox_is_paused_and_a_request_wakes_it() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(sleepy()).await?;
    asleep(&sandbox).await?;
    // Through the server: the caller notices nothing.
    let path = format!("{}/proxy/8000/hostname", sandbox.path());
    eventually("the server inside is up", Duration::from_secs(20), async || {
        Ok(api.get(&path).await?.status == 200)
    })
    .await?;
    assert_eq!(sandbox.get().await?["status"]["state"], "Running");
    asleep(&sandbox).await?;
    assert_eq!(api.get(&path).await?.status, 200);
    asleep(&sandbox).await?;
    // Straight to the sandbox.
    let (address, _) = sandbox.endpoint(8000, false).await?;
    let direct = Api::new(format!("http://{address}"), "");
    assert_eq!(direct.get("/hostname").await?.status, 200);
    // A manual pause ends with the next use as well.
    if sandbox.get().await?["status"]["state"] == "Running" {
        act(&sandbox, "pause").await?;
    }
    assert_eq!(api.get(&path).await?.status, 200);
    sandbox.delete().await
}

#[tokio::test]
async fn whoever_woke_it_can_pause_it_at_once() -> Result<()> {
    let api = Server::shared()?.api();
    let mut body = sleepy();
    body["extensions"] = json!({"access.autoresume": "true"});
    let sandbox = api.create(body).await?;
    let (address, _) = sandbox.endpoint(8000, false).await?;
    let direct = Api::new(format!("http://{address}"), "");
    eventually("the server inside is up", Duration::from_secs(20), async || {
        Ok(direct.get("/hostname").await.is_ok_and(|answer| answer.status == 200))
    })
    .await?;
    for round in 0..20 {
        act(&sandbox, "pause").await?.expect(202).with_context(|| format!("round {round}"))?;
        assert_eq!(direct.get("/hostname").await?.status, 200);
    }
    sandbox.delete().await
}

#[tokio::test]
async fn what_is_used_is_not_paused() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(sleepy()).await?;
    let execd = sandbox.execd_through_server().await?;
    // Silent for several idle times, and still one request.
    let command = "until [ -e /tmp/go ]; do sleep 0.1; done; echo done";
    let mut stream = execd.stream("/command", &json!({ "command": command })).await?;
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert_eq!(sandbox.get().await?["status"]["state"], "Running");
    }
    execd.run("touch /tmp/go").await?;
    stream.next_of(&["stdout"]).await?;
    assert_eq!(stream.finish().await?.exit_code, 0);
    asleep(&sandbox).await?;
    // Nobody proves anything here, so nobody is woken.
    let stranger = Api::new(&api.base, "wrong");
    stranger.get(&format!("{}/proxy/8000/", sandbox.path())).await?.expect(401)?;
    assert_eq!(sandbox.get().await?["status"]["state"], "Paused");
    sandbox.delete().await
}

#[tokio::test]
async fn a_sandbox_that_was_not_asked_to_wake_stays_paused() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let extensions = json!({"access.autopause.idle.seconds": "1"});
    let sandbox = api.create(json!({"extensions": extensions})).await?;
    asleep(&sandbox).await?;
    let (code, _) = api.get(&format!("{}/proxy/44772/ping", sandbox.path())).await?.expect_error(404)?;
    assert_eq!(code, "SANDBOX::NOT_REACHABLE");
    // The next server goes on with what the first was asked to do.
    server.kill()?;
    server.restart()?;
    assert_eq!(sandbox.get().await?["status"]["state"], "Paused");
    act(&sandbox, "resume").await?.expect(202)?;
    asleep(&sandbox).await?;
    sandbox.delete().await
}
