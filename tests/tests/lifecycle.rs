//! The lifecycle of a sandbox over HTTP: every operation, its answers and its refusals.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use sandkeep_tests::{
    api::{Api, create_body, eventually},
    paths::BASE_IMAGE,
    server::{Server, Setup},
};
use serde_json::{Value, json};

fn time(value: &Value) -> Result<DateTime<Utc>> {
    let text = value.as_str().context("a time is text")?;
    Ok(DateTime::parse_from_rfc3339(text)?.with_timezone(&Utc))
}

#[tokio::test]
async fn a_created_sandbox_runs_and_a_deleted_one_is_gone() -> Result<()> {
    let api = Server::shared()?.api();
    let body = create_body(json!({"metadata": {"who": "first"}, "env": {"GREETING": "hello"}}));
    let created = api.post("/v1/sandboxes", &body).await?.expect(202)?;
    ensure!(!created.header("x-request-id").is_empty(), "no request id in {:?}", created.headers);
    let created = created.json()?;
    let id = created["id"].as_str().context("an id")?;
    ensure!(id.len() == 36 && id.chars().filter(|c| *c == '-').count() == 4, "not a UUID: {id}");
    assert_eq!(created["entrypoint"], json!(["tail", "-f", "/dev/null"]));
    assert_eq!(created["metadata"], json!({"who": "first"}));
    let lifetime = time(&created["expiresAt"])? - time(&created["createdAt"])?;
    assert_eq!(lifetime.num_seconds(), 900);

    let path = format!("/v1/sandboxes/{id}");
    eventually("the sandbox runs", Duration::from_secs(20), async || {
        Ok(api.get(&path).await?.expect(200)?.json()?["status"]["state"] == "Running")
    })
    .await?;
    let shown = api.get(&path).await?.json()?;
    assert_eq!(shown["image"]["uri"], BASE_IMAGE);
    ensure!(shown["image"].get("auth").is_none(), "credentials are shown: {shown}");
    time(&shown["status"]["lastTransitionAt"])?;

    let deleted = api.delete(&path).await?.expect(204)?;
    ensure!(deleted.body.is_empty(), "204 with a body");
    let (code, _) = api.get(&path).await?.expect_error(404)?;
    assert_eq!(code, "SANDBOX::NOT_FOUND");
    api.delete(&path).await?.expect_error(404)?;
    Ok(())
}

#[tokio::test]
async fn environment_and_identity_reach_the_sandbox() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({"env": {"GREETING": "hello there", "UNSET": null}})).await?;
    let execd = sandbox.execd().await?;
    let said = execd.output("echo \"$GREETING|${UNSET-absent}|$OPENSANDBOX_ID|$EXECD_URL\"").await?;
    assert_eq!(said, format!("hello there|absent|{}|http://127.0.0.1:44772", sandbox.id));
    sandbox.delete().await
}

