//! Sandboxes stopped so that their files last, and started again.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use hyper::Method;
use sandkeep_tests::{
    api::{Answer, Sandbox, eventually},
    leaks::Watch,
    server::{Server, Setup},
};
use serde_json::{Value, json};

/// Notes each of its starts in a file, and how it was asked to.
const PROGRAM: &str = "echo start $HOW >>/srv/starts; exec tail -f /dev/null";

/// A restarted server goes on with what was begun within this time: more than its own bounds on a start.
const ARRIVAL: Duration = Duration::from_secs(90);

fn body() -> Value {
    json!({"entrypoint": ["sh", "-c", PROGRAM], "env": {"HOW": "plainly"}})
}

async fn act(sandbox: &Sandbox, what: &str) -> Result<Answer> {
    sandbox.api.send(Method::POST, &format!("{}/{what}", sandbox.path()), None).await
}

async fn state(sandbox: &Sandbox) -> Result<String> {
    Ok(sandbox.get().await?["status"]["state"].as_str().unwrap_or_default().to_owned())
}

/// What the program has noted, once it has noted `times` starts.
async fn starts(sandbox: &Sandbox, times: usize) -> Result<()> {
    let execd = sandbox.execd().await?;
    eventually("the program notes its start", Duration::from_secs(20), async || {
        let noted = execd.output("cat /srv/starts 2>/dev/null || true").await?;
        ensure!(noted.lines().count() <= times, "it started too often: {noted}");
        Ok(noted.lines().filter(|line| *line == "start plainly").count() == times)
    })
    .await
}

#[tokio::test]
async fn files_address_and_limits_outlast_a_stop() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let sandbox = server.api().create(body()).await?;
    starts(&sandbox, 1).await?;
    let execd = sandbox.execd().await?;
    execd.output("head -c 3000000 /dev/urandom >/srv/data; sha256sum /srv/data >/srv/sum; rm /etc/hosts; ln -s /nowhere /etc/hosts; rm -r /usr/share/doc").await?;
    let address = sandbox.endpoint(44772, false).await?.0;
    act(&sandbox, "start").await?.expect_error(409)?;
    for round in 2..=4 {
        assert_eq!(act(&sandbox, "stop").await?.expect(200)?.json()?, json!({"memory": false}));
        let shown = sandbox.get().await?["status"].clone();
        assert_eq!((&shown["state"], &shown["reason"]), (&json!("Stopped"), &json!("STOPPED_FILES_ONLY")));
        ensure!(watch.processes()?.is_empty(), "processes outlast the stop");
        act(&sandbox, "stop").await?.expect_error(409)?;
        act(&sandbox, "pause").await?.expect_error(409)?;
        let (code, _) =
            server.api().get(&format!("{}/proxy/44772/ping", sandbox.path())).await?.expect_error(404)?;
        assert_eq!(code, "SANDBOX::NOT_REACHABLE");

        assert_eq!(act(&sandbox, "start").await?.expect(200)?.json()?, json!({"memory": false}));
        assert_eq!(state(&sandbox).await?, "Running");
        assert_eq!(sandbox.endpoint(44772, false).await?.0, address, "it moved");
        starts(&sandbox, round).await?;
        let again = sandbox.execd().await?;
        assert_eq!(
            again
                .output("sha256sum --quiet -c /srv/sum && readlink /etc/hosts && ls /usr/share")
                .await?
                .lines()
                .next(),
            Some("/nowhere")
        );
        ensure!(again.run("test -e /usr/share/doc").await?.exit_code != 0, "what was deleted is back");
        let greedy = again.run("python3 -c 'x = bytearray(600 << 20)'").await?;
        ensure!(greedy.exit_code != 0, "the memory limit does not hold after a start");
    }
    act(&sandbox, "pause").await?.expect(202)?;
    assert_eq!(act(&sandbox, "stop").await?.expect(200)?.json()?, json!({"memory": false}));
    sandbox.delete().await?;
    watch.returns_to(&baseline).await
}

