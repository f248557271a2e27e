//! Several servers on one database: each has its own sandboxes, and each answers for all.

use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::{Method, Request};
use sandkeep::{Client, EventQuery};
use sandkeep_tests::{
    api::{Api, Sandbox, create_body, eventually},
    backend::{PORT as HTTP_PORT, sandbox_with_backend, serve},
    paths::BASE_IMAGE,
    postgresql::Postgresql,
    server::{Server, Setup},
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

const PATIENCE: Duration = Duration::from_secs(60);
const AWAY: &str = "GENERAL::SERVER_UNREACHABLE";
const PORT: u16 = 9000;
/// Sends everything back.
const ECHO: &str = r#"
import socket, sys
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    while part := connection.recv(1 << 16):
        connection.sendall(part)
    connection.close()
"#;

fn setup(database: &Postgresql) -> Setup {
    let setup = Setup::default().set("store", "type = \"postgresql\"");
    setup.set("store", format!("postgresql.dsn = {:?}", database.socket_dsn()))
}

/// With a gateway on a listener of its own.
fn with_gateway(setup: Setup) -> Result<(Setup, SocketAddr)> {
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let setup = setup
        .set("ingress", "mode = \"gateway\"")
        .set("ingress.gateway", "address = \"*.box.test\"")
        .set("ingress.gateway", "route.mode = \"wildcard\"")
        .set("ingress.gateway", format!("listen = \"{free}\""));
    Ok((setup, free))
}

/// Two servers of one key.
fn two(database: &Postgresql) -> Result<(Server, Server)> {
    let first = Server::start(setup(database))?;
    let second = Server::start(setup(database).with_key(&first.key))?;
    Ok((first, second))
}

fn seen_by(api: &Api, sandbox: &Sandbox) -> Sandbox {
    Sandbox { id: sandbox.id.clone(), api: api.clone() }
}

async fn create_with_key(api: &Api, key: &str) -> Result<String> {
    let answer = api.create_once(key, &create_body(json!({}))).await?.expect(202)?.json()?;
    Ok(answer["id"].as_str().context("an id")?.to_owned())
}

async fn becomes(api: &Api, path: &str, field: &str, value: Value) -> Result<()> {
    eventually(&format!("{field} of {path} is {value}"), PATIENCE, async || {
        Ok(api.get(path).await?.expect(200)?.json()?["status"][field] == value)
    })
    .await
}

async fn ids(api: &Api) -> Result<BTreeSet<String>> {
    Ok(api.ids().await?.into_iter().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_answers_for_the_sandboxes_of_all() -> Result<()> {
    let database = Postgresql::start()?;
    let (first, second) = two(&database)?;
    let (a, b) = (first.api(), second.api());
    let mut events = Client::new(&b.base, &b.key)?.events(&EventQuery::default()).await?;
    let mine = a.create(json!({"metadata": {"of": "a"}})).await?;
    let other = b.create(json!({})).await?;
    let theirs = seen_by(&b, &mine);
    let both = BTreeSet::from([mine.id.clone(), other.id.clone()]);
    assert_eq!((ids(&a).await?, ids(&b).await?), (both.clone(), both));
    assert_eq!(mine.get().await?, theirs.get().await?);

    // Changes, a stream, an upgraded connection: all through the server that has nothing of it.
    b.patch(&format!("{}/metadata", mine.path()), &json!({"by": "b"})).await?.expect(200)?;
    assert_eq!(mine.get().await?["metadata"], json!({"of": "a", "by": "b"}));
    assert_eq!(theirs.execd_through_server().await?.output("echo through").await?, "through");
    serve(&mine, ECHO, PORT).await?;
    let mut tunnel = Client::new(&b.base, &b.key)?.open_tunnel(&mine.id, PORT).await?;
    tunnel.write_all(b"there and back").await?;
    let mut back = [0; 14];
    tokio::time::timeout(PATIENCE, tunnel.read_exact(&mut back)).await??;
    assert_eq!(&back, b"there and back");
    drop(tunnel);
    b.send(Method::POST, &format!("{}/pause", mine.path()), None).await?.expect(202)?;
    mine.wait_state("Paused").await?;
    b.send(Method::POST, &format!("{}/resume", mine.path()), None).await?.expect(202)?;
    mine.wait_state("Running").await?;
    let wrong = Api::new(&*b.base, "wrong");
    wrong.get(&theirs.path()).await?.expect_error(401)?;
    b.get("/v1/sandboxes/none").await?.expect_error(404)?;

    theirs.delete().await?;
    assert_eq!(a.get(&mine.path()).await?.status, 404);
    let mut life = Vec::new();
    while life.last().map(String::as_str) != Some("sandbox.deleted") {
        let event = tokio::time::timeout(PATIENCE, events.next()).await??.context("the stream ended")?;
        if event.sandbox_id.as_deref() == Some(&*mine.id) {
            life.push(event.state.map_or(event.r#type, |state| state.to_string()));
        }
    }
    ensure!(life.starts_with(&["Pending".to_owned(), "Running".to_owned()]), "{life:?}");

    // One request at both servers makes one sandbox.
    for round in 0..4 {
        let key = format!("key-{round}");
        let (here, there) = tokio::try_join!(create_with_key(&a, &key), create_with_key(&b, &key))?;
        assert_eq!(here, there, "round {round}");
        assert_eq!(create_with_key(&b, &key).await?, here);
        a.delete(&format!("/v1/sandboxes/{here}")).await?.expect(204)?;
    }
    assert_eq!(ids(&b).await?, BTreeSet::from([other.id.clone()]));

    // A server that is killed leaves the other's alone when it comes back, and the other says where it is missed.
    let kept = a.create(json!({})).await?;
    first.kill()?;
    let (code, message) = b.get(&kept.path()).await?.expect_error(503)?;
    assert_eq!(code, AWAY, "{message}");
    assert_eq!(ids(&b).await?, BTreeSet::from([kept.id.clone(), other.id.clone()]));
    assert_eq!(other.execd().await?.output("echo on").await?, "on");
    second.kill()?;
    second.restart()?;
    first.restart()?;
    for (api, sandbox) in [(&a, &other), (&b, &kept), (&a, &kept)] {
        assert_eq!(seen_by(api, sandbox).get().await?["status"]["state"], "Running");
    }
    assert_eq!(kept.execd().await?.output("echo on").await?, "on");
    // One that was stopped in good order is known to be away.
    first.stop()?;
    let (code, message) = b.delete(&kept.path()).await?.expect_error(503)?;
    ensure!(code == AWAY && message.contains("not been heard of"), "{code}: {message}");
    first.restart()?;
    seen_by(&b, &kept).delete().await?;
    seen_by(&a, &other).delete().await?;
    assert_eq!(database.sql("SELECT COUNT(*) FROM sandboxes")?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_of_its_own_leads_to_the_sandboxes_of_all() -> Result<()> {
    let database = Postgresql::start()?;
    let (setup_of_first, gateway_of_first) = with_gateway(setup(&database))?;
    let first = Server::start(setup_of_first)?;
    let (setup_of_second, gateway) = with_gateway(setup(&database).with_key(&first.key))?;
    let second = Server::start(setup_of_second)?;
    let sandbox = sandbox_with_backend(&first.api(), json!({})).await?;
    let host = format!("{}-{HTTP_PORT}.box.test", sandbox.id);
    let ask = async |address: SocketAddr, key: &str| {
        let api = Api::new(format!("http://{address}"), key);
        let request = Request::post(format!("{}/v1/sandboxes?a=%2F", api.base)).header("host", &host);
        let request = request.header("open-sandbox-api-key", key).header("cookie", "of=the port");
        api.request(request.body(Full::from("body"))?).await
    };
    for address in [gateway_of_first, gateway] {
        let answer = ask(address, &first.key).await?.expect(200)?;
        assert_eq!(answer.header("reverse-proxy-server-powerby"), "OpenSandbox-ingress");
        let seen = answer.json()?;
        assert_eq!((&seen["method"], &seen["length"]), (&json!("POST"), &json!(4)), "{seen}");
        assert_eq!((&seen["path"], &seen["headers"]["host"]), (&json!("/v1/sandboxes?a=%2F"), &json!(host)));
        assert_eq!(seen["headers"]["cookie"], "of=the port");
        let refused = ask(address, "wrong").await?.expect(401)?;
        ensure!(refused.text().starts_with("OpenSandbox Ingress: "), "{}", refused.text());
    }
    // What does not come from a gateway is the API's, on the API's listener.
    let (code, _) = ask(second.address(), "wrong").await?.expect_error(401)?;
    assert_eq!(code, "INVALID_API_KEY");

    let mut handshake = format!("ws://{gateway}/ws").into_client_request()?;
    handshake.headers_mut().insert("host", host.parse()?);
    handshake.headers_mut().insert("open-sandbox-api-key", first.key.parse()?);
    let (mut socket, _) = tokio_tungstenite::connect_async(handshake).await?;
    assert_eq!(socket.next().await.context("a greeting")??, Message::text("/ws"));
    socket.send(Message::text("hello")).await?;
    assert_eq!(socket.next().await.context("an echo")??, Message::text("hello"));
    drop(socket);

    first.kill()?;
    let away = ask(gateway, &first.key).await?.expect(503)?;
    ensure!(away.text().starts_with("OpenSandbox Ingress: "), "{}", away.text());
    first.restart()?;
    ask(gateway, &first.key).await?.expect(200)?;
    sandbox.delete().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sandboxes_are_made_of_is_used_through_any_server() -> Result<()> {
    let database = Postgresql::start()?;
    let (first, second) = two(&database)?;
    let (a, b) = (first.api(), second.api());
    let pool = json!({
        "name": "p",
        "template": {"spec": {"containers": [{"name": "sandbox", "image": BASE_IMAGE}]}},
        "capacitySpec": {"bufferMin": 1, "bufferMax": 1, "poolMin": 1, "poolMax": 3},
    });
    a.post("/v1/pools", &pool).await?.expect(201)?;
    let (code, _) = b.post("/v1/pools", &pool).await?.expect_error(409)?;
    assert_eq!(code, "SANDBOX::POOL_ALREADY_EXISTS");
    becomes(&b, "/v1/pools/p", "available", json!(1)).await?;
    let template = json!({"image": BASE_IMAGE, "resourceLimits": {"memory": "64Mi"}, "publish": "a/b"});
    let template = a.post("/v1/templates", &template).await?.expect(201)?.json()?;
    let template = template["templateId"].as_str().context("an id")?.to_owned();
    becomes(&b, &format!("/v1/templates/{template}"), "phase", json!("Succeeded")).await?;
    let source = a.create(json!({})).await?;
    source.execd().await?.output("echo kept > /srv/file").await?;
    let path = format!("/v1/sandboxes/{}/snapshots", source.id);
    let snapshot = b.post(&path, &json!({"name": "s"})).await?.expect(202)?.json()?;
    let snapshot = snapshot["id"].as_str().context("an id")?.to_owned();
    becomes(&b, &format!("/v1/snapshots/{snapshot}"), "state", json!("Ready")).await?;

    // What the second server creates from them is where they are.
    for wish in [
        json!({"extensions": {"poolRef": "p"}, "timeout": 600}),
        json!({"templateId": template, "timeout": 600}),
        json!({"snapshotId": snapshot, "timeout": 600, "resourceLimits": {"memory": "64Mi"}, "entrypoint": ["sleep", "inf"]}),
    ] {
        let made = b.post("/v1/sandboxes", &wish).await?.expect(202)?.json()?;
        let made = Sandbox { id: made["id"].as_str().context("an id")?.to_owned(), api: a.clone() };
        made.wait_state("Running").await?;
        let owner = database.sql(&format!("SELECT owner FROM sandboxes WHERE id = '{}'", made.id))?;
        let owner_of_source =
            database.sql(&format!("SELECT owner FROM sandboxes WHERE id = '{}'", source.id))?;
        assert_eq!(owner, owner_of_source, "{wish}");
        if wish["snapshotId"].is_string() {
            assert_eq!(made.execd().await?.output("cat /srv/file").await?, "kept");
        }
    }
    for path in ["/v1/pools", "/v1/templates", "/v1/snapshots"] {
        let count = async |api: &Api| -> Result<usize> {
            let list = api.get(path).await?.expect(200)?.json()?;
            Ok(list["items"].as_array().context("a list has items")?.len())
        };
        assert_eq!((count(&a).await?, count(&b).await?), (1, 1), "{path}");
    }
    // A start of the second touches nothing of the first's.
    second.kill()?;
    second.restart()?;
    becomes(&b, "/v1/pools/p", "available", json!(1)).await?;
    assert_eq!(a.get(&format!("/v1/snapshots/{snapshot}")).await?.json()?["status"]["state"], "Ready");
    for path in ["/v1/pools/p".to_owned(), format!("/v1/templates/{template}")] {
        b.delete(&path).await?.expect(204)?;
        assert_eq!(a.get(&path).await?.status, 404);
    }
    for id in ids(&a).await? {
        b.delete(&format!("/v1/sandboxes/{id}")).await?.expect(204)?;
    }
    b.delete(&format!("/v1/snapshots/{snapshot}")).await?.expect(204)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_identity_and_a_quota_of_all_are_noticed() -> Result<()> {
    let database = Postgresql::start()?;
    let dir = tempfile::tempdir()?;
    let tenants = dir.path().join("tenants.toml");
    fs::write(
        &tenants,
        "[[tenants]]\nname = \"t\"\nnamespace = \"t\"\napi_keys = [\"tenant-key\"]\nquota = { sandboxes = 2 }\n",
    )?;
    let tenant = |setup: Setup| {
        setup.without_key().with_key("tenant-key").set("tenants", format!("path = {tenants:?}"))
    };
    let first = Server::start(tenant(setup(&database)))?;
    let second = Server::start(tenant(setup(&database)))?;
    let (a, b) = (first.api(), second.api());
    let (here, there) = (a.create(json!({})).await?, b.create(json!({})).await?);
    for api in [&a, &b] {
        let (code, _) = api.post("/v1/sandboxes", &create_body(json!({}))).await?.expect_error(403)?;
        assert_eq!(code, "SANDBOX::QUOTA_EXCEEDED");
    }
    seen_by(&b, &here).delete().await?;
    // Of many at once, at both servers, no more than one finds the last place.
    let body = create_body(json!({}));
    let wishes = (0..6).map(|place| [&a, &b][place % 2].post("/v1/sandboxes", &body));
    let mut made = Vec::new();
    for answer in futures_util::future::join_all(wishes).await {
        let answer = answer?;
        match answer.status {
            202 => made.push(answer.json()?["id"].as_str().context("an id")?.to_owned()),
            _ => assert_eq!(answer.expect_error(403)?.0, "SANDBOX::QUOTA_EXCEEDED"),
        }
    }
    ensure!(made.len() <= 1, "{made:?}");
    let mut left = BTreeSet::from([there.id.clone()]);
    left.extend(made);
    assert_eq!(ids(&a).await?, left);
    for id in left {
        a.delete(&format!("/v1/sandboxes/{id}")).await?.expect(204)?;
    }

    // A directory that was copied is refused while the server it came from is there.
    let kept = a.create(json!({})).await?;
    second.stop()?;
    let identity = |server: &Server| server.state().join("server-id");
    let own = fs::read(identity(&second))?;
    fs::copy(identity(&first), identity(&second))?;
    let refusal = second.restart().err().context("a copy was started")?;
    ensure!(format!("{refusal:#}").contains("has this one's identity"), "{refusal:#}");
    second.wait_for_end(PATIENCE)?;
    fs::write(identity(&second), own)?;
    second.restart()?;
    assert_eq!(kept.execd().await?.output("echo on").await?, "on");

    database.sql("UPDATE servers SET boot = 'of another'")?;
    for server in [&first, &second] {
        server.wait_for_end(PATIENCE)?;
        ensure!(server.log().contains("has this one's identity"), "{}", server.log());
    }
    // As a server left it that knew nothing of others.
    database.sql("DELETE FROM servers; UPDATE sandboxes SET owner = ''")?;
    first.restart()?;
    second.restart()?;
    assert_eq!(kept.get().await?["status"]["state"], "Running");
    assert_eq!(seen_by(&b, &kept).execd_through_server().await?.output("echo on").await?, "on");
    seen_by(&b, &kept).delete().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_memory_takes_of_its_owners_disk_at_every_server() -> Result<()> {
    const CRIU: &str = "/usr/local/lib/sandkeep/criu/criu";
    const HOG: &str = "import os, time; kept = bytearray(os.urandom(1 << 20)) * 80; open('/srv/has', 'w'); time.sleep(3600)";
    ensure!(Path::new(CRIU).exists(), "there is no {CRIU}: run `cargo xtask setup --tests`");
    let database = Postgresql::start()?;
    let setup = || setup(&database).tenants(&[("t", "quota = { disk = \"180Mi\" }")]);
    let first = Server::start(setup())?;
    let second = Server::start(setup().with_key(&first.key))?;
    let (a, b) = (first.tenant("t"), second.tenant("t"));
    let limits = json!({"memory": "256Mi", "disk": "64Mi"});
    let sandbox = a.create(json!({"resourceLimits": limits, "entrypoint": ["python3", "-c", HOG]})).await?;
    let execd = sandbox.execd().await?;
    eventually("its program has its memory", PATIENCE, async || {
        Ok(execd.output("test -e /srv/has && echo yes || echo no").await? == "yes")
    })
    .await?;
    let act = async |what: &str| -> Result<()> {
        let body = json!({"memory": true});
        let answer = a.send(Method::POST, &format!("{}/{what}", sandbox.path()), Some(&body)).await?;
        assert_eq!(answer.expect(200)?.json()?, body, "{what}");
        Ok(())
    };
    let wish = create_body(json!({"resourceLimits": limits}));
    let refused = async || -> Result<()> {
        for api in [&b, &a] {
            let (code, message) = api.post("/v1/sandboxes", &wish).await?.expect_error(403)?;
            ensure!(code == "SANDBOX::QUOTA_EXCEEDED" && message.contains("disk"), "{code}: {message}");
        }
        Ok(())
    };
    act("stop").await?;
    refused().await?;
    // As a server left it that said nothing of it.
    first.kill()?;
    database.sql("UPDATE sandboxes SET kept_bytes = 0")?;
    first.restart()?;
    refused().await?;
    act("start").await?;
    let other = b.post("/v1/sandboxes", &wish).await?.expect(202).context("with the memory gone")?.json()?;
    let other = other["id"].as_str().context("an id")?.to_owned();
    a.delete(&format!("/v1/sandboxes/{other}")).await?.expect(204)?;
    sandbox.delete().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_records_is_for_one_server() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let shared = || Setup::default().set("store", format!("path = {:?}", dir.path().join("records.db")));
    let first = Server::start(shared())?;
    let sandbox = first.api().create(json!({})).await?;
    let refusal = Server::start(shared()).err().context("a second server uses the file")?;
    ensure!(format!("{refusal:#}").contains("another server uses the database"), "{refusal:#}");
    assert_eq!(sandbox.execd().await?.output("echo on").await?, "on");
    first.kill()?;
    first.restart()?;
    sandbox.delete().await?;
    Ok(())
}