#[tokio::test]
async fn lists_are_paged_sorted_and_filtered() -> Result<()> {
    let api = Server::shared()?.api();
    let group = uuid_like();
    let mut made = Vec::new();
    for number in 0..5 {
        let metadata = json!({"group": group, "number": number.to_string(), "empty": ""});
        made.push(api.create(json!({"metadata": metadata})).await?);
    }
    let filter = format!("metadata=group%3D{group}");
    let list = async |query: &str| -> Result<Value> {
        api.get(&format!("/v1/sandboxes?{filter}&{query}")).await?.expect(200)?.json()
    };

    let first = list("page=1&pageSize=2").await?;
    assert_eq!(
        first["pagination"],
        json!({"page": 1, "pageSize": 2, "totalItems": 5, "totalPages": 3, "hasNextPage": true})
    );
    assert_eq!(first["items"][0]["id"], made[4].id, "the newest comes first");
    let last = list("page=3&pageSize=2").await?;
    assert_eq!(last["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(last["pagination"]["hasNextPage"], false);
    let past = list("page=9&pageSize=2").await?;
    assert_eq!((past["items"].clone(), past["pagination"]["totalItems"].clone()), (json!([]), json!(5)));

    assert_eq!(list("state=running&state=Paused").await?["pagination"]["totalItems"], 5);
    assert_eq!(list("state=Paused").await?["pagination"]["totalItems"], 0);
    assert_eq!(list("state=NoSuchState").await?["items"], json!([]));

    let pair = format!("/v1/sandboxes?metadata=group%3D{group}%26number%3D3%26empty%3D");
    let one = api.get(&pair).await?.expect(200)?.json()?;
    assert_eq!(one["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(one["items"][0]["id"], made[3].id);

    for bad in ["page=0", "pageSize=0", "pageSize=201", "page=x", "metadata=nothing"] {
        let (_, message) = api.get(&format!("/v1/sandboxes?{bad}")).await?.expect_error(400)?;
        let name = bad.split('=').next().unwrap_or_default();
        ensure!(message.contains(name), "{bad}: the message does not name {name}: {message}");
    }
    for sandbox in made {
        sandbox.delete().await?;
    }
    Ok(())
}

#[tokio::test]
async fn metadata_is_merged() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({"metadata": {"keep": "1", "change": "1", "drop": "1"}})).await?;
    let path = format!("{}/metadata", sandbox.path());
    let patch = json!({"change": "2", "drop": null, "absent": null, "example.org/new": "3"});
    let patched = api.patch(&path, &patch).await?.expect(200)?.json()?;
    let wanted = json!({"keep": "1", "change": "2", "example.org/new": "3"});
    assert_eq!((&patched["id"], &patched["metadata"]), (&json!(sandbox.id), &wanted));
    assert_eq!(api.patch(&path, &json!({})).await?.expect(200)?.json()?["metadata"], wanted);

    for bad in
        [json!({"opensandbox.io/x": "1"}), json!({"k": "bad value"}), json!({"": "1"}), json!({"k": 1})]
    {
        api.patch(&path, &bad).await?.expect_error(400).with_context(|| format!("{bad}"))?;
    }
    for bad in [json!([]), json!("text"), json!(null)] {
        api.patch(&path, &bad).await?.expect_error(400).with_context(|| format!("{bad}"))?;
    }
    assert_eq!(sandbox.get().await?["metadata"], wanted);
    sandbox.delete().await
}

#[tokio::test]
async fn renewing_moves_the_expiry() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({})).await?;
    let path = format!("{}/renew-expiration", sandbox.path());
    let until = Utc::now() + TimeDelta::hours(2);
    let renewed = api.post(&path, &json!({"expiresAt": until.to_rfc3339()})).await?.expect(200)?.json()?;
    ensure!(renewed.as_object().is_some_and(|object| object.len() == 1), "only expiresAt: {renewed}");
    ensure!((time(&renewed["expiresAt"])? - until).num_milliseconds().abs() <= 1, "{renewed}, not {until}");
    ensure!((time(&sandbox.get().await?["expiresAt"])? - until).num_milliseconds().abs() <= 1);

    let sooner = Utc::now() + TimeDelta::minutes(5);
    api.post(&path, &json!({"expiresAt": sooner.to_rfc3339()})).await?.expect(200)?;
    let past = Utc::now() - TimeDelta::minutes(1);
    for bad in [json!({"expiresAt": past.to_rfc3339()}), json!({"expiresAt": "soon"}), json!({})] {
        let (_, message) = api.post(&path, &bad).await?.expect_error(400)?;
        ensure!(message.contains("expiresAt"), "the message does not name expiresAt: {message}");
    }
    sandbox.delete().await?;

    let eternal = api.create(json!({"timeout": null})).await?;
    ensure!(eternal.get().await?.get("expiresAt").is_none(), "no timeout means no expiry");
    let path = format!("{}/renew-expiration", eternal.path());
    api.post(&path, &json!({"expiresAt": until.to_rfc3339()})).await?.expect_error(409)?;
    eternal.delete().await
}

#[tokio::test]
async fn an_expired_sandbox_disappears() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({})).await?;
    let path = format!("{}/renew-expiration", sandbox.path());
    let soon = Utc::now() + TimeDelta::seconds(2);
    api.post(&path, &json!({"expiresAt": soon.to_rfc3339()})).await?.expect(200)?;
    let execd = sandbox.execd().await?;
    eventually("the expired sandbox is gone", Duration::from_secs(8), async || {
        Ok(api.get(&sandbox.path()).await?.status == 404)
    })
    .await?;
    ensure!(Utc::now() >= soon, "it went before its time");
    ensure!(execd.run("true").await.is_err(), "an expired sandbox still answers");
    Ok(())
}

