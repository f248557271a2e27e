//! What the server tells of a sandbox when something is wrong with it, from what really happened.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    api::{Api, Sandbox, create_body, eventually},
    server::{Server, Setup},
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// Creates a sandbox whose program is a shell script; it may end at once.
async fn script(api: &Api, script: &str, overrides: Value) -> Result<Sandbox> {
    let mut body = create_body(json!({"entrypoint": ["sh", "-c", script]}));
    if let (Some(body), Value::Object(overrides)) = (body.as_object_mut(), overrides) {
        body.extend(overrides);
    }
    let created = api.post("/v1/sandboxes", &body).await?.expect(202)?.json()?;
    let id = created["id"].as_str().context("an id")?.to_owned();
    Ok(Sandbox { id, api: api.clone() })
}

/// The log without what the sandbox's own daemon adds to it.
fn own(log: &str) -> String {
    log.lines().filter(|line| !line.contains(" execd listens")).map(|line| format!("{line}\n")).collect()
}

async fn report(sandbox: &Sandbox, what: &str) -> Result<String> {
    let path = format!("{}/diagnostics/{what}", sandbox.path());
    Ok(sandbox.api.get(&path).await?.expect(200)?.text())
}

/// Waits until a report contains `text`, and returns it.
async fn report_with(sandbox: &Sandbox, what: &str, text: &str) -> Result<String> {
    let (mut last, wanted) = (String::new(), format!("{what} contains {text:?}"));
    let found = eventually(&wanted, PATIENCE, async || {
        last = report(sandbox, what).await?;
        Ok(last.contains(text))
    });
    found.await.with_context(|| format!("the last one: {last}"))?;
    report(sandbox, what).await
}

#[tokio::test]
async fn logs_are_shown_followed_and_kept_after_the_end() -> Result<()> {
    let api = Server::shared()?.api();
    let printing =
        "for n in 1 2 3; do echo line $n; done; until [ -e /go ]; do sleep 0.1; done; echo last; exit 3";
    let sandbox = script(&api, printing, json!({})).await?;
    assert_eq!(own(&report_with(&sandbox, "logs", "line 3").await?), "line 1\nline 2\nline 3\n");

    let legacy = api.get(&format!("{}/diagnostics/logs?tail=2", sandbox.path())).await?.expect(200)?;
    assert_eq!((legacy.text().as_str(), legacy.header("deprecation")), ("line 2\nline 3\n", "true"));
    ensure!(legacy.header("content-type").starts_with("text/plain"));
    let described =
        api.get(&format!("{}/diagnostics/logs?scope=%20ALL&tail=1", sandbox.path())).await?.expect(200)?;
    assert_eq!(described.header("deprecation"), "");
    let described = described.json()?;
    assert_eq!(described["content"], "line 3\n");
    assert_eq!(described["contentLength"], 7);
    assert_eq!((&described["scope"], &described["delivery"]), (&json!("all"), &json!("inline")));
    assert_eq!((&described["kind"], &described["truncated"]), (&json!("logs"), &json!(true)));
    assert_eq!(described["warnings"].as_array().map(Vec::len), Some(1));
    ensure!(report(&sandbox, "logs?since=1h&scope=container").await?.contains("line 1"));
    let stamped = report(&sandbox, "logs?timestamps=true&tail=1").await?;
    let (instant, line) = stamped.split_once(' ').context("an instant")?;
    ensure!(chrono::DateTime::parse_from_rfc3339(instant).is_ok() && line == "line 3\n", "{stamped}");

    // The follower's answer ends when the sandbox does, so it can be read to its end.
    let (follower, path) = (api.clone(), format!("{}/diagnostics/logs?follow=true", sandbox.path()));
    let followed = tokio::spawn(async move { follower.get(&path).await?.expect(200) });
    sandbox.execd().await?.output("touch /go").await?;
    let followed = tokio::time::timeout(PATIENCE, followed).await.context("the follower")???;
    assert_eq!(own(&followed.text()), "line 1\nline 2\nline 3\nlast\n");

    let failed =
        eventually("the end", PATIENCE, async || Ok(sandbox.get().await?["status"]["state"] == "Failed"));
    failed.await?;
    assert_eq!(own(&report(&sandbox, "logs").await?), "line 1\nline 2\nline 3\nlast\n");
    let events = report(&sandbox, "events").await?;
    ensure!(events.contains("[Warning] SANDBOX_EXITED_ERROR: the sandbox is Failed"), "{events}");
    ensure!(events.contains("(exit code 3)"), "{events}");
    let path = format!("{}/diagnostics/logs", sandbox.path());
    sandbox.delete().await?;
    let (code, _) = api.get(&path).await?.expect_error(404)?;
    assert_eq!(code, "SANDBOX::NOT_FOUND");
    Ok(())
}

