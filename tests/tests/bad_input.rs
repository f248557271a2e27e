//! What comes from careless and hostile clients: each refused with a reason, the daemons small and alive after it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sandkeep_tests::{
    api::{Api, create_body, eventually},
    backend::{PORT, sandbox_with_backend},
    outside::Lab,
    server::{Server, Setup, resident_kib},
    wire,
};
use serde_json::{Value, json};

/// Neither daemon may ever need more than this for what a test does to it.
const SMALL_KIB: u64 = 160 * 1024;
const CONNECTIONS: usize = 10_000;

async fn alive_and_small(server: &Server) -> Result<()> {
    server.api().get("/v1/sandboxes?pageSize=1").await?.expect(200)?;
    let resident = server.resident_kib()?;
    ensure!(resident < SMALL_KIB, "the server takes {resident} KiB");
    Ok(())
}

#[tokio::test]
async fn a_create_request_is_refused_with_the_member_at_fault() -> Result<()> {
    let server = Server::shared()?;
    let api = server.api();
    let long = "k".repeat(300);
    let table: Vec<(Value, &str)> = vec![
        (json!({"metadata": {(long.as_str()): "v"}}), "metadata"),
        (json!({"metadata": {"key": long.as_str()}}), "metadata"),
        (json!({"metadata": {"opensandbox.io/x": "v"}}), "opensandbox.io"),
        (json!({"metadata": {"bad key": "v"}}), "metadata"),
        (json!({"metadata": {"key": 1}}), "metadata"),
        (json!({"timeout": 59}), "timeout"),
        (json!({"timeout": -1}), "timeout"),
        (json!({"timeout": "soon"}), "timeout"),
        (json!({"timeout": 9_000_000_000_000_000_000_u64}), "timeout"),
        (json!({"entrypoint": []}), "entrypoint"),
        (json!({"entrypoint": null}), "entrypoint"),
        (json!({"entrypoint": "sh"}), "entrypoint"),
        (json!({"entrypoint": ["sh", "a\u{0}b"]}), "entrypoint"),
        (json!({"resourceLimits": null}), "resourceLimits"),
        (json!({"resourceLimits": {"cpu": "many"}}), "cpu"),
        (json!({"resourceLimits": {"cpu": "0"}}), "cpu"),
        (json!({"resourceLimits": {"cpu": "-1"}}), "cpu"),
        (json!({"resourceLimits": {"memory": "-5Mi"}}), "memory"),
        (json!({"resourceLimits": {"memory": "1.5Gi"}}), "memory"),
        (json!({"resourceLimits": {"memory": "99999999999999999999Ti"}}), "memory"),
        (json!({"resourceLimits": {"disk": "lots"}}), "disk"),
        (json!({"resourceLimits": {"gpu": "1"}}), "gpu"),
        (json!({"env": {"A=B": "v"}}), "env"),
        (json!({"env": {"A": "nul\u{0}"}}), "env"),
        (json!({"env": {"OPENSANDBOX_LIFECYCLE": "x"}}), "OPENSANDBOX_LIFECYCLE"),
        (json!({"image": {}}), "uri"),
        (json!({"image": {"uri": ""}}), "image"),
        (json!({"image": {"uri": "Not A Reference"}}), "image"),
        (json!({"image": null}), "image"),
        (json!({"platform": {"os": "plan9", "arch": "amd64"}}), "platform"),
        (json!({"platform": {"os": "linux", "arch": "pdp11"}}), "platform"),
        (json!({"extensions": {"access.renew.extend.seconds": "10"}}), "access.renew.extend.seconds"),
        (json!({"networkPolicy": {"egress": [{"action": "deny", "target": " "}]}}), "networkPolicy"),
        (
            json!({"networkPolicy": {}, "env": {"OPENSANDBOX_EGRESS_DENY_WEBHOOK": "ftp://a.example"}}),
            "env.OPENSANDBOX_EGRESS_DENY_WEBHOOK",
        ),
        (json!({"credentialProxy": {"enabled": true}}), "credentialProxy"),
        (json!({"volumes": [{"name": "v", "host": {"path": "/"}, "mountPath": "/v"}]}), "allowed_host_paths"),
        (json!({"snapshotId": "x"}), "snapshotId"),
    ];
    let before = api.ids().await?.len();
    for (overrides, member) in table {
        let answer = api.post("/v1/sandboxes", &create_body(overrides.clone())).await?;
        let (_, message) = answer.expect_error(400).with_context(|| format!("{overrides}"))?;
        ensure!(message.contains(member), "{overrides}: the message does not name {member}: {message}");
    }
    assert_eq!(api.ids().await?.len(), before, "a refused request left a sandbox");
    alive_and_small(server).await
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused() -> Result<()> {
    let server = Server::shared()?;
    let api = server.api();
    let send = async |content_type: &str, body: &'static [u8]| {
        let request = Request::post(format!("{}/v1/sandboxes", api.base))
            .header("open-sandbox-api-key", &api.key)
            .header("content-type", content_type)
            .body(Full::new(Bytes::from_static(body)))?;
        api.request(request).await
    };
    let deep: &'static [u8] = "[".repeat(100_000).leak().as_bytes();
    for body in [&b"{\"image\": "[..], b"", b"nonsense", b"[]", b"\xff\xfe", b"{\"a\":1}{", deep] {
        let answer = send("application/json", body).await?;
        answer.expect_error(400).with_context(|| format!("{:?}", body.get(..20.min(body.len()))))?;
    }
    let answer = send("text/plain", b"{}").await?;
    ensure!(matches!(answer.status, 400 | 415), "{answer:?}");
    api.get("/v1/sandboxes/not-an-id").await?.expect_error(404)?;
    api.get("/v1/sandboxes/%00").await?.expect_error(404)?;
    api.get("/v1/no-such-thing").await?.expect_error(404)?;
    let wrong = api.send(Method::PUT, "/v1/sandboxes", None).await?;
    ensure!(wrong.header("allow").contains("POST"), "Allow: {:?}", wrong.header("allow"));
    wrong.expect_error(405)?;
    alive_and_small(server).await
}

