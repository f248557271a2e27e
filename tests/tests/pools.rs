//! Pools: distinct members for everyone, the owner's own environment, nothing left behind, also when the server is killed.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    api::{Api, Sandbox, eventually},
    execd::Execd,
    leaks::Watch,
    paths::BASE_IMAGE,
    server::{Server, Setup},
};
use serde_json::{Value, json};

/// Members are started while other tests keep the machine busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pools that are deleted at different moments of their members' starts.
const ENDED_POOLS: u64 = 30;

fn pool(name: &str, container: Value, capacity: [u32; 4]) -> Value {
    let mut only = json!({
        "name": "sandbox", "image": BASE_IMAGE, "resources": {"limits": {"memory": "64Mi"}},
        "env": [{"name": "FROM", "value": "pool"}, {"name": "POOL_ONLY", "value": "yes"}],
    });
    if let (Some(only), Value::Object(more)) = (only.as_object_mut(), container) {
        only.extend(more);
    }
    let [buffer_min, buffer_max, pool_min, pool_max] = capacity;
    json!({
        "name": name,
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [only]}},
        "capacitySpec": {
            "bufferMin": buffer_min, "bufferMax": buffer_max, "poolMin": pool_min, "poolMax": pool_max,
        },
    })
}

fn from_pool(name: &str, more: Value) -> Value {
    let mut body =
        json!({"extensions": {"poolRef": name}, "timeout": 600, "entrypoint": ["sleep", "infinity"]});
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}

async fn available(api: &Api, name: &str, count: u64) -> Result<()> {
    eventually(&format!("{count} members of {name} wait"), PATIENCE, async || {
        let pool = api.get(&format!("/v1/pools/{name}")).await?.expect(200)?.json()?;
        Ok(pool["status"]["available"] == count)
    })
    .await
}

async fn take(api: &Api, body: &Value) -> Result<Sandbox> {
    let made = api.post("/v1/sandboxes", body).await?.expect(202)?.json()?;
    assert_eq!(made["status"]["state"], "Running");
    Ok(Sandbox { id: made["id"].as_str().context("an id")?.to_owned(), api: api.clone() })
}