#[tokio::test]
async fn a_start_is_told_in_phases() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({})).await?;
    let events = report(&sandbox, "events").await?;
    let lines: Vec<&str> = events.lines().collect();
    ensure!(lines.len() == 2, "{events}");
    ensure!(lines[0].contains("[Normal] SANDBOX_STARTING: the sandbox is Pending"), "{events}");
    ensure!(lines[1].contains("[Normal] SANDBOX_RUNNING: the sandbox is Running"), "{events}");
    for phase in ["image", "slot", "clone", "ready"] {
        ensure!(lines[1].contains(&format!(" {phase} ")), "no {phase} in {events}");
    }
    let described: Value = serde_json::from_str(&report(&sandbox, "events?scope=runtime&limit=1").await?)?;
    assert_eq!((&described["kind"], &described["truncated"]), (&json!("events"), &json!(true)));
    ensure!(described["content"].as_str().is_some_and(|text| text.lines().count() == 1), "{described}");
    ensure!(described.get("warnings").is_none(), "{described}");
    sandbox.delete().await
}

#[tokio::test]
async fn limits_that_were_hit_are_told() -> Result<()> {
    let api = Server::shared()?.api();
    let limits = json!({"resourceLimits": {"cpu": "1", "memory": "64Mi", "pids": "32", "disk": "32Mi"}});
    let sandbox = api.create(limits).await?;
    let execd = sandbox.execd().await?;
    // The command that dies is not the sandbox's program, so the sandbox goes on.
    let _ = execd.output("tail -c 200M /dev/zero | tail -c 200M > /dev/null; true").await;
    let _ = execd.output("for n in $(seq 60); do sleep 20 & done 2>/dev/null; true").await;
    let _ = execd.output("head -c 64M /dev/zero > /fill 2>/dev/null; true").await;
    let events = report_with(&sandbox, "events?limit=500", "memory limit").await?;
    for text in ["at the memory limit", "at the limit of pids", "disk of the sandbox is full"] {
        ensure!(events.contains(text), "no {text:?} in {events}");
    }
    ensure!(events.lines().filter(|line| line.contains("disk of")).count() == 1, "told twice: {events}");
    let metrics = api.get(&format!("{}/metrics", sandbox.path())).await?.expect(200)?.json()?;
    ensure!(metrics["oomKills"].as_u64() > Some(0) && metrics["pidsRefused"].as_u64() > Some(0), "{metrics}");
    assert_eq!(metrics["memoryLimitBytes"], 64 << 20);
    assert_eq!(metrics["pidsLimit"], 32);
    ensure!(
        metrics["cpuMicros"].as_u64() > Some(0) && metrics["memoryBytes"].as_u64() > Some(0),
        "{metrics}"
    );
    ensure!(metrics["diskBytes"].as_u64() > Some(16 << 20), "{metrics}");
    let inspection = report(&sandbox, "inspect").await?;
    ensure!(inspection.contains("  Memory limit (bytes): 67108864\n"), "{inspection}");
    sandbox.delete().await
}