#[tokio::test]
async fn an_unknown_image_is_a_clear_error_and_leaves_nothing() -> Result<()> {
    let api = Server::shared()?.api();
    // Nothing listens there, so no name is ever found.
    let image = "127.0.0.1:9/no/such:image";
    let body = create_body(json!({"image": {"uri": image}, "metadata": {"unknown": "image"}}));
    let answer = api.post("/v1/sandboxes", &body).await?;
    let told = if answer.status == 202 {
        let path = format!("/v1/sandboxes/{}", answer.json()?["id"].as_str().context("an id")?);
        eventually("the sandbox fails", Duration::from_secs(30), async || {
            Ok(api.get(&path).await?.expect(200)?.json()?["status"]["state"] == "Failed")
        })
        .await?;
        let status = api.get(&path).await?.json()?["status"].to_string();
        api.delete(&path).await?.expect(204)?;
        status
    } else {
        let status = answer.status;
        let (code, message) = answer.expect_error(status)?;
        assert_eq!(code, "SANDBOX::IMAGE_PULL_FAILED");
        message
    };
    ensure!(told.contains("no/such"), "the image is not named: {told}");
    let left = api.get("/v1/sandboxes?metadata=unknown%3Dimage").await?.json()?;
    assert_eq!(left["items"], json!([]));
    Ok(())
}

