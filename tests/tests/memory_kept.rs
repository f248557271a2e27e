//! What a sandbox has and is at when it is stopped with its memory: volumes, commands, sessions, contexts, terminals, a
//! policy, an owner from a pool.
//!
//! Needs CRIU where the set-up puts it.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use hyper::Method;
use sandkeep::{Client, PtyAttach, PtyEvent, Sandbox as Attached, specs::execd::pty::CreatePtyRequest};
use sandkeep_tests::{
    api::{Api, Sandbox, create_body, eventually},
    execd::Execd,
    guarded::Example,
    internet,
    leaks::Watch,
    paths::BASE_IMAGE,
    server::{Server, Setup},
    web::Web,
};
use serde_json::{Value, json};

const CRIU: &str = "/usr/local/lib/sandkeep/criu/criu";
const PATIENCE: Duration = Duration::from_secs(60);
/// Where a sandbox's sidecar listens.
const SIDECAR_PORT: u16 = 18080;

fn require_criu() -> Result<()> {
    ensure!(Path::new(CRIU).exists(), "there is no {CRIU}: run `cargo xtask setup --tests`");
    Ok(())
}

/// Stops the sandbox with its memory, calls `between`, and starts it.
async fn cycle(sandbox: &Sandbox, between: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    let act = async |what: &str| -> Result<()> {
        let body = json!({"memory": true});
        let answer =
            sandbox.api.send(Method::POST, &format!("{}/{what}", sandbox.path()), Some(&body)).await?;
        assert_eq!(answer.expect(200)?.json()?, json!({"memory": true}), "{what}");
        Ok(())
    };
    act("stop").await?;
    between().await?;
    act("start").await
}

async fn no_pause() -> Result<()> {
    Ok(())
}

/// Writes numbers, one a line, to two files that stay open.
const WRITER: &str = "exec 3>>/host/lines 4>>/named/lines; cd /named; i=0; \
    while :; do i=$((i+1)); echo $i >&3; echo $i >&4; sleep 0.05; done";

/// Answers on two sockets that are files, one bound by a relative path.
const LISTENER: &str = r#"
import os, socketserver, threading
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(str(os.getpid()).encode())
os.chdir("/srv")
servers = [socketserver.ThreadingUnixStreamServer(path, Handler) for path in ("/tmp/absolute", "relative")]
for server in servers:
    threading.Thread(target=server.serve_forever).start()
"#;

/// Asks both.
const CALLER: &str = r#"
import socket
for path in ("/tmp/absolute", "/srv/relative"):
    caller = socket.socket(socket.AF_UNIX)
    caller.connect(path)
    print(path, caller.recv(100).decode())
"#;

/// Lines of a file that the writer has written without a gap and without beginning anew.
fn lines(file: &Path) -> Result<usize> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let count = text.lines().zip(1..).take_while(|(line, number)| **line == number.to_string()).count();
    ensure!(count == text.lines().count(), "{} began anew: {text}", file.display());
    Ok(count)
}

async fn text_of(execd: &Execd, path: &str, body: Value) -> Result<String> {
    Ok(execd.stream(path, &body).await?.finish().await?.stdout)
}