#[tokio::test]
async fn only_an_end_for_want_of_memory_is_called_one() -> Result<()> {
    let api = Server::shared()?.api();
    let limits = json!({"resourceLimits": {"memory": "64Mi"}});
    let greedy = "python3 -c 'bytearray(200 << 20)'";
    let waiting = |end: &str| format!("until [ -e /go ]; do sleep 0.1; done; {end}");
    let killed = script(&api, &waiting(&format!("exec {greedy}")), limits.clone()).await?;
    let ends_well = script(&api, &waiting("exit 0"), limits.clone()).await?;
    let ends_badly = script(&api, &waiting("exit 3"), limits).await?;
    for sandbox in [&ends_well, &ends_badly] {
        let ran = sandbox.execd().await?.run(greedy).await?;
        ensure!(ran.exit_code != 0, "200 MiB fit into 64: {ran:?}");
    }
    for (sandbox, state, reason) in [
        (killed, "Failed", "OOM_KILLED"),
        (ends_well, "Terminated", "SANDBOX_EXITED"),
        (ends_badly, "Failed", "SANDBOX_EXITED_ERROR"),
    ] {
        // The sandbox may end before its answer is through.
        let _ = sandbox.execd().await?.output("touch /go").await;
        assert_eq!(sandbox.wait_state(state).await?["status"]["reason"], reason);
        sandbox.delete().await?;
    }
    Ok(())
}

#[tokio::test]
async fn secrets_are_masked_in_reports_and_errors() -> Result<()> {
    let api = Server::shared()?.api();
    let env = json!({"API_KEY": "sk-very-secret", "MODE": "fast"});
    let sandbox = api.create(json!({"env": env, "metadata": {"team": "blue"}})).await?;
    let inspection = report(&sandbox, "inspect").await?;
    for line in ["State: Running", "  API_KEY: ***", "  MODE: fast", "  team: blue", "  44772: execd"] {
        ensure!(inspection.contains(&format!("{line}\n")), "no {line:?} in {inspection}");
    }
    for section in ["Resources:", "Network:", "Ports:", "Labels:", "Environment:"] {
        ensure!(inspection.lines().any(|line| line == section), "no {section} in {inspection}");
    }
    let summary = report(&sandbox, "summary?tail=5&event_limit=5").await?;
    for part in ["--- INSPECT ---", "--- EVENTS ---", "--- LOGS ---", "SANDBOX_RUNNING"] {
        ensure!(summary.contains(part), "no {part:?} in {summary}");
    }
    ensure!(!summary.contains("sk-very-secret"), "{summary}");

    // A program that cannot even start may be quoted with what it was given.
    let hook = json!({"preStart": {"command": ["sh", "-c", "echo got $API_KEY >&2; exit 9"]}});
    let body = create_body(json!({"env": {"API_KEY": "sk-very-secret"}, "lifecycle": hook}));
    let (code, message) = api.post("/v1/sandboxes", &body).await?.expect_error(400)?;
    assert_eq!(code, "SANDBOX::START_FAILED");
    ensure!(!message.contains("sk-very-secret") && message.contains("***"), "{message}");
    sandbox.delete().await
}