#[tokio::test]
async fn a_stopped_sandbox_outlives_its_server() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let api = server.api();
    let (stopped, expiring) = (api.create(body()).await?, api.create(body()).await?);
    starts(&stopped, 1).await?;
    for sandbox in [&stopped, &expiring] {
        act(sandbox, "stop").await?.expect(200)?;
    }
    server.kill()?;
    server.restart()?;
    assert_eq!(state(&stopped).await?, "Stopped");
    act(&stopped, "start").await?.expect(200)?;
    let events =
        api.get(&format!("{}/diagnostics/events?limit=1", stopped.path())).await?.expect(200)?.text();
    for told in ["SANDBOX_RUNNING", " slot ", " clone ", " ready "] {
        ensure!(events.contains(told), "no {told:?} of a start in {events}");
    }
    starts(&stopped, 2).await?;
    // An adopted sandbox stops as well as one this server has started.
    server.kill()?;
    server.restart()?;
    assert_eq!(state(&stopped).await?, "Running");
    act(&stopped, "stop").await?.expect(200)?;
    act(&stopped, "start").await?.expect(200)?;
    starts(&stopped, 3).await?;
    stopped.delete().await?;

    let soon = (chrono::Utc::now() + chrono::TimeDelta::seconds(1)).to_rfc3339();
    api.post(&format!("{}/renew-expiration", expiring.path()), &json!({"expiresAt": soon}))
        .await?
        .expect(200)?;
    eventually("it expires", Duration::from_secs(20), async || {
        Ok(api.get(&expiring.path()).await?.status == 404)
    })
    .await?;
    watch.returns_to(&baseline).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_a_stop_or_a_start_goes_on_with_it() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let sandbox = server.api().create(body()).await?;
    starts(&sandbox, 1).await?;
    for (round, what) in ["stop", "start"].into_iter().cycle().take(10).enumerate() {
        let (act, kill) = (act(&sandbox, what), async {
            tokio::time::sleep(Duration::from_millis(round as u64 * 7)).await;
            server.kill()
        });
        // Whether the answer still came is a matter of luck.
        let (_, killed) = tokio::join!(act, kill);
        killed?;
        tokio::task::block_in_place(|| server.restart())?;
        let mut seen = Value::Null;
        let arrived = eventually("it has arrived somewhere", ARRIVAL, async || {
            seen = sandbox.get().await?["status"].clone();
            let told = seen["state"].as_str().unwrap_or_default();
            // What is over stays so: there is nothing to wait for.
            ensure!(!["Failed", "Terminated"].contains(&told), "it is lost");
            Ok(["Running", "Stopped"].contains(&told))
        });
        arrived.await.with_context(|| {
            format!("round {round}, killed in a {what}: it is {seen}; the server's log:\n{}", server.log())
        })?;
        // Not begun when the server died: begin it now, so that the rounds go on alternating.
        if (state(&sandbox).await? == "Running") == (what == "stop") {
            self::act(&sandbox, what).await?.expect(200)?;
        }
        match what {
            // Whoever inherits the processes of a dead launcher may be slow to reap them.
            "stop" => {
                eventually("no process is left", Duration::from_secs(20), async || {
                    Ok(watch.processes()?.is_empty())
                })
                .await?;
            }
            _ => assert_eq!(sandbox.execd().await?.output("head -1 /srv/starts").await?, "start plainly"),
        }
    }
    sandbox.delete().await?;
    watch.returns_to(&baseline).await
}

#[tokio::test]
async fn an_oci_runtimes_sandbox_stops_and_starts_too() -> Result<()> {
    sandkeep_tests::paths::program("runc", "runc")?;
    let server = Server::start(Setup::default().set("native", "oci_runtime = \"runc\""))?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let sandbox = server.api().create(body()).await?;
    starts(&sandbox, 1).await?;
    let stopped = server.api().post(&format!("{}/stop", sandbox.path()), &json!({"memory": true})).await?;
    let stopped = stopped.expect(200)?.json()?;
    assert_eq!(stopped["memory"], false);
    ensure!(stopped["reason"].as_str().is_some_and(|reason| reason.contains("OCI runtime")), "{stopped}");
    act(&sandbox, "start").await?.expect(200)?;
    starts(&sandbox, 2).await?;
    sandbox.delete().await?;
    watch.returns_to(&baseline).await
}