async fn shown(terminal: &mut sandkeep::Pty, text: &str) -> Result<()> {
    let mut seen = String::new();
    while !seen.contains(text) {
        let event = tokio::time::timeout(PATIENCE, terminal.next()).await??;
        match event.with_context(|| format!("the terminal ended: {seen}"))? {
            PtyEvent::Output(bytes) => seen.push_str(&String::from_utf8_lossy(&bytes)),
            _ => continue,
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_goes_on() -> Result<()> {
    require_criu()?;
    let dir = tempfile::tempdir()?;
    let host = dir.path().join("host");
    fs::create_dir(&host)?;
    let server = Server::start(Setup::default().set("storage", format!("allowed_host_paths = [{host:?}]")))?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let volumes = json!([
        {"name": "h", "host": {"path": host}, "mountPath": "/host"},
        {"name": "n", "pvc": {"claimName": "n", "deleteOnSandboxTermination": true}, "mountPath": "/named"},
        {"name": "r", "host": {"path": host}, "mountPath": "/read", "readOnly": true},
    ]);
    let sandbox = server.api().create(json!({"volumes": volumes})).await?;
    let execd = sandbox.execd().await?;

    let writer =
        execd.stream("/command", &json!({"command": WRITER, "background": true})).await?.id().await?;
    let listen = json!({"argv": ["python3", "-c", LISTENER], "background": true});
    execd.stream("/command", &listen).await?.id().await?;
    let call = format!("python3 -c '{CALLER}'");
    eventually("the sockets answer", PATIENCE, async || Ok(execd.run(&call).await?.exit_code == 0)).await?;
    let answers = execd.output(&call).await?;
    let made =
        execd.send(Method::POST, "/session", Some(&json!({"cwd": "/tmp"}))).await?.expect(200)?.json()?;
    let session = format!("/session/{}/run", made["session_id"].as_str().context("a session")?);
    text_of(&execd, &session, json!({"command": "x=41; told() { echo told $((x + 1)); }; cd /usr"})).await?;
    let made = execd.send(Method::POST, "/code/context", Some(&json!({"language": "python"}))).await?;
    let context = made.expect(200)?.json()?;
    let code = |code: &str| json!({"context": context.clone(), "code": code});
    text_of(&execd, "/code", code("x = 41\nlog = open('/srv/log', 'w')")).await?;

    let client = Client::new(server.url(), server.key.clone())?;
    let attached = Attached::connect(&client, &sandbox.id).await?;
    let pty = attached.execd().create_pty(&CreatePtyRequest { cwd: None, command: None }).await?;
    let mut terminal = attached.execd().attach_pty(&pty, PtyAttach::default()).await?;
    terminal.write(b"x=41; echo re''ady\n").await?;
    shown(&mut terminal, "ready").await?;
    let named = server.state().join("volumes");
    let named = eventually_file(&named, "lines").await?;
    eventually("the writer writes", PATIENCE, async || Ok(lines(&host.join("lines"))? > 3)).await?;

    let mut before = 0;
    cycle(&sandbox, async || {
        before = lines(&host.join("lines"))?;
        // The client at the terminal is told that its connection is over.
        let ended = async { while let Ok(Some(_)) = terminal.next().await {} };
        tokio::time::timeout(PATIENCE, ended).await.context("a connection outlasts a stop")?;
        assert_eq!(lines(&host.join("lines"))?, before, "a stopped sandbox writes");
        Ok(())
    })
    .await?;

    let execd = sandbox.execd().await?;
    for file in [host.join("lines"), named] {
        eventually("the writer goes on", PATIENCE, async || Ok(lines(&file)? > before + 3)).await?;
    }
    assert_eq!(execd.output(&call).await?, answers);
    let command = execd.send(Method::GET, &format!("/command/status/{writer}"), None).await?.expect(200)?;
    assert_eq!(command.json()?["running"], true);
    ensure!(execd.run("touch /read/x").await?.exit_code != 0, "a read-only volume is not");
    let told = text_of(&execd, &session, json!({"command": "told; pwd"})).await?;
    assert_eq!(told, "told 42\n/usr\n");
    let told = text_of(&execd, "/code", code("print(x + 1, log.write('kept'), log.name)")).await?;
    assert_eq!(told, "42 4 /srv/log\n");
    let attached = Attached::connect(&client, &sandbox.id).await?;
    let mut terminal = attached.execd().attach_pty(&pty, PtyAttach::default()).await?;
    terminal.write(b"echo it is $((x + 1))\n").await?;
    shown(&mut terminal, "it is 42").await?;
    terminal.resize(100, 30).await?;
    terminal.write(b"stty size\n").await?;
    shown(&mut terminal, "30 100").await?;
    drop(terminal);

    // What was brought back can be kept as well.
    cycle(&sandbox, no_pause).await?;
    let execd = sandbox.execd().await?;
    assert_eq!(execd.output(&call).await?, answers);
    let told = text_of(&execd, &session, json!({"command": "told"})).await?;
    assert_eq!(told, "told 42\n");
    sandbox.delete().await?;
    watch.returns_to(&baseline).await
}

/// Where a file of this name is below a directory, once there is one.
async fn eventually_file(directory: &Path, name: &str) -> Result<std::path::PathBuf> {
    let find = || -> Result<Option<std::path::PathBuf>> {
        let mut left = vec![directory.to_owned()];
        while let Some(at) = left.pop() {
            for entry in fs::read_dir(at)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    left.push(entry.path());
                } else if entry.file_name() == name {
                    return Ok(Some(entry.path()));
                }
            }
        }
        Ok(None)
    };
    eventually("the file is there", PATIENCE, async || Ok(find()?.is_some())).await?;
    find()?.context("the file is gone")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_one_from_a_pool_is_still_its_owners() -> Result<()> {
    require_criu()?;
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let only = json!({"name": "c", "image": BASE_IMAGE, "command": ["sleep", "infinity"]});
    let pool = json!({
        "name": "p", "template": {"spec": {"containers": [only]}},
        "capacitySpec": {"bufferMin": 1, "bufferMax": 1, "poolMin": 1, "poolMax": 1},
    });
    api.post("/v1/pools", &pool).await?.expect(201)?;
    eventually("a member waits", PATIENCE, async || {
        Ok(api.get("/v1/pools/p").await?.expect(200)?.json()?["status"]["available"] == 1)
    })
    .await?;
    let wish = json!({
        "timeout": 3600, "env": {"OWNER": "me"},
        "entrypoint": ["python3", "-m", "http.server", "8000"],
        "extensions": {"poolRef": "p", "access.autopause.idle.seconds": "1", "access.autoresume": "true"},
    });
    let made = api.post("/v1/sandboxes", &wish).await?.expect(202)?.json()?;
    let sandbox = Sandbox { id: made["id"].as_str().context("an id")?.to_owned(), api: api.clone() };
    let answers = async || Ok(api.get(&format!("{}/proxy/8000/", sandbox.path())).await?.status == 200);
    eventually("its program answers", PATIENCE, answers).await?;
    let who = "echo $OWNER; pgrep -f http.server";
    let before = sandbox.execd().await?.output(who).await?;
    ensure!(before.starts_with("me\n"), "{before}");
    for _ in 0..2 {
        sandbox.wait_state("Paused").await?;
        cycle(&sandbox, async || {
            let (code, message) =
                api.get(&format!("{}/proxy/8000/", sandbox.path())).await?.expect_error(404)?;
            ensure!(code == "SANDBOX::NOT_REACHABLE" && message.contains("Stopped"), "{code}: {message}");
            Ok(())
        })
        .await?;
        ensure!(answers().await?, "its program does not go on");
        assert_eq!(sandbox.execd().await?.output(who).await?, before);
    }
    sandbox.delete().await?;
    api.delete("/v1/pools/p").await?.expect(204)?;
    Ok(())
}

#[tokio::test]
async fn a_kept_memory_takes_of_its_owners_disk() -> Result<()> {
    require_criu()?;
    let server = Server::start(Setup::default().tenants(&[("a", "quota = { disk = \"200Mi\" }")]))?;
    let api = server.tenant("a");
    let limits = json!({"memory": "512Mi", "disk": "64Mi"});
    let body = create_body(json!({
        "resourceLimits": limits,
        "entrypoint": ["python3", "-c", "import os, time; kept = bytearray(os.urandom(1 << 20)) * 150; time.sleep(3600)"],
    }));
    let make = async || api.post("/v1/sandboxes", &body).await;
    let id = make().await?.expect(202)?.json()?["id"].as_str().context("an id")?.to_owned();
    let sandbox = Sandbox { id, api: api.clone() };
    sandbox.wait_state("Running").await?;
    eventually("its program has its memory", PATIENCE, async || {
        let used = api.get(&format!("{}/metrics", sandbox.path())).await?.expect(200)?.json()?;
        Ok(used["memoryBytes"].as_u64().is_some_and(|bytes| bytes > 150 << 20))
    })
    .await?;
    cycle(&sandbox, async || {
        let (code, message) = make().await?.expect_error(403)?;
        ensure!(code == "SANDBOX::QUOTA_EXCEEDED" && message.contains("disk"), "{code}: {message}");
        Ok(())
    })
    .await?;
    make().await?.expect(202).context("with the memory gone")?;
    Ok(())
}

/// Tries over and over what the policy forbids, and notes if it ever works.
const INTRUDER: &str = r#"
import socket, sys
tries = 0
while True:
    tries += 1
    try:
        with socket.create_connection((sys.argv[1], 80), 0.1) as opened:
            # One that was under way when the memory was kept comes back closed, and without an error to tell of.
            opened.getpeername()
        open("/srv/leak", "w").write(str(tries))
    except OSError:
        pass
    open("/srv/tries", "w").write(str(tries))
"#;

#[test]
fn a_policy_holds_from_the_first_packet() -> Result<()> {
    require_criu()?;
    let world = Example::start()?;
    let (server, web) = (&world.server, &world.web);
    server.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let api = server.api();
            let watch = Watch::new(server).await?;
            let baseline = watch.settled().await?;
            let sandbox = api
                .create(json!({
                    "networkPolicy": {"defaultAction": "deny", "egress": []},
                    "credentialProxy": {"enabled": true},
                }))
                .await?;
            guarded(&api, &sandbox, web).await?;
            sandbox.delete().await?;
            watch.returns_to(&baseline).await
        })
    })?
}