/// Announces two gigabytes of body and sends until the server answers; returns the status and the bytes it took.
fn flood(address: SocketAddr, head: &str, chunked: bool) -> Result<(u16, usize)> {
    const ANNOUNCED: u64 = 2 << 30;
    let mut socket = TcpStream::connect(address)?;
    socket.set_write_timeout(Some(Duration::from_secs(2)))?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let length = if chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {ANNOUNCED}")
    };
    socket.write_all(format!("{head}{length}\r\n\r\n").as_bytes())?;
    let mut part = vec![b' '; 64 * 1024];
    if chunked {
        part.splice(..0, b"10000\r\n".iter().copied());
        part.extend_from_slice(b"\r\n");
    }
    let mut sent = 0;
    // The server stops reading at some point: then either the write fails or it times out on a full socket.
    while sent < 256 << 20 && socket.write_all(&part).is_ok() {
        sent += part.len();
        socket.set_nonblocking(true)?;
        let answered = socket.peek(&mut [0]).is_ok();
        socket.set_nonblocking(false)?;
        if answered {
            break;
        }
    }
    let mut answer = [0; 64];
    let length = socket.read(&mut answer).context("no answer to a body that is too large")?;
    let text = String::from_utf8_lossy(&answer[..length]).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.with_context(|| format!("a status line: {text}"))?, sent))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_two_gigabytes_is_refused_early() -> Result<()> {
    let server = Server::shared()?;
    let sandbox = server.api().create(json!({})).await?;
    let execd = sandbox.execd().await?;
    let execd_address: SocketAddr = execd.base.trim_start_matches("http://").parse()?;
    let token = execd.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    let key = format!("open-sandbox-api-key: {}\r\n", server.key);
    let targets = [
        (server.address(), format!("POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\n{key}")),
        (server.address(), format!("PATCH {}/metadata HTTP/1.1\r\nHost: x\r\n{key}", sandbox.path())),
        (execd_address, format!("POST /command HTTP/1.1\r\nHost: x\r\n{token}")),
        (execd_address, format!("POST /files/mv HTTP/1.1\r\nHost: x\r\n{token}")),
    ];
    for (address, head) in targets {
        for chunked in [false, true] {
            let head = format!("{head}Content-Type: application/json\r\n");
            let (status, sent) = tokio::task::block_in_place(|| flood(address, &head, chunked))
                .with_context(|| format!("{head} chunked: {chunked}"))?;
            assert_eq!(status, 413, "{head}");
            ensure!(sent < 64 << 20, "{sent} bytes were taken before the refusal");
        }
    }
    assert_eq!(execd.output("echo alive").await?, "alive");
    alive_and_small(server).await?;
    sandbox.delete().await
}

/// Room for one test's connections and its own business.
const OPEN_FILES: u64 = CONNECTIONS as u64 + 1000;
/// Both tests at once would need more open files than many machines allow a process.
static CROWD: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn allow_open_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < OPEN_FILES) {
        let maximum = limit.maximum.map(|maximum| maximum.max(OPEN_FILES));
        setrlimit(Resource::Nofile, Rlimit { current: Some(OPEN_FILES), maximum })
            .with_context(|| format!("this test opens {OPEN_FILES} files: raise the limit (ulimit -Hn)"))?;
    }
    Ok(())
}