#[tokio::test]
async fn a_sandbox_whose_program_ends_says_how() -> Result<()> {
    let api = Server::shared()?.api();
    for (program, state) in [("exit 0", "Terminated"), ("exit 3", "Failed")] {
        let program = format!("sleep 1; {program}");
        let body = create_body(json!({"entrypoint": ["sh", "-c", program]}));
        let created = api.post("/v1/sandboxes", &body).await?.expect(202)?.json()?;
        let path = format!("/v1/sandboxes/{}", created["id"].as_str().context("an id")?);
        eventually(&format!("{program:?} makes it {state}"), Duration::from_secs(15), async || {
            Ok(api.get(&path).await?.expect(200)?.json()?["status"]["state"] == state)
        })
        .await?;
        let status = api.get(&path).await?.json()?["status"].clone();
        let message = status["message"].as_str().unwrap_or_default();
        ensure!(state == "Terminated" || message.contains('3'), "the status hides the exit code: {status}");
        api.delete(&path).await?.expect(204)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_program_that_cannot_start_is_an_error_with_a_reason() -> Result<()> {
    let api = Server::shared()?.api();
    let before = api.ids().await?.len();
    let body = create_body(json!({"entrypoint": ["/no/such/program"], "metadata": {"doomed": "yes"}}));
    let answer = api.post("/v1/sandboxes", &body).await?;
    // Refused at once, or accepted and then seen to fail: either way the reason is told.
    let reason = if answer.status == 202 {
        let id = answer.json()?["id"].as_str().context("an id")?.to_owned();
        let path = format!("/v1/sandboxes/{id}");
        eventually("the sandbox fails", Duration::from_secs(15), async || {
            Ok(api.get(&path).await?.expect(200)?.json()?["status"]["state"] == "Failed")
        })
        .await?;
        let status = api.get(&path).await?.json()?["status"].to_string();
        api.delete(&path).await?.expect(204)?;
        status
    } else {
        ensure!((400..=500).contains(&answer.status), "{answer:?}");
        answer.text()
    };
    ensure!(reason.contains("/no/such/program"), "the reason is not told: {reason}");
    let doomed = api.get("/v1/sandboxes?metadata=doomed%3Dyes").await?.json()?;
    assert_eq!(doomed["items"], json!([]), "a failed create stays in the list (before: {before})");
    Ok(())
}

#[tokio::test]
async fn the_image_decides_what_the_request_leaves_open() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({})).await?;
    let execd = sandbox.execd().await?;
    ensure!(execd.output("echo $PATH").await?.contains("/usr/bin"), "no PATH");
    assert_eq!(execd.output("id -u; pwd").await?, "0\n/");
    ensure!(execd.output("cat /etc/hosts").await?.contains("localhost"), "no hosts file");
    ensure!(execd.output("cat /etc/resolv.conf").await?.contains("nameserver"), "no name server");
    sandbox.delete().await
}

#[tokio::test]
async fn events_of_published_clients_are_taken() -> Result<()> {
    let api = Server::shared()?.api();
    let event = json!({"eventType": "sandbox.create", "createDurationMs": 12, "success": true});
    let answer = api.post("/v1/metrics/events", &event).await?.expect(204)?;
    ensure!(answer.body.is_empty(), "204 with a body");
    for bad in [json!({}), json!({"eventType": "other", "createDurationMs": 1, "success": true})] {
        let (_, message) = api.post("/v1/metrics/events", &bad).await?.expect_error(400)?;
        ensure!(message.contains("eventType"), "the message does not name eventType: {message}");
    }
    Ok(())
}

#[tokio::test]
async fn health_version_and_documents_need_no_key() -> Result<()> {
    let server = Server::shared()?;
    let stranger = Api::new(server.url(), "not-the-key");
    assert_eq!(stranger.get("/health").await?.expect(200)?.json()?, json!({"status": "healthy"}));
    ensure!(stranger.get("/version").await?.expect(200)?.json()?["version"].is_string());
    ensure!(stranger.get("/openapi.json").await?.expect(200)?.json()?["openapi"] == "3.1.0");
    let (code, _) = stranger.get("/v1/sandboxes").await?.expect_error(401)?;
    assert_eq!(code, "INVALID_API_KEY");
    let metrics = server.api().get("/metrics").await?.expect(200)?.text();
    ensure!(metrics.contains("# TYPE"), "not Prometheus text: {metrics}");
    Ok(())
}