async fn guarded(api: &Api, sandbox: &Sandbox, web: &Web) -> Result<()> {
    let execd = sandbox.execd().await?;
    let run = json!({"argv": ["python3", "-c", INTRUDER, internet::WEB], "background": true});
    execd.stream("/command", &run).await?.id().await?;
    let tries = async |execd: &Execd| -> Result<u64> {
        Ok(execd.run("cat /srv/tries").await?.stdout.trim().parse().unwrap_or(0))
    };
    eventually("it has tried", PATIENCE, async || Ok(tries(&execd).await? > 3)).await?;
    let rule = json!([{"action": "allow", "target": "example.test"}]);
    let path = format!("{}/networkpolicy", sandbox.path());
    api.send(Method::PATCH, &path, Some(&rule)).await?.expect(200)?;

    cycle(sandbox, no_pause).await?;
    let execd = sandbox.execd().await?;
    let before = tries(&execd).await?;
    eventually("it goes on trying", PATIENCE, async || Ok(tries(&execd).await? > before + 3)).await?;
    ensure!(execd.run("test -e /srv/leak").await?.exit_code != 0, "a packet has passed");
    // Only now, since an address that an allowed name has led to is open, to the intruder as well.
    let end = json!({"argv": ["pkill", "-f", "create_connection"]});
    assert_eq!(execd.stream("/command", &end).await?.finish().await?.exit_code, 0);
    let fetch = "curl -sS --max-time 20 https://example.test/echo";
    let ran = execd.run(fetch).await?;
    ensure!(ran.exit_code == 0 && ran.stdout.contains("you sent"), "the changed policy is lost: {ran:?}");
    // Secrets are on no disk: they are to be given again.
    assert_eq!(web.only()?.header("authorization"), None);
    let vault = json!({
        "credentials": [{"name": "key", "source": {"type": "inline", "value": "s3cret"}}],
        "bindings": [{
            "name": "example", "match": {"hosts": ["example.test"]},
            "auth": {"type": "bearer", "credential": "key"},
        }],
    });
    let (address, headers) = sandbox.endpoint(SIDECAR_PORT, true).await?;
    let request = hyper::Request::builder().method("POST").uri(format!("http://{address}/credential-vault"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let request = request.header("content-type", "application/json");
    api.request(request.body(bytes::Bytes::from(vault.to_string()).into())?).await?.expect(201)?;
    execd.output(fetch).await?;
    assert_eq!(web.only()?.header("authorization"), Some("Bearer s3cret"));
    Ok(())
}
