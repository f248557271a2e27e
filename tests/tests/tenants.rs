//! Two tenants on one real server: whatever one makes does not exist for the other, whatever names they choose, and
//! nobody gets more than his quota, however he goes about it.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use sandkeep::{Client, EventQuery};
use sandkeep_tests::{
    api::{Answer, Api, Sandbox, create_body, eventually},
    paths::{BASE_IMAGE, workspace},
    registry::{Auth, Layer, PASSWORD, Registry, USER, files},
    server::{Server, Setup},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Longest wait for anything a server does in the background, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn two() -> Setup {
    Setup::default().tenants(&[("a", ""), ("b", "")])
}

/// Starts what was asked for.
async fn make(api: &Api, body: &Value) -> Result<Sandbox> {
    let made = api.post("/v1/sandboxes", body).await?.expect(202)?.json()?;
    let id = made["id"].as_str().context("an id")?.to_owned();
    let sandbox = Sandbox { id, api: api.clone() };
    sandbox.wait_state("Running").await?;
    Ok(sandbox)
}

async fn output(sandbox: &Sandbox, command: &str) -> Result<String> {
    sandbox.execd().await?.output(command).await
}

async fn refused(api: &Api, body: &Value, status: u16, code: &str) -> Result<String> {
    let (told, message) = api.post("/v1/sandboxes", body).await?.expect_error(status)?;
    assert_eq!(told, code, "{message}");
    Ok(message)
}

async fn total(api: &Api, path: &str) -> Result<Value> {
    Ok(api.get(path).await?.expect(200)?.json()?["pagination"]["totalItems"].clone())
}

fn volume(source: Value) -> Value {
    let mut volume = json!({"name": "v", "mountPath": "/data"});
    if let (Some(volume), Value::Object(source)) = (volume.as_object_mut(), source) {
        volume.extend(source);
    }
    create_body(json!({"volumes": [volume]}))
}

/// Takes a snapshot and waits for its end; id and status.
async fn snapshot(sandbox: &Sandbox) -> Result<(String, Value)> {
    let path = format!("{}/snapshots", sandbox.path());
    let made = sandbox.api.post(&path, &json!({})).await?.expect(202)?.json()?;
    let id = made["id"].as_str().context("an id")?.to_owned();
    let mut status = Value::Null;
    eventually("the snapshot is made", PATIENCE, async || {
        let told = sandbox.api.get(&format!("/v1/snapshots/{id}")).await?.expect(200)?.json()?;
        status = told["status"].clone();
        Ok(status["state"] != "Creating")
    })
    .await?;
    Ok((id, status))
}

fn pool(name: &str, mark: &str, limits: Value) -> Value {
    json!({
        "name": name,
        "template": {"spec": {"containers": [{
            "name": "sandbox", "image": BASE_IMAGE, "env": [{"name": "MARK", "value": mark}],
            "resources": {"limits": limits},
        }]}},
        "capacitySpec": {"bufferMin": 1, "bufferMax": 1, "poolMin": 0, "poolMax": 4},
    })
}

fn from_pool(name: &str) -> Value {
    json!({"extensions": {"poolRef": name}, "timeout": 600, "entrypoint": ["sleep", "infinity"]})
}

async fn one_waits(api: &Api, name: &str) -> Result<()> {
    eventually("a member waits", PATIENCE, async || {
        let shown = api.get(&format!("/v1/pools/{name}")).await?.expect(200)?.json()?;
        Ok(shown["status"]["available"] == 1)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_templates_of_others_do_not_exist() -> Result<()> {
    let server = Server::start(two())?;
    let (a, b) = (server.tenant("a"), server.tenant("b"));
    let source = a.create(json!({})).await?;
    output(&source, "echo of a > /srv/mark").await?;
    let (id, status) = snapshot(&source).await?;
    assert_eq!(status["state"], "Ready", "{status}");
    let body = json!({"image": BASE_IMAGE, "publish": "a/thing", "resourceLimits": {"memory": "64Mi"}});
    let template = a.post("/v1/templates", &body).await?.expect(201)?.json()?["templateId"].clone();
    let template = template.as_str().context("an id")?;
    eventually("the template is built", PATIENCE, async || {
        let path = format!("/v1/templates/{template}");
        Ok(a.get(&path).await?.expect(200)?.json()?["status"]["phase"] == "Succeeded")
    })
    .await?;

    // A start changes nothing about who owns what.
    server.kill()?;
    tokio::task::block_in_place(|| server.restart())?;
    let image = format!("opensandbox-snapshots:{id}");
    let by_name = create_body(json!({"image": {"uri": image}}));
    let by_snapshot = json!({"snapshotId": id, "resourceLimits": {}, "timeout": 600});
    let by_template = json!({"templateId": template, "timeout": 600});
    for (kind, path, unknown) in [
        ("snapshots", format!("/v1/snapshots/{id}"), "SNAPSHOT::NOT_FOUND"),
        ("templates", format!("/v1/templates/{template}"), "SANDBOX::TEMPLATE_NOT_FOUND"),
    ] {
        let list = format!("/v1/{kind}");
        assert_eq!((total(&a, &list).await?, total(&b, &list).await?), (json!(1), json!(0)), "{kind}");
        assert_eq!(b.get(&path).await?.expect_error(404)?.0, unknown);
        assert_eq!(b.delete(&path).await?.expect_error(404)?.0, unknown);
        a.get(&path).await?.expect(200)?;
    }
    assert_eq!(total(&b, &format!("/v1/snapshots?sandboxId={}", source.id)).await?, 0);
    let foreign = b.post(&format!("{}/snapshots", source.path()), &json!({})).await?;
    assert_eq!(foreign.expect_error(404)?.0, "SANDBOX::NOT_FOUND");
    refused(&b, &by_snapshot, 404, "SNAPSHOT::NOT_FOUND").await?;
    refused(&b, &by_template, 404, "SANDBOX::TEMPLATE_NOT_FOUND").await?;
    // Neither does its image, by any name.
    let message = refused(&b, &by_name, 400, "SANDBOX::IMAGE_PULL_FAILED").await?;
    ensure!(!message.contains("of a"), "{message}");
    for path in ["/v1/images", "/v1/images/export?reference=x"] {
        b.get(path).await?.expect_error(403)?;
    }
    // For its owner everything works.
    for body in [&by_snapshot, &by_name, &by_template] {
        let sandbox = make(&a, body).await?;
        let expected = if body.get("templateId").is_some() { "" } else { "of a" };
        assert_eq!(output(&sandbox, "cat /srv/mark 2>/dev/null || true").await?, expected, "{body}");
        sandbox.delete().await?;
    }
    source.delete().await?;
    a.delete(&format!("/v1/snapshots/{id}")).await?.expect(204)?;
    a.delete(&format!("/v1/templates/{template}")).await?.expect(204)?;
    Ok(())
}

/// What a tenant gets from an operation whose path names nobody's object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shared {
    /// Nothing of anybody.
    Open,
    /// His own.
    Own,
    /// A refusal: it is the operator's.
    Operators,
}

const WITHOUT_AN_OBJECT: [(&str, Shared); 18] = [
    ("GET /health", Shared::Open),
    ("GET /metrics", Shared::Open),
    ("GET /v1/capabilities", Shared::Open),
    ("GET /v1/events", Shared::Own),
    ("GET /v1/images", Shared::Operators),
    ("GET /v1/images/export", Shared::Operators),
    ("POST /v1/images/import", Shared::Operators),
    ("POST /v1/images/pull", Shared::Operators),
    ("POST /v1/images/push", Shared::Operators),
    ("POST /v1/metrics/events", Shared::Open),
    ("GET /v1/pools", Shared::Own),
    ("POST /v1/pools", Shared::Own),
    ("GET /v1/sandboxes", Shared::Own),
    ("POST /v1/sandboxes", Shared::Own),
    ("GET /v1/snapshots", Shared::Own),
    ("GET /v1/templates", Shared::Own),
    ("POST /v1/templates", Shared::Own),
    ("GET /version", Shared::Open),
];

/// Bodies without which an operation would be refused for another reason.
fn body_of(operation: &str) -> Option<Value> {
    let later = (chrono::Utc::now() + chrono::TimeDelta::hours(2)).to_rfc3339();
    let rule = json!([{"action": "allow", "target": "example.test"}]);
    let (method, path) = operation.split_once(' ')?;
    Some(match (method, path.rsplit('/').next()?) {
        ("PATCH", "metadata") => json!({"stolen": "yes"}),
        ("POST", "renew-expiration") => json!({"expiresAt": later}),
        ("PUT", "networkpolicy") => json!({"defaultAction": "allow", "egress": []}),
        ("PATCH", "networkpolicy") => rule,
        ("DELETE", "networkpolicy") => json!(["example.test"]),
        ("POST", "stop" | "start") => json!({"memory": false}),
        ("PUT", "{poolName}") => {
            json!({"capacitySpec": {"bufferMin": 0, "bufferMax": 0, "poolMin": 0, "poolMax": 0}})
        }
        ("POST", "snapshots") => json!({}),
        _ => return None,
    })
}

/// One of everything a tenant can have, by the name that stands for it in a path.
struct Belongings([(&'static str, String); 4]);

impl Belongings {
    async fn made_by(api: &Api) -> Result<Self> {
        let sandbox = api.create(json!({"metadata": {"of": "a"}})).await?;
        let (snapshot, status) = snapshot(&sandbox).await?;
        assert_eq!(status["state"], "Ready", "{status}");
        let body = json!({"image": BASE_IMAGE, "publish": "a/thing", "resourceLimits": {"memory": "64Mi"}});
        let template = api.post("/v1/templates", &body).await?.expect(201)?.json()?["templateId"].clone();
        let template = template.as_str().context("an id")?.to_owned();
        eventually("the template is built", PATIENCE, async || {
            let shown = api.get(&format!("/v1/templates/{template}")).await?.expect(200)?.json()?;
            Ok(shown["status"]["phase"] == "Succeeded")
        })
        .await?;
        api.post("/v1/pools", &pool("of-a", "", json!({"memory": "64Mi"}))).await?.expect(201)?;
        one_waits(api, "of-a").await?;
        Ok(Self([
            ("sandboxId", sandbox.id),
            ("snapshotId", snapshot),
            ("templateId", template),
            ("poolName", "of-a".to_owned()),
        ]))
    }

    /// The same of nobody.
    fn missing() -> Self {
        let id = "00000000-0000-4000-8000-000000000000";
        Self([
            ("sandboxId", id.to_owned()),
            ("snapshotId", id.to_owned()),
            ("templateId", "tpl-11111111-0000-4000-8000-000000000000".to_owned()),
            ("poolName", "of-nobody".to_owned()),
        ])
    }

    fn fill(&self, path: &str) -> Result<String> {
        let with = |path: String, (name, id): &(&str, String)| path.replace(&format!("{{{name}}}"), id);
        let path = self.0.iter().fold(path.to_owned(), with);
        let path =
            path.replace("{port}", "44772").replace("{path}", "ping").replace("{reference}", BASE_IMAGE);
        ensure!(!path.contains('{'), "a new kind of object: say what one of a tenant is in {path}");
        Ok(path)
    }

    /// An error without what it is about.
    fn told(&self, answer: Answer, status: u16) -> Result<(String, String)> {
        let (code, message) = answer.expect_error(status)?;
        Ok((code, self.0.iter().fold(message, |message, (_, id)| message.replace(id, "ID"))))
    }

    /// All of it as its owner sees it, without what changes by itself.
    async fn shown(&self, api: &Api) -> Result<Vec<Value>> {
        let mut shown = Vec::new();
        for (kind, (_, id)) in ["sandboxes", "snapshots", "templates", "pools"].iter().zip(&self.0) {
            let mut one = api.get(&format!("/v1/{kind}/{id}")).await?.expect(200)?.json()?;
            if *kind == "pools" {
                one = one["capacitySpec"].take();
            }
            shown.push(one);
        }
        Ok(shown)
    }
}

/// Every operation of the reviewed lists, so that a new one is judged here or fails.
#[tokio::test(flavor = "multi_thread")]
async fn no_operation_reaches_what_belongs_to_another() -> Result<()> {
    let server = Server::start(two())?;
    let (a, b) = (server.tenant("a"), server.tenant("b"));
    let (of_a, missing) = (Belongings::made_by(&a).await?, Belongings::missing());
    let before = of_a.shown(&a).await?;
    let known: BTreeMap<&str, Shared> = WITHOUT_AN_OBJECT.into_iter().collect();
    let (mut with, mut without) = (0, 0);
    for list in ["lifecycle", "diagnostics"] {
        let reviewed = fs::read_to_string(workspace().join(format!("tests/operations/{list}.txt")))?;
        for line in reviewed.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split_whitespace();
            let (method, path) = fields.next().zip(fields.next()).context("a method and a path")?;
            let operation = format!("{method} {path}");
            if !path.contains('{') {
                ensure!(known.contains_key(&*operation), "{operation}: say what a tenant gets from it");
                without += 1;
                continue;
            }
            let ask = async |of: &Belongings| -> Result<Answer> {
                b.send(method.parse()?, &of.fill(path)?, body_of(&operation).as_ref()).await
            };
            let status = if path.contains("{reference}") { 403 } else { 404 };
            let told = of_a.told(ask(&of_a).await?, status).with_context(|| operation.clone())?;
            let unknown = missing.told(ask(&missing).await?, status).with_context(|| operation.clone())?;
            assert_eq!(told, unknown, "{operation} tells that it exists");
            with += 1;
        }
    }
    ensure!(with > 40 && without > 15, "{with} and {without} operations");
    assert_eq!(of_a.shown(&a).await?, before, "somebody else has changed it");

    for (operation, shared) in WITHOUT_AN_OBJECT {
        let (method, path) = operation.split_once(' ').context("a method and a path")?;
        if method == "GET" && path != "/v1/events" {
            let answer = b.get(path).await?;
            let status = if shared == Shared::Operators { 403 } else { 200 };
            let text = answer.expect(status).context(operation)?.text();
            ensure!(of_a.0.iter().all(|(_, id)| !text.contains(id)), "{operation}: {text}");
        } else if shared == Shared::Operators {
            b.send(method.parse()?, path, Some(&json!({"uri": BASE_IMAGE})))
                .await?
                .expect(403)
                .context(operation)?;
        }
    }
    // Everything that ever happened, up to something of one's own.
    let all = EventQuery { last_event_id: Some(0), ..EventQuery::default() };
    let mut events = Client::new(server.url(), b.key.clone())?.events(&all).await?;
    let own = b.create(json!({})).await?;
    let first = tokio::time::timeout(PATIENCE, events.next()).await.context("no event")??;
    let first = first.context("the stream ended")?;
    assert_eq!(first.sandbox_id.as_deref(), Some(&*own.id), "{first:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_quota_refuses_with_its_own_words() -> Result<()> {
    let quotas = [
        ("s", "quota = { sandboxes = 1 }", "quota of 1 sandboxes", ""),
        ("c", "quota = { cpu = \"1500m\" }", "quota of 1500 thousandths of a CPU", "cpu"),
        ("m", "quota = { memory = \"100Mi\" }", "quota of 104857600 bytes of memory", "memory"),
        ("d", "quota = { disk = \"100Mi\" }", "quota of 104857600 bytes of disk", "disk"),
    ];
    let tenants = quotas.map(|(name, quota, ..)| (name, quota));
    let server = Server::start(Setup::default().tenants(&tenants))?;
    for (name, _, words, unbounded) in quotas {
        let api = server.tenant(name);
        let limits = json!({"cpu": "1", "memory": "64Mi", "disk": "64Mi"});
        let body = create_body(json!({"resourceLimits": limits}));
        let first = make(&api, &body).await?;
        let message = refused(&api, &body, 403, "SANDBOX::QUOTA_EXCEEDED").await?;
        ensure!(message.contains(words), "{name}: {message}");
        // One that stands still has its place all the same; one that is gone has not.
        api.post(&format!("{}/pause", first.path()), &json!({})).await?.expect(202)?;
        refused(&api, &body, 403, "SANDBOX::QUOTA_EXCEEDED").await?;
        first.delete().await?;
        make(&api, &body).await?.delete().await?;
        if ["cpu", "memory"].contains(&unbounded) {
            let body = create_body(json!({"resourceLimits": {}}));
            let message = refused(&api, &body, 403, "SANDBOX::QUOTA_EXCEEDED").await?;
            ensure!(message.contains(&format!("resourceLimits.{unbounded}")), "{name}: {message}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_hand_their_members_to_their_owner_only() -> Result<()> {
    let server = Server::start(two())?;
    let (a, b) = (server.tenant("a"), server.tenant("b"));
    for (api, mark) in [(&a, "of a"), (&b, "of b")] {
        api.post("/v1/pools", &pool("same", mark, json!({"memory": "64Mi"}))).await?.expect(201)?;
    }
    a.post("/v1/pools", &pool("more", "only of a", json!({"memory": "64Mi"}))).await?.expect(201)?;
    a.post("/v1/pools", &pool("same", "x", json!({}))).await?.expect_error(409)?;
    for (api, name) in [(&a, "same"), (&b, "same"), (&a, "more")] {
        one_waits(api, name).await?;
    }
    let names = async |api: &Api| -> Result<Vec<Value>> {
        let list = api.get("/v1/pools").await?.expect(200)?.json()?;
        Ok(list["items"].as_array().context("items")?.iter().map(|item| item["name"].clone()).collect())
    };
    server.kill()?;
    tokio::task::block_in_place(|| server.restart())?;
    assert_eq!(
        (names(&a).await?, names(&b).await?),
        (vec![json!("more"), json!("same")], vec![json!("same")])
    );
    for (api, name, mark) in [(&a, "same", "of a"), (&b, "same", "of b"), (&b, "*", "of b")] {
        one_waits(api, "same").await?;
        let sandbox = make(api, &from_pool(name)).await?;
        assert_eq!(output(&sandbox, "echo $MARK").await?, mark);
        let other = if std::ptr::eq(api, &a) { &b } else { &a };
        other.get(&sandbox.path()).await?.expect_error(404)?;
        sandbox.delete().await?;
    }
    refused(&b, &from_pool("more"), 404, "SANDBOX::POOL_NOT_FOUND").await?;
    let wider = json!({"capacitySpec": {"bufferMin": 0, "bufferMax": 0, "poolMin": 0, "poolMax": 0}});
    assert_eq!(
        b.send(hyper::Method::PUT, "/v1/pools/more", Some(&wider)).await?.expect_error(404)?.0,
        "SANDBOX::POOL_NOT_FOUND"
    );
    b.get("/v1/pools/more").await?.expect_error(404)?;
    b.delete("/v1/pools/more").await?.expect_error(404)?;
    b.delete("/v1/pools/same").await?.expect(204)?;
    // Without a pool of one's own there is none, whatever others have.
    refused(&b, &from_pool("*"), 429, "SANDBOX::POOL_CAPACITY_EXHAUSTED").await?;
    assert_eq!(names(&a).await?.len(), 2, "the other's pool of that name is another");
    for name in ["same", "more"] {
        a.delete(&format!("/v1/pools/{name}")).await?.expect(204)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_of_one_name_are_two() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let host = dir.path();
    let server = Server::start(two().set("storage", format!("allowed_host_paths = [{host:?}]")))?;
    let (a, b) = (server.tenant("a"), server.tenant("b"));
    let named = volume(json!({"pvc": {"claimName": "data"}}));
    let (of_a, of_b) = (make(&a, &named).await?, make(&b, &named).await?);
    output(&of_a, "echo of a > /data/file").await?;
    assert_eq!(output(&of_b, "ls /data; echo of b > /data/file; cat /data/file").await?, "of b");
    assert_eq!(output(&of_a, "cat /data/file").await?, "of a");
    // One that only the other has is missing.
    output(&make(&a, &volume(json!({"pvc": {"claimName": "only-a"}}))).await?, "touch /data/x").await?;
    let existing = json!({"pvc": {"claimName": "only-a", "createIfNotExists": false}});
    refused(&b, &volume(existing), 400, "VOLUME::PVC_NOT_FOUND").await?;
    // A volume that ends with its sandbox takes no other tenant's with it, also after a kill.
    let ending = volume(json!({"pvc": {"claimName": "data", "deleteOnSandboxTermination": true}}));
    make(&b, &ending).await?.delete().await?;
    server.kill()?;
    tokio::task::block_in_place(|| server.restart())?;
    of_b.delete().await?;
    assert_eq!(output(&of_a, "cat /data/file").await?, "of a");
    of_a.delete().await?;
    let again = make(&a, &named).await?;
    assert_eq!(output(&again, "cat /data/file").await?, "of a");

    // Of the host's directories each has what is below one of its name.
    for namespace in ["a", "b"] {
        fs::create_dir_all(host.join(namespace))?;
        fs::write(host.join(namespace).join("secret"), namespace)?;
    }
    let own = make(&a, &volume(json!({"host": {"path": host.join("a")}}))).await?;
    assert_eq!(output(&own, "cat /data/secret; ln -s ../b /data/over; ln -s / /data/all").await?, "a");
    for path in [host.to_owned(), host.join("b"), host.join("a/over"), host.join("a/all"), host.join("ab")] {
        let body = volume(json!({"host": {"path": path}}));
        let message = refused(&a, &body, 400, "VOLUME::HOST_PATH_NOT_ALLOWED").await?;
        ensure!(message.contains("tenant's own"), "{message}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_of_disk_counts_snapshots_volumes_and_members() -> Result<()> {
    let quota = "quota = { disk = \"390Mi\", memory = \"2Gi\" }";
    let server = Server::start(Setup::default().tenants(&[("a", quota), ("b", "")]))?;
    let (a, b) = (server.tenant("a"), server.tenant("b"));
    let limits = json!({"memory": "64Mi", "disk": "128Mi"});
    let body = create_body(json!({"resourceLimits": limits}));
    let source = make(&a, &body).await?;
    output(&source, "head -c 40000000 /dev/urandom > /srv/much; sync").await?;
    let (kept, status) = snapshot(&source).await?;
    assert_eq!(status["state"], "Ready", "{status}");
    // 128 MiB of limit and 40 MB of snapshot leave room for one sandbox of 128 MiB, and not for another.
    let second = make(&a, &body).await?;
    let message = refused(&a, &body, 403, "SANDBOX::QUOTA_EXCEEDED").await?;
    ensure!(message.contains("bytes of disk"), "{message}");
    // A pool's member counts before anybody owns it, and so does a snapshot before it is made.
    a.post("/v1/pools", &pool("full", "", limits.clone())).await?.expect(201)?;
    eventually("the pool says why it is empty", PATIENCE, async || {
        let shown = a.get("/v1/pools/full").await?.expect(200)?.json()?;
        Ok(shown["status"]["message"].as_str().is_some_and(|text| text.contains("quota")))
    })
    .await?;
    output(&second, "head -c 110000000 /dev/urandom > /srv/more; sync").await?;
    let (_, failed) = snapshot(&second).await?;
    ensure!(failed["message"].as_str().is_some_and(|text| text.contains("quota")), "{failed}");
    assert_eq!(failed["state"], "Failed");
    // What is in named volumes counts as well.
    second.delete().await?;
    let mut with_volume = volume(json!({"pvc": {"claimName": "big"}}));
    with_volume["resourceLimits"] = json!({"memory": "64Mi", "disk": "64Mi"});
    let third = make(&a, &with_volume).await?;
    output(&third, "head -c 180000000 /dev/zero > /data/zeros; sync").await?;
    eventually("a full volume counts: not every create looks at every file", PATIENCE, async || {
        let answer = a.post("/v1/sandboxes", &with_volume).await?;
        if answer.status == 202 {
            let id = answer.json()?["id"].as_str().context("an id")?.to_owned();
            a.delete(&format!("/v1/sandboxes/{id}")).await?.expect(204)?;
            return Ok(false);
        }
        Ok(answer.expect_error(403)?.0 == "SANDBOX::QUOTA_EXCEEDED")
    })
    .await?;
    output(&third, "rm /data/zeros; sync").await?;
    a.delete("/v1/pools/full").await?.expect(204)?;
    eventually("what is given back can be used", PATIENCE, async || {
        Ok(a.post("/v1/sandboxes", &with_volume).await?.status == 202)
    })
    .await?;
    // A recipe that fits no quota at all is refused when it is made; and nobody's use is another's.
    let huge = pool("huge", "", json!({"memory": "64Mi", "disk": "500Mi"}));
    assert_eq!(a.post("/v1/pools", &huge).await?.expect_error(403)?.0, "SANDBOX::QUOTA_EXCEEDED");
    let huge = json!({"image": BASE_IMAGE, "publish": "x", "resourceLimits": {"disk": "500Mi"}});
    assert_eq!(a.post("/v1/templates", &huge).await?.expect_error(403)?.0, "SANDBOX::QUOTA_EXCEEDED");
    make(&b, &body).await?;
    for id in a.ids().await? {
        a.delete(&format!("/v1/sandboxes/{id}")).await?.expect(204)?;
    }
    a.delete(&format!("/v1/snapshots/{kept}")).await?.expect(204)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_took_credentials_takes_them_from_everybody() -> Result<()> {
    let mut registry = Registry::start().await?;
    let layers = [Layer::plain(&files(&[("etc/told", b"private")])?)];
    registry.push("team/private", "v1", "amd64", &layers).await?;
    registry.guard(Auth::Htpasswd).await?;
    // On this host, it is for tenants because its operator says so.
    let listed = format!("insecure_registries = [\"127.0.0.1:{}\"]", registry.port());
    let server = Server::start(two().without_image().set("images", listed))?;
    let (a, b) = (server.tenant("a"), server.tenant("b"));
    let image = registry.name("team/private:v1");
    let with = |password: Option<&str>| {
        let mut source = json!({"uri": image});
        if let Some(password) = password {
            source["auth"] = json!({"username": USER, "password": password});
        }
        // Nothing can run in it: what matters is whether it comes as far as that.
        create_body(json!({"image": source, "entrypoint": ["/no/such"]}))
    };
    let code = async |api: &Api, password| -> Result<String> {
        Ok(api.post("/v1/sandboxes", &with(password)).await?.expect_error(400)?.0)
    };
    let (pulled, refused) = ("SANDBOX::START_FAILED", "SANDBOX::IMAGE_PULL_FAILED");
    assert_eq!(code(&a, None).await?, refused);
    assert_eq!(code(&a, Some(PASSWORD)).await?, pulled);
    // It is here now: for its tenant without a word, for others not even that it is.
    assert_eq!(code(&a, None).await?, pulled);
    assert_eq!(code(&b, None).await?, refused);
    assert_eq!(code(&b, Some("wrong")).await?, refused);
    assert_eq!(code(&b, Some(PASSWORD)).await?, pulled);
    server.kill()?;
    tokio::task::block_in_place(|| server.restart())?;
    for api in [&a, &b] {
        assert_eq!(code(api, None).await?, pulled, "who has shown his credentials");
    }
    Ok(())
}

/// Gives the same answer to whatever is asked of it, and counts.
struct Answering {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Answering {
    async fn start(head: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, asked) = (listener.local_addr()?, Arc::new(AtomicUsize::new(0)));
        let (answer, count) =
            (format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"), asked.clone());
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let _ = connection.read(&mut [0; 4096]).await;
                    let _ = connection.write_all(answer.as_bytes()).await;
                });
            }
        });
        Ok(Self { address, asked })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_image_reference_leads_to_what_only_the_host_may_ask() -> Result<()> {
    let inner = Answering::start("200 OK").await?;
    let away = Answering::start(&format!("307 Away\r\nlocation: http://{}/v2/", inner.address)).await?;
    let by_name = format!("307 Away\r\nlocation: http://localhost:{}/v2/", inner.address.port());
    let by_name = Answering::start(&by_name).await?;
    let realm = format!("401 Who\r\nwww-authenticate: Bearer realm=\"http://{}/token\"", inner.address);
    let realm = Answering::start(&realm).await?;
    let listed = [&away, &by_name, &realm].map(|one| one.address.to_string());
    let server =
        Server::start(two().without_image().set("images", format!("insecure_registries = {listed:?}")))?;
    let tenant = server.tenant("a");
    let port = inner.address.port();
    for registry in [
        inner.address.to_string(),
        format!("localhost:{port}"),
        format!("0.0.0.0:{port}"),
        format!("10.{}.0.1:{port}", server.subnet),
        format!("10.{}.3.4:{port}", server.subnet),
        "169.254.169.254".to_owned(),
    ] {
        let wish = create_body(json!({"image": {"uri": format!("{registry}/some/image:1")}}));
        let message = refused(&tenant, &wish, 400, "SANDBOX::INVALID_PARAMETER").await?;
        ensure!(message.contains("insecure_registries"), "{registry}: {message}");
    }
    // The operator's own registries are asked, and lead no further.
    for listed in [&away, &by_name, &realm] {
        let uri = format!("{}/some/image:1", listed.address);
        let message =
            refused(&tenant, &create_body(json!({"image": {"uri": uri}})), 400, "SANDBOX::INVALID_PARAMETER")
                .await?;
        ensure!(message.contains("insecure_registries"), "{uri}: {message}");
        assert!(listed.asked() > 0, "{uri}");
    }
    assert_eq!(inner.asked(), 0);
    Ok(())
}