fn open_many(address: SocketAddr) -> Result<Vec<TcpStream>> {
    let mut sockets = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let mut socket = TcpStream::connect_timeout(&address, Duration::from_secs(5))
            .with_context(|| format!("connection {number}"))?;
        // Every third has begun a request it never finishes.
        if number % 3 == 0 && socket.write_all(b"GET / HTTP/1.1\r\nHost:").is_err() {
            continue;
        }
        sockets.push(socket);
    }
    Ok(sockets)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connections_do_not_stop_the_server() -> Result<()> {
    let _alone = CROWD.lock().await;
    allow_open_files()?;
    let server = Server::start(Setup::default().without_image())?;
    let sockets = tokio::task::block_in_place(|| open_many(server.address()))?;
    let resident = server.resident_kib()?;
    ensure!(resident < SMALL_KIB, "the server takes {resident} KiB for {} connections", sockets.len());
    // A server at its configured limit may say so, but must say something.
    let answer = server.call("GET", "/health").context("one more request")?;
    ensure!(matches!(answer.status, 200 | 503), "{answer:?}");
    drop(sockets);
    eventually("the server serves again", Duration::from_secs(15), async || {
        Ok(server.call("GET", "/v1/sandboxes").is_ok_and(|answer| answer.status == 200))
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connections_do_not_stop_execd() -> Result<()> {
    let _alone = CROWD.lock().await;
    allow_open_files()?;
    let server = Server::shared()?;
    let sandbox = server.api().create(json!({})).await?;
    let execd = sandbox.execd().await?;
    let address: SocketAddr = execd.base.trim_start_matches("http://").parse()?;
    let token: Vec<(&str, &str)> = execd.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let sockets = tokio::task::block_in_place(|| open_many(address))?;
    let answer = wire::request(address, "GET", "/ping", &token, b"").context("one more request")?;
    ensure!(matches!(answer.status, 200 | 503), "{answer:?}");
    drop(sockets);
    eventually("execd serves again", Duration::from_secs(15), async || {
        Ok(wire::request(address, "GET", "/ping", &token, b"").is_ok_and(|answer| answer.status == 200))
    })
    .await?;
    assert_eq!(execd.output("echo alive").await?, "alive");
    sandbox.delete().await
}

/// The process id, on the host, of the execd that serves `sandbox`.
fn execd_pid(id: &str) -> Result<u32> {
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let of_sandbox = String::from_utf8_lossy(&environment).contains(&format!("OPENSANDBOX_ID={id}"));
        if name.trim() == "execd" && of_sandbox {
            return Ok(pid);
        }
    }
    anyhow::bail!("sandbox {id} has no execd on this host")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_costs_no_memory() -> Result<()> {
    let server = Server::shared()?;
    let sandbox = server.api().create(json!({})).await?;
    let direct = sandbox.execd().await?;
    let through = sandbox.execd_through_server().await?;
    let pid = execd_pid(&sandbox.id)?;
    for execd in [&direct, &through] {
        let (host, path) = execd.base.trim_start_matches("http://").split_once('/').map_or_else(
            || (execd.base.trim_start_matches("http://"), String::new()),
            |(host, path)| (host, format!("/{path}")),
        );
        let headers =
            execd.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
        let body = json!({"command": "yes | head -c 10000000000"}).to_string();
        let request = format!(
            "POST {path}/command HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut socket = TcpStream::connect(host)?;
        socket.write_all(request.as_bytes())?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        for (what, resident) in [("execd", resident_kib(pid)?), ("the server", server.resident_kib()?)] {
            ensure!(resident < SMALL_KIB / 2, "{what} takes {resident} KiB for output nobody reads");
        }
        assert_eq!(direct.output("echo alive").await?, "alive", "others are served meanwhile");
        drop(socket);
        direct.run("pkill -x yes || killall yes || true").await?;
    }
    alive_and_small(server).await?;
    sandbox.delete().await
}

#[tokio::test]
async fn a_command_outlives_the_client_that_hung_up() -> Result<()> {
    let server = Server::shared()?;
    let sandbox = server.api().create(json!({})).await?;
    for (name, execd) in
        [("direct", sandbox.execd().await?), ("proxied", sandbox.execd_through_server().await?)]
    {
        let command = format!("echo begun; sleep 1; yes | head -c 100000000; touch /tmp/{name}");
        let mut events = execd.stream("/command", &json!({"command": command})).await?;
        events.next_of(&["stdout"]).await?;
        drop(events);
        drop(execd);
        let watcher = sandbox.execd().await?;
        eventually(&format!("the {name} command goes on"), Duration::from_secs(15), async || {
            Ok(watcher.run(&format!("test -e /tmp/{name}")).await?.exit_code == 0)
        })
        .await?;
    }
    alive_and_small(server).await?;
    sandbox.delete().await
}

#[tokio::test]
async fn execd_refuses_with_a_reason() -> Result<()> {
    let server = Server::shared()?;
    let sandbox = server.api().create(json!({})).await?;
    let execd = sandbox.execd().await?;
    let table: Vec<(Method, &str, Option<Value>, u16)> = vec![
        (Method::POST, "/command", Some(json!({})), 400),
        (Method::POST, "/command", Some(json!({"command": "  "})), 400),
        (Method::POST, "/command", Some(json!({"command": "true", "argv": ["true"]})), 400),
        (Method::POST, "/command", Some(json!({"argv": []})), 400),
        (Method::POST, "/command", Some(json!({"argv": ["a\u{0}b"]})), 400),
        (Method::POST, "/command", Some(json!({"command": 7})), 400),
        (Method::POST, "/command", Some(json!({"command": "true", "cwd": "/no/such/dir"})), 400),
        (Method::POST, "/command", Some(json!({"command": "true", "gid": 5})), 400),
        (Method::POST, "/command", Some(json!({"command": "true", "timeout": -1})), 400),
        (Method::DELETE, "/command", None, 400),
        (Method::GET, "/command/status/nope", None, 404),
        (Method::POST, "/code", Some(json!({"context": {"language": "cobol"}, "code": "x"})), 400),
        (Method::GET, "/code/contexts/nope", None, 404),
        (Method::DELETE, "/code/contexts", None, 400),
        (Method::GET, "/files/info?path=/no/such", None, 404),
        (Method::GET, "/files/download?path=/no/such", None, 404),
        (Method::GET, "/files/download?path=/tmp%00x", None, 400),
        (Method::GET, "/files/download", None, 400),
        (Method::GET, "/files/search?path=/tmp&pattern=%5B", None, 400),
        (Method::GET, "/files/search?pattern=x", None, 400),
        (Method::GET, "/directories/list?path=/tmp&depth=-1", None, 400),
        (Method::POST, "/files/mv", Some(json!([{"src": "/no/such", "dest": "/tmp/x"}])), 404),
        (Method::POST, "/files/permissions", Some(json!({"/tmp": {"mode": 999}})), 400),
        (Method::POST, "/files/permissions", Some(json!({"/tmp": {"owner": "nobody-such"}})), 400),
    ];
    for (method, path, body, status) in table {
        let what = format!("{method} {path} {body:?}");
        let answer = execd.send(method, path, body.as_ref()).await?;
        answer.expect_error(status).with_context(|| what)?;
    }
    let unknown = execd.send(Method::GET, "/no/such/route", None).await?.expect(404)?;
    assert_eq!(unknown.text().trim(), "404 page not found");
    assert_eq!(execd.output("echo alive").await?, "alive");
    sandbox.delete().await
}

#[tokio::test]
async fn bytes_that_are_no_http_do_no_harm() -> Result<()> {
    let server = Server::shared()?;
    for garbage in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"GET\r\n\r\n", &[0; 4096]] {
        // An error answer or a closed connection are both fine.
        if let Ok(answer) = wire::raw(server.address(), garbage) {
            ensure!((400..500).contains(&answer.status), "{answer:?}");
        }
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20));
    if let Ok(answer) = wire::raw(server.address(), long.as_bytes()) {
        ensure!((400..500).contains(&answer.status), "{answer:?}");
    }
    alive_and_small(server).await
}

/// Asks for everything a document knows, with names that are no text.
async fn ask_without_text(api: &Api, document: &Value, headers: &[(&str, &str)]) -> Result<usize> {
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().context("a document has paths")? {
        // What is behind a port has its own words.
        if !path.contains('{') || path.contains("/proxy/") {
            continue;
        }
        let pieces = path.split('/').map(|piece| if piece.starts_with('{') { "%ff%00" } else { piece });
        let path = pieces.collect::<Vec<_>>().join("/");
        for method in item.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase()) {
            let mut request = Request::builder().method(&*method).uri(format!("{}{path}", api.base));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = api.request(request.body(Full::default())?).await?;
            let status = answer.status;
            ensure!((400..500).contains(&status), "{method} {path}: {status}: {}", answer.text());
            answer.expect_error(status).with_context(|| format!("{method} {path}"))?;
            asked += 1;
        }
    }
    Ok(asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_no_text_are_found_nowhere() -> Result<()> {
    let server = Server::shared()?;
    let api = server.api();
    let document = api.get("/openapi.json").await?.json()?;
    let key = [("open-sandbox-api-key", api.key.as_str())];
    ensure!(ask_without_text(&api, &document, &key).await? > 20, "the document has become small");
    api.get("/docs/%ff").await?.expect_error(404)?;

    let isolation = json!({ "extensions": { "bootstrap.execd.isolation": "enable" } });
    let sandbox = sandbox_with_backend(&api, isolation).await?;
    let execd = sandbox.execd().await?;
    let document = execd.send(Method::GET, "/openapi.json", None).await?.expect(200)?.json()?;
    let headers: Vec<(&str, &str)> = execd.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let direct = Api::new(execd.base.clone(), "");
    ensure!(ask_without_text(&direct, &document, &headers).await? > 30, "the document has become small");
    // Who acts as a user nobody has must not act as root.
    let path = "/v1/filesystem/%ff/0/files/info?path=/etc/shadow";
    execd.send(Method::GET, path, None).await?.expect_error(400)?;

    // What a port's own path says is for the program there.
    let path = format!("{}/proxy/{PORT}/%ff%00/a", sandbox.path());
    assert_eq!(api.get(&path).await?.expect(200)?.json()?["path"], "/%ff%00/a");
    sandbox.delete().await
}

#[test]
fn the_sidecar_finds_no_name_that_is_no_text() -> Result<()> {
    let lab = Lab::new()?;
    let _sidecar = lab.sidecar(&[])?;
    for path in ["/credential-vault/credentials/%ff", "/credential-vault/bindings/%ff"] {
        let (status, text) = lab.call("GET", path, None)?;
        ensure!(status == 404 && text.ends_with("not found\n"), "{path}: {status}: {text:?}");
    }
    Ok(())
}