#[tokio::test]
async fn a_member_becomes_what_its_owner_asked_for() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let made = api.post("/v1/pools", &pool("one", json!({}), [1, 1, 0, 10])).await?.expect(201)?.json()?;
    assert_eq!(made["capacitySpec"]["poolMax"], 10);
    available(&api, "one", 1).await?;
    assert!(api.ids().await?.is_empty(), "members are nobody's sandboxes");

    let body = from_pool(
        "one",
        json!({
            "env": {"FROM": "owner", "MINE": "x y"}, "metadata": {"team": "a"},
            "entrypoint": ["sh", "-c", "echo $FROM-$MINE-$POOL_ONLY >/tmp/entry; exec sleep infinity"],
        }),
    );
    let sandbox = take(&api, &body).await?;
    let shown = sandbox.get().await?;
    assert_eq!(shown["metadata"]["team"], "a");
    assert_eq!(shown["entrypoint"][0], "sh");
    assert_eq!(shown["image"]["uri"], BASE_IMAGE);
    assert_eq!(shown["allocation"], json!({"mode": "pool", "poolRef": "one", "state": "allocated"}));
    assert!(shown["expiresAt"].is_string());

    let execd = sandbox.execd().await?;
    assert_eq!(
        execd.output("echo $FROM-$MINE-$POOL_ONLY-$OPENSANDBOX_ID").await?,
        format!("owner-x y-yes-{}", sandbox.id)
    );
    eventually("the entrypoint ran with the owner's environment", PATIENCE, async || {
        Ok(execd.output("cat /tmp/entry 2>/dev/null || true").await? == "owner-x y-yes")
    })
    .await?;
    // The token inside is the owner's, and a second hand-over is refused.
    let script = "curl -s -o /dev/null -w '%{http_code} ' -H \"x-execd-access-token: $EXECD_ACCESS_TOKEN\" $EXECD_URL/ping; \
                  curl -s -o /dev/null -w %{http_code} -X POST -H \"x-execd-access-token: $EXECD_ACCESS_TOKEN\" \
                  -d '{\"access_token\":\"stolen\"}' $EXECD_URL/handover";
    assert_eq!(execd.output(script).await?, "200 409");

    // Stopped and started again it is what it was, with its owner's token, environment and program.
    execd.output("rm /tmp/entry").await?;
    for action in ["stop", "start"] {
        api.post(&format!("/v1/sandboxes/{}/{action}", sandbox.id), &json!({})).await?.expect(200)?;
    }
    let execd = sandbox.execd().await?;
    assert_eq!(execd.output("echo $FROM-$MINE-$POOL_ONLY").await?, "owner-x y-yes");
    eventually("the owner's program runs again", PATIENCE, async || {
        Ok(execd.output("cat /tmp/entry 2>/dev/null || true").await? == "owner-x y-yes")
    })
    .await?;

    // Its program decides over its end.
    // The command may be ended with it.
    let _ = execd.output("kill $(pgrep -xo sleep)").await;
    eventually("it ends with its entrypoint", PATIENCE, async || {
        Ok(sandbox.get().await?["status"]["state"] == "Failed")
    })
    .await?;
    assert_eq!(sandbox.get().await?["allocation"], Value::Null);
    sandbox.delete().await?;
    available(&api, "one", 1).await?;

    let (code, message) = api
        .post("/v1/sandboxes", &from_pool("one", json!({"entrypoint": ["/no/such"]})))
        .await?
        .expect_error(400)?;
    assert_eq!(code, "SANDBOX::START_FAILED");
    assert!(message.contains("/no/such"), "{message}");
    assert!(api.ids().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_warm_program_of_the_pool_goes_on_beside_the_owner_s() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let warm = json!({
        "command": ["python3"], "args": ["-m", "http.server", "8000", "--bind", "127.0.0.1"], "workingDir": "/srv",
        "readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 5, "failureThreshold": 10},
    });
    api.post("/v1/pools", &pool("warm", warm, [1, 1, 0, 10])).await?.expect(201)?;
    available(&api, "warm", 1).await?;
    let sandbox = take(&api, &from_pool("*", json!({}))).await?;
    let execd = sandbox.execd().await?;
    assert_eq!(
        execd.output("curl -s -o /dev/null -w %{http_code} http://127.0.0.1:8000/; pwd").await?,
        "200/srv"
    );
    sandbox.delete().await?;
    available(&api, "warm", 1).await?;
    // Without a program of the owner's the pool's own is the sandbox's.
    let body = json!({"extensions": {"poolRef": "warm"}, "timeout": 600});
    let sandbox = take(&api, &body).await?;
    assert_eq!(sandbox.get().await?["entrypoint"][0], "python3");
    sandbox.delete().await
}

/// Processes that run Python in a server's sandboxes: which namespace they live in, and what they are called there.
fn interpreters(watch: &Watch<'_>) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for process in watch.processes()? {
        // One that has ended meanwhile is none.
        let read = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}")).unwrap_or_default();
        let namespace = fs::read_link(format!("/proc/{process}/ns/pid"));
        let (status, Ok(namespace)) = (read("status"), namespace) else { continue };
        let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let inside = inside.and_then(|ids| ids.split_whitespace().last());
        if let Some(inside) = inside.filter(|_| read("comm").starts_with("python")) {
            found.insert(format!("{} {inside}", namespace.display()));
        }
    }
    Ok(found)
}