#[tokio::test]
async fn without_a_key_the_server_does_not_start() -> Result<()> {
    let refused = match Server::start(Setup::default().without_image().without_key()) {
        Ok(_) => anyhow::bail!("it started"),
        Err(error) => format!("{error:#}"),
    };
    ensure!(refused.contains("api_key"), "the reason is not told: {refused}");
    Ok(())
}

/// A configuration's keys, each with its table and line. Keys of tables that are comments are none.
fn keys(text: &str) -> BTreeMap<String, String> {
    let mut table = String::new();
    let mut found = BTreeMap::new();
    for line in text.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)) {
        if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut table);
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            found.insert(format!("{table}.{key}"), line.to_owned());
        }
    }
    found
}

#[tokio::test]
async fn a_server_starts_with_every_key_of_the_example() -> Result<()> {
    /// Not on the machine of a test, or nothing a test may touch.
    const ELSEWHERE: [&str; 5] = [
        "native.execd",
        "native.egress_sidecar",
        "egress.trusted_ca",
        "store.path",
        "storage.ossfs_mount_root",
    ];
    let server = Server::start(Setup::default())?;
    server.stop()?;
    let own = fs::read_to_string(server.config())?;
    let example = server.cli_ok(&["config", "example"])?;
    fs::write(server.config(), &example)?;
    // A key may come from a variable; with none there is nothing to serve with.
    let said = server.cli(&["config", "check"])?;
    ensure!(!said.status.success() && String::from_utf8_lossy(&said.stderr).contains("api_key"), "{said:?}");

    let mut all = keys(&example);
    ensure!(all.len() > 60, "{} keys in {example}", all.len());
    for key in ELSEWHERE {
        all.remove(key).with_context(|| format!("the example has no {key}"))?;
    }
    // Addresses and directories are the test's own.
    for (key, line) in keys(&own) {
        all.insert(key.clone(), line).with_context(|| format!("the example has no {key}"))?;
    }
    let mut config = String::new();
    for (key, line) in &all {
        let (table, _) = key.split_once('.').context("a key has a table")?;
        if !config.contains(&format!("[{table}]\n")) {
            config.push_str(&format!("[{table}]\n"));
        }
        config.push_str(&format!("{line}\n"));
    }
    fs::write(server.config(), &config)?;
    assert_eq!(server.cli_ok(&["config", "check"])?, "the configuration is valid\n", "{config}");
    server.restart()?;
    let sandbox = server.api().create(json!({})).await?;
    let (address, _) = sandbox.endpoint(80, false).await?;
    ensure!(address.ends_with(".box.example"), "the example's gateway is not in force: {address}");
    sandbox.delete().await?;

    // All that is wrong is told at once, by line; what has no effect is told and harms nothing.
    let wrong = "[server]\nport = 70000\napi_kye = \"x\"\n[docker]\npid_limit = 5\n[natve]\n";
    fs::write(server.config(), wrong)?;
    let said = server.cli(&["config", "check"])?;
    let complaint = String::from_utf8_lossy(&said.stderr);
    ensure!(!said.status.success(), "{said:?}");
    for part in [
        "line 2: server.port",
        "line 3: server.api_kye",
        "mean api_key?",
        "line 5: docker.pid_limit",
        "line 6: natve",
    ] {
        ensure!(complaint.contains(part), "no {part:?} in {complaint}");
    }
    fs::write(server.config(), format!("{own}[kubernetes]\nnamespace = \"x\"\n"))?;
    let said = server.cli_ok(&["config", "check"])?;
    assert_eq!(said, "[kubernetes] has no effect here\nthe configuration is valid\n");
    Ok(())
}

fn uuid_like() -> String {
    let nanos = Utc::now().timestamp_nanos_opt().unwrap_or_default();
    format!("g{nanos:x}")
}