#[tokio::test]
async fn a_program_that_does_not_start_leaves_the_sandbox_stopped() -> Result<()> {
    let server = Server::shared()?;
    let api = server.api();
    let hook = json!({"preStart": {"command": ["sh", "-c", "test ! -e /srv/refuse"]}});
    let sandbox = api.create(json!({"lifecycle": hook})).await?;
    let execd = sandbox.execd().await?;
    execd.output("touch /srv/refuse").await?;
    act(&sandbox, "stop").await?.expect(200)?;
    act(&sandbox, "start").await?.expect_error(400)?;
    let shown = sandbox.get().await?["status"].clone();
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("Stopped"), &json!("START_FAILED")));
    ensure!(shown["message"].as_str().is_some_and(|text| !text.is_empty()), "{shown}");
    for (body, status) in [(json!({"memory": "yes"}), 400), (json!({"other": 1}), 400)] {
        api.post(&format!("{}/stop", sandbox.path()), &body).await?.expect_error(status)?;
    }
    sandbox.delete().await
}

#[tokio::test]
async fn capabilities_say_what_works_and_why_the_rest_does_not() -> Result<()> {
    let told = Server::shared()?.api().get("/v1/capabilities").await?.expect(200)?.json()?;
    let of = |name: &str| told["capabilities"][name].clone();
    assert_eq!((of("pause"), of("stop")), (json!({"available": true}), json!({"available": true})));
    let memory = of("stop.memory");
    let says = |name: &str| memory[name].as_str().is_some_and(|text| !text.is_empty());
    match memory["available"].as_bool() {
        Some(true) => ensure!(says("version") && memory["reason"].is_null(), "{told}"),
        _ => ensure!(says("reason"), "{told}"),
    }
    Ok(())
}

/// Puts a program that does what `script` says where CRIU's loader is looked for.
fn stand_in(prefix: &Path, script: &str) -> Result<()> {
    // By another process: one that this process had open to write might still be so in a child of another test.
    let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$2\" && chmod 755 \"$2\"";
    let status = Command::new("sh").args(["-c", write, "sh", script]).arg(prefix.join("ld.so")).status()?;
    ensure!(status.success(), "writing a stand-in: {status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_criu_that_works_files_are_kept_and_the_reason_is_told() -> Result<()> {
    let prefix = tempfile::tempdir()?;
    let server = Server::start(Setup::default().set("native", format!("criu = {:?}", prefix.path())))?;
    let sandbox = server.api().create(body()).await?;
    let poor = "case \"$*\" in *--version) echo Version: 4.2;; *) echo 'Error (criu/x.c:1): no such call' >&2; exit 1;; esac";
    let cases = [
        (None, "is not installed in", Value::Null),
        (Some("echo Version: 3.17.1"), "CRIU 3.17.1 is too old: 4.2 is needed", json!("3.17.1")),
        (Some(poor), "CRIU 4.2 cannot work on this host: no such call", json!("4.2")),
    ];
    for (round, (script, reason, version)) in (2..).zip(cases) {
        if let Some(script) = script {
            stand_in(prefix.path(), script)?;
            server.stop()?;
            tokio::task::block_in_place(|| server.restart())?;
        }
        let told = server.api().get("/v1/capabilities").await?.expect(200)?.json()?;
        let told = &told["capabilities"]["stop.memory"];
        let said = told["reason"].as_str().unwrap_or_default();
        ensure!(told["available"] == false && said.contains(reason), "{reason}: {told}");
        assert_eq!(told["version"], version);
        let stop = format!("{}/stop", sandbox.path());
        let answer = server.api().post(&stop, &json!({"memory": true})).await?.expect(200)?.json()?;
        assert_eq!(answer, json!({"memory": false, "reason": said}));
        assert_eq!(sandbox.get().await?["status"]["reason"], "STOPPED_FILES_ONLY");
        // Memory that was never kept is not missed by who asks for it.
        let start = format!("{}/start", sandbox.path());
        let answer = server.api().post(&start, &json!({"memory": true})).await?.expect(200)?.json()?;
        assert_eq!(answer, json!({"memory": false}));
        starts(&sandbox, round).await?;
    }
    sandbox.delete().await
}