#[tokio::test]
async fn an_interpreter_that_waited_in_a_member_runs_its_owner_s_code_and_no_other_s() -> Result<()> {
    const WHO: &str = "import os\nprint(os.readlink('/proc/self/ns/pid'), os.getpid(), os.environ['FROM'], \
                       os.environ['OPENSANDBOX_ID'], 'kept' in globals())\nkept = 1";
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let warm = json!({
        "resources": {"limits": {"memory": "256Mi"}},
        "env": [{"name": "EXECD_PRESTART", "value": "python"}, {"name": "FROM", "value": "pool"}],
    });
    api.post("/v1/pools", &pool("ahead", warm, [2, 2, 2, 2])).await?.expect(201)?;
    available(&api, "ahead", 2).await?;
    eventually(
        "an interpreter waits in each member",
        PATIENCE,
        async || Ok(interpreters(&watch)?.len() == 2),
    )
    .await?;
    let waiting = interpreters(&watch)?;
    let mut used = BTreeSet::new();
    for owner in ["one", "two"] {
        let sandbox = take(&api, &from_pool("ahead", json!({"env": {"FROM": owner}}))).await?;
        let execd = sandbox.execd().await?;
        let ran = execd.stream("/code", &json!({"context": {"language": "python"}, "code": WHO})).await?;
        let said = ran.finish().await?.stdout;
        let expected = format!(" {owner} {} False\n", sandbox.id);
        let interpreter =
            said.strip_suffix(&expected).with_context(|| format!("{said:?}, not {expected:?}"))?;
        ensure!(
            waiting.contains(interpreter),
            "{interpreter} was started for its owner; before: {waiting:?}"
        );
        ensure!(used.insert(interpreter.to_owned()), "two owners have the same interpreter");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_once_get_members_of_their_own_and_no_more_than_there_may_be() -> Result<()> {
    const MANY: usize = 6;
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    api.post("/v1/pools", &pool("few", json!({}), [2, 2, 0, MANY as u32])).await?.expect(201)?;
    available(&api, "few", 2).await?;
    let taken = (0..MANY).map(|number| {
        let (api, number) = (api.clone(), number.to_string());
        async move { take(&api, &from_pool("few", json!({"env": {"NUMBER": number}}))).await }
    });
    let sandboxes = futures_util::future::try_join_all(taken).await?;
    let ids: BTreeSet<_> = sandboxes.iter().map(|sandbox| sandbox.id.clone()).collect();
    assert_eq!(ids.len(), MANY, "everyone has a sandbox of his own");
    for (number, sandbox) in sandboxes.iter().enumerate() {
        let execd: Execd = sandbox.execd().await?;
        assert_eq!(execd.output("echo $NUMBER").await?, number.to_string());
    }
    let refused = api.post("/v1/sandboxes", &from_pool("few", json!({}))).await?;
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.expect_error(429)?.0, "SANDBOX::POOL_CAPACITY_EXHAUSTED");

    let shown = api.get("/v1/pools/few").await?.expect(200)?.json()?;
    assert_eq!(shown["status"]["allocated"], MANY);
    let listed = api.get("/v1/pools").await?.expect(200)?.json()?;
    assert_eq!(listed["items"], json!([shown]));
    for sandbox in sandboxes.into_iter().skip(1) {
        sandbox.delete().await?;
    }
    available(&api, "few", 2).await?;
    let wider = json!({"capacitySpec": {"bufferMin": 4, "bufferMax": 4, "poolMin": 0, "poolMax": 20}});
    api.send(hyper::Method::PUT, "/v1/pools/few", Some(&wider)).await?.expect(200)?;
    available(&api, "few", 4).await?;
    let narrow = json!({"capacitySpec": {"bufferMin": 0, "bufferMax": 0, "poolMin": 0, "poolMax": 20}});
    api.send(hyper::Method::PUT, "/v1/pools/few", Some(&narrow)).await?.expect(200)?;
    available(&api, "few", 0).await?;

    api.delete("/v1/pools/few").await?.expect(204)?;
    assert_eq!(api.delete("/v1/pools/few").await?.expect_error(404)?.0, "SANDBOX::POOL_NOT_FOUND");
    let left = api.ids().await?;
    assert_eq!(left.len(), 1, "a sandbox outlives its pool");
    api.delete(&format!("/v1/sandboxes/{}", left[0])).await?.expect(204)?;
    watch.returns_to(&baseline).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_hands_no_member_over_twice() -> Result<()> {
    const ROUNDS: u64 = 6;
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    api.post("/v1/pools", &pool("hard", json!({}), [3, 3, 0, 50])).await?.expect(201)?;
    available(&api, "hard", 3).await?;
    let mut promised = BTreeSet::new();
    for round in 0..ROUNDS {
        let callers = futures_util::future::join_all((0..4).map(|number| {
            let (api, owner) = (api.clone(), format!("{round}-{number}"));
            async move {
                let answer = api
                    .post("/v1/sandboxes", &from_pool("hard", json!({"env": {"OWNER": owner.clone()}})))
                    .await;
                let id = answer.ok()?.expect(202).ok()?.json().ok()?["id"].as_str()?.to_owned();
                Some((id, owner))
            }
        }));
        let killer = async {
            // Somewhere within the hand-overs, which take a few milliseconds each.
            tokio::time::sleep(Duration::from_millis(1 + 3 * round)).await;
            server.kill()
        };
        let (answers, killed) = tokio::join!(callers, killer);
        killed?;
        promised.extend(answers.into_iter().flatten());
        tokio::task::block_in_place(|| server.restart())?;
    }
    let ids: BTreeSet<_> = promised.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(ids.len(), promised.len(), "no sandbox was promised twice: {promised:?}");
    for (id, owner) in &promised {
        let sandbox = Sandbox { id: id.clone(), api: api.clone() };
        sandbox.wait_state("Running").await?;
        assert_eq!(&sandbox.execd().await?.output("echo $OWNER").await?, owner);
    }
    // Whoever is listed beyond that was handed over whole, to a caller whose answer was cut off.
    for id in api.ids().await? {
        let sandbox = Sandbox { id, api: api.clone() };
        let owner = sandbox.execd().await?.output("echo $OWNER").await?;
        ensure!(!owner.is_empty(), "{} has no owner", sandbox.id);
        sandbox.delete().await?;
    }
    available(&api, "hard", 3).await?;
    let fresh = take(&api, &from_pool("hard", json!({}))).await?;
    assert_eq!(
        fresh.execd().await?.output("echo -$OWNER-").await?,
        "--",
        "a member has no owner's environment"
    );
    fresh.delete().await?;
    api.delete("/v1/pools/hard").await?.expect(204)?;
    watch.returns_to(&baseline).await
}

#[tokio::test]
async fn a_pool_goes_at_once_whatever_its_members_are_at() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    for round in 0..ENDED_POOLS {
        api.post("/v1/pools", &pool("brief", json!({}), [2, 2, 0, 4])).await?.expect(201)?;
        tokio::time::sleep(Duration::from_millis(round * 3)).await;
        let ended = tokio::time::timeout(PATIENCE / 2, api.delete("/v1/pools/brief")).await;
        ended.with_context(|| format!("round {round}: its end waits for members"))??.expect(204)?;
    }
    Ok(())
}

#[tokio::test]
async fn mistakes_are_named() -> Result<()> {
    let server = Server::shared()?;
    let api = server.api();
    let wrong = pool("wrong", json!({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}), [1, 1, 0, 1]);
    let (_, message) = api.post("/v1/pools", &wrong).await?.expect_error(400)?;
    assert_eq!(message, "template.spec.containers[0].volumeMounts: cannot be mapped onto a sandbox");
    let (_, message) =
        api.post("/v1/pools", &pool("wrong", json!({}), [2, 1, 0, 1])).await?.expect_error(400)?;
    assert!(message.starts_with("capacitySpec.bufferMin: "), "{message}");
    assert_eq!(
        api.post("/v1/sandboxes", &from_pool("none", json!({}))).await?.expect_error(404)?.0,
        "SANDBOX::POOL_NOT_FOUND"
    );
    let (_, message) =
        api.post("/v1/sandboxes", &from_pool("none", json!({"lifecycle": {}}))).await?.expect_error(400)?;
    assert!(message.starts_with("lifecycle: "), "{message}");
    // A pool whose members cannot start says why, and so does a create from it.
    api.post("/v1/pools", &pool("bad", json!({"command": ["/no/such"]}), [1, 1, 0, 1])).await?.expect(201)?;
    assert_eq!(
        api.post("/v1/pools", &pool("bad", json!({}), [1, 1, 0, 1])).await?.expect_error(409)?.0,
        "SANDBOX::POOL_ALREADY_EXISTS"
    );
    eventually("the pool says why it is empty", PATIENCE, async || {
        let shown = api.get("/v1/pools/bad").await?.expect(200)?.json()?;
        Ok(shown["status"]["message"].as_str().is_some_and(|message| message.contains("/no/such")))
    })
    .await?;
    api.delete("/v1/pools/bad").await?.expect(204)?;
    Ok(())
}