#[tokio::test]
async fn wrong_questions_are_refused() -> Result<()> {
    let api = Server::shared()?.api();
    let nobody = "/v1/sandboxes/00000000-0000-4000-8000-000000000000";
    for (path, code) in [
        // The scope is judged before the sandbox is looked for.
        ("diagnostics/logs?scope=runtime", "DIAGNOSTICS_SCOPE_UNSUPPORTED"),
        ("diagnostics/events?scope=container", "DIAGNOSTICS_SCOPE_UNSUPPORTED"),
        ("diagnostics/logs?scope=", "DIAGNOSTICS_SCOPE_UNSUPPORTED"),
        ("diagnostics/logs?tail=0", "SANDBOX::INVALID_PARAMETER"),
        ("diagnostics/logs?tail=10001", "SANDBOX::INVALID_PARAMETER"),
        ("diagnostics/events?limit=501", "SANDBOX::INVALID_PARAMETER"),
        ("diagnostics/summary?event_limit=x", "SANDBOX::INVALID_PARAMETER"),
    ] {
        let (answered, _) = api.get(&format!("{nobody}/{path}")).await?.expect_error(400)?;
        assert_eq!(answered, code, "{path}");
    }
    for path in ["logs", "events?scope=all", "inspect", "summary"] {
        api.get(&format!("{nobody}/diagnostics/{path}")).await?.expect_error(404)?;
    }
    api.get(&format!("{nobody}/metrics")).await?.expect_error(404)?;
    Ok(())
}

#[tokio::test]
async fn a_flood_of_output_is_bounded_on_disk_and_survives_a_restart() -> Result<()> {
    let server = Server::start(Setup::default().set("native", "log_size = \"256Ki\""))?;
    let api = server.api();
    let flood =
        script(&api, "seq 1 100000; until [ -e /go ]; do sleep 0.1; done; echo after; sleep 1000", json!({}))
            .await?;
    report_with(&flood, "logs?tail=1", "100000").await?;
    let logs = server.state().join("logs");
    let used: u64 =
        std::fs::read_dir(&logs)?.map(|entry| Ok(entry?.metadata()?.len())).sum::<Result<u64>>()?;
    ensure!(used > 100 << 10 && used < 300 << 10, "{used} bytes");
    let described: Value = serde_json::from_str(&report(&flood, "logs?scope=container&tail=10000").await?)?;
    assert_eq!(described["truncated"], true);

    server.kill()?;
    server.restart()?;
    flood.execd().await?.output("touch /go").await?;
    let tail = report_with(&flood, "logs?tail=2", "after").await?;
    assert_eq!(tail, "100000\nafter\n");
    flood.delete().await?;
    eventually("the log is removed", PATIENCE, async || Ok(std::fs::read_dir(&logs)?.next().is_none())).await
}

#[tokio::test]
async fn an_end_is_told_the_same_after_the_server_was_killed() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let waiting = |end: &str| format!("seq 1 120; until [ -e /go ]; do sleep 0.1; done; {end}");
    let killed =
        script(&api, &waiting("kill -KILL $$"), json!({"env": {"DB_PASSWORD": "hunter2-secret"}})).await?;
    let by_status = script(&api, &waiting("exit 7"), json!({})).await?;
    for sandbox in [&killed, &by_status] {
        // The sandbox may end before its answer is through.
        let _ = sandbox.execd().await?.output("touch /go").await;
        sandbox.wait_state("Failed").await?;
    }
    // Nobody is told more than the last hundred lines unasked, and what is no time is ten minutes.
    assert_eq!(report(&by_status, "logs").await?.lines().count(), 100);
    for query in ["logs?since=soon&tail=1", "logs?since=1h&tail=1"] {
        assert_eq!(report(&by_status, query).await?, "120\n");
    }
    let mut told = Vec::new();
    for (sandbox, end) in [(&killed, "137"), (&by_status, "7")] {
        let events = report(sandbox, "events").await?;
        ensure!(events.contains(&format!("exit code {end}")), "{events}");
        let summary = report(sandbox, "summary").await?;
        ensure!(!summary.contains("hunter2-secret") && summary.contains("State: Failed"), "{summary}");
        told.push((events, report(sandbox, "logs?tail=500").await?));
    }
    ensure!(report(&killed, "inspect").await?.contains("  DB_PASSWORD: ***\n"));
    server.kill()?;
    server.restart()?;
    for (sandbox, before) in [killed, by_status].into_iter().zip(told) {
        assert_eq!((report(&sandbox, "events").await?, report(&sandbox, "logs?tail=500").await?), before);
        sandbox.delete().await?;
    }
    Ok(())
}
