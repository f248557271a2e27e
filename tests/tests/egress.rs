//! What leaves a sandbox with a network policy, in a small Internet of the test's own.

use std::time::Duration;

use anyhow::{Result, ensure};
use sandkeep_tests::{
    api::{Api, Sandbox, eventually},
    execd::Execd,
    guarded::{self, Example},
    internet::{self, Internet},
    leaks::Watch,
    server::{Server, Setup},
};
use serde_json::{Value, json};

const SIDECAR: &str = "egress-sidecar";
const PORT: u16 = 18080;
const AUTH: &str = "OPENSANDBOX-EGRESS-AUTH";

/// Runs async work on a thread inside the server's network namespace.
fn inside<T: Send>(server: &Server, work: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T> {
    server.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work())
    })?
}

fn setup(net: &Internet) -> Setup {
    Setup::default().inside(&net.host).set("native", format!("dns = [\"{}\"]", internet::DNS))
}

async fn reaches(execd: &Execd, target: &str) -> Result<bool> {
    let ran = execd.run(&format!("curl --silent --show-error --max-time 3 http://{target}/")).await?;
    Ok(ran.exit_code == 0 && ran.stdout.starts_with("welcome"))
}

fn policy(default: &str, rules: &[(&str, &str)]) -> Value {
    let rules: Vec<_> =
        rules.iter().map(|(action, target)| json!({"action": action, "target": target})).collect();
    json!({"defaultAction": default, "egress": rules})
}

async fn change(api: &Api, sandbox: &Sandbox, method: &str, body: &Value) -> Result<Value> {
    let path = format!("{}/networkpolicy", sandbox.path());
    api.send(method.parse()?, &path, Some(body)).await?.expect(200)?.json()
}

fn sidecars(watch: &Watch<'_>) -> Result<Vec<u32>> {
    let is_one = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == SIDECAR)
    };
    Ok(watch.processes()?.into_iter().filter(is_one).collect())
}

#[test]
fn rules_hold_from_the_first_packet_and_change_at_once() -> Result<()> {
    let net = Internet::new()?;
    let server = Server::start(setup(&net))?;
    inside(&server, async || {
        let api = server.api();
        // What the program does first, an address no name has led to must already be refused.
        let first = format!(
            "curl --silent --max-time 2 http://{}/ >/srv/first; echo $? >/srv/status; exec tail -f /dev/null",
            internet::WEB
        );
        let sandbox = api
            .create(json!({
                "entrypoint": ["sh", "-c", first],
                "networkPolicy": policy("deny", &[("allow", "example.test")]),
            }))
            .await?;
        let execd = sandbox.execd().await?;
        eventually("the program has tried", Duration::from_secs(20), async || {
            Ok(!execd.run("cat /srv/status").await?.stdout.trim().is_empty())
        })
        .await?;
        assert_ne!(execd.output("cat /srv/status").await?, "0");
        ensure!(execd.output("cat /srv/first").await?.is_empty(), "the first packet passed");

        ensure!(reaches(&execd, "example.test").await?, "an allowed name is not reached");
        ensure!(!reaches(&execd, "metadata.test").await?, "a name without a rule is reached");
        let gone = change(&api, &sandbox, "DELETE", &json!(["EXAMPLE.test"])).await?;
        assert_eq!(gone["mode"], "deny_all");
        ensure!(!reaches(&execd, "example.test").await?, "a name is reached whose rule is gone");
        ensure!(!reaches(&execd, internet::WEB).await?, "an address is reached whose name's rule is gone");

        let added = json!([{"action": "allow", "target": internet::WEB}]);
        assert_eq!(change(&api, &sandbox, "PATCH", &added).await?["mode"], "enforcing");
        ensure!(reaches(&execd, internet::WEB).await?, "an allowed address is not reached");
        let replaced = change(&api, &sandbox, "PUT", &policy("allow", &[("deny", internet::WEB)])).await?;
        assert_eq!(replaced["enforcementMode"], "dns+nft");
        ensure!(!reaches(&execd, internet::WEB).await?, "a denied address is reached");
        let path = format!("{}/networkpolicy", sandbox.path());
        let shown = api.get(&path).await?.expect(200)?.json()?;
        assert_eq!(shown["policy"], policy("allow", &[("deny", internet::WEB)]));

        for (method, body) in [("PATCH", json!([])), ("DELETE", json!([])), ("PUT", json!({"egress": 1}))] {
            api.send(method.parse()?, &path, Some(&body)).await?.expect_error(400)?;
        }
        let free = api.create(json!({})).await?;
        let (code, _) = api.get(&format!("{}/networkpolicy", free.path())).await?.expect_error(404)?;
        assert_eq!(code, "SANDBOX::NO_NETWORK_POLICY");
        ensure!(reaches(&free.execd().await?, "example.test").await?, "others are not concerned");
        Ok(())
    })
}

/// What the sidecar may take of processor and memory is bounded.
fn limited(pid: u32) -> Result<()> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let group = |controller: &str| {
        groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|name| name == controller).then(|| path.to_owned())
        })
    };
    let files = [
        ("memory", "memory.limit_in_bytes", "memory.max", (192 << 20).to_string()),
        ("cpu", "cpu.cfs_quota_us", "cpu.max", "100000".to_owned()),
        ("pids", "pids.max", "pids.max", "128".to_owned()),
    ];
    for (controller, legacy, unified, limit) in files {
        let file = match (group(controller), group("")) {
            (Some(path), _) => format!("/sys/fs/cgroup/{controller}{path}/{legacy}"),
            (None, Some(path)) => format!("/sys/fs/cgroup{path}/{unified}"),
            (None, None) => anyhow::bail!("no control group: {groups}"),
        };
        let text = std::fs::read_to_string(&file)?;
        ensure!(text.split_whitespace().next() == Some(limit.as_str()), "{file} is {text}");
    }
    Ok(())
}

#[test]
fn the_sidecar_is_out_of_the_sandboxs_reach_and_comes_back_with_its_rules() -> Result<()> {
    let net = Internet::new()?;
    let server = Server::start(setup(&net))?;
    inside(&server, async || {
        let api = server.api();
        let watch = Watch::new(&server).await?;
        let baseline = watch.settled().await?;
        let sandbox = api.create(json!({"networkPolicy": policy("deny", &[])})).await?;
        let execd = sandbox.execd().await?;
        change(&api, &sandbox, "PATCH", &json!([{"action": "allow", "target": "example.test"}])).await?;

        // The token opens its API; what runs in the sandbox does not have it, and sees no process.
        let (address, headers) = sandbox.endpoint(PORT, false).await?;
        let token = headers.iter().find(|(name, _)| name == AUTH).map(|(_, token)| token.clone());
        let token = token.unwrap_or_default();
        ensure!(token.len() >= 32, "the endpoint names no token: {headers:?}");
        let ask = |auth: &str| {
            format!("curl -s -o /dev/null -w '%{{http_code}}' -H '{AUTH}: {auth}' http://{address}/policy")
        };
        assert_eq!(execd.output(&ask("guess")).await?, "401");
        assert_eq!(execd.output(&ask(&token)).await?, "200");
        let seen =
            execd.output("env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'").await?;
        ensure!(!seen.contains(&token) && !seen.contains(SIDECAR), "the sandbox sees its sidecar: {seen}");

        // From here on somebody wants its ports.
        execd.output(&format!("echo '{IMPOSTOR}' >/srv/impostor; : >/srv/taken")).await?;
        execd.output("setsid python3 /srv/impostor >/srv/impostor.log 2>&1 &").await?;
        eventually("somebody wants its ports", Duration::from_secs(60), async || {
            Ok(execd.output("cat /srv/taken").await?.contains("wanted"))
        })
        .await?;
        let before = sidecars(&watch)?;
        assert_eq!(before.len(), 1, "{before:?}");
        limited(before[0])?;
        for pid in &before {
            kill(*pid)?;
        }
        eventually("the sidecar is back", Duration::from_secs(20), async || {
            let now = sidecars(&watch)?;
            Ok(now.len() == 1
                && now != before
                && api.get(&format!("{}/networkpolicy", sandbox.path())).await?.status == 200)
        })
        .await?;
        ensure!(reaches(&execd, "example.test").await?, "a changed policy is lost with the sidecar");
        ensure!(!reaches(&execd, "metadata.test").await?, "a sidecar that came back lets everything pass");

        // A server that was killed finds it again.
        let before = sidecars(&watch)?;
        server.kill()?;
        ensure!(!reaches(&execd, "metadata.test").await?, "nothing guards while there is no server");
        server.restart()?;
        assert_eq!(sidecars(&watch)?, before);
        for pid in &before {
            kill(*pid)?;
        }
        eventually("the new server brings it back", Duration::from_secs(20), async || {
            let now = sidecars(&watch)?;
            Ok(now.len() == 1 && now != before)
        })
        .await?;
        eventually("it serves", Duration::from_secs(60), async || reaches(&execd, "example.test").await)
            .await?;
        assert_eq!(execd.output("cat /srv/taken /srv/impostor.log").await?.trim(), "wanted");

        // Stopping ends it, starting starts it, with the policy as it was last.
        api.post(&format!("{}/stop", sandbox.path()), &json!({})).await?.expect(200)?;
        ensure!(sidecars(&watch)?.is_empty(), "a stopped sandbox has a sidecar");
        api.get(&format!("{}/networkpolicy", sandbox.path())).await?.expect_error(409)?;
        api.post(&format!("{}/start", sandbox.path()), &json!({})).await?.expect(200)?;
        let execd = sandbox.execd().await?;
        ensure!(reaches(&execd, "example.test").await?, "the policy is lost with a stop");
        ensure!(!reaches(&execd, "metadata.test").await?, "a started sandbox is not guarded");
        sandbox.delete().await?;
        watch.returns_to(&baseline).await
    })
}

/// Binds the sidecar's ports as soon as they are free, wherever what is meant for the sidecar would arrive.
const IMPOSTOR: &str = r#"
import itertools, socket, time
outward = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
outward.connect(("192.0.2.1", 9))
api = (socket.SOCK_STREAM, outward.getsockname()[0], 18080)
wanted = [api, *((socket.SOCK_STREAM, host, 18080) for host in ("0.0.0.0", "127.0.0.1"))]
kinds, hosts = (socket.SOCK_STREAM, socket.SOCK_DGRAM), ("0.0.0.0", "127.0.0.1")
wanted += itertools.product(kinds, hosts, [15353])
taken, turn = [], 0
while True:
    for kind, host, port in wanted:
        own = socket.socket(socket.AF_INET, kind)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, turn & 1)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, turn >> 1 & 1)
        try:
            own.bind((host, port))
            if kind == socket.SOCK_STREAM:
                own.listen()
        except OSError:
            own.close()
            continue
        taken.append(own)
        print(kind, host, port, file=open("/srv/taken", "a"))
    if turn == 8:
        print("wanted", file=open("/srv/taken", "a"))
    turn += 1
    time.sleep(0.005)
"#;

const SECRET: &str = "s3cret-AbCdEfGhIjKlMnOp";

#[test]
fn requests_get_their_credentials_where_the_sandbox_cannot_see_them() -> Result<()> {
    let world = Example::start()?;
    let (server, web) = (&world.server, &world.web);
    inside(server, async || {
        let api = server.api();
        let sandbox = api
            .create(json!({
                "networkPolicy": policy("deny", &[("allow", "example.test")]),
                "credentialProxy": {"enabled": true},
            }))
            .await?;
        let execd = sandbox.execd().await?;
        let bindings = json!([{
            "name": "example",
            "match": {"hosts": ["example.test"]},
            "auth": {"type": "bearer", "credential": "key"},
        }]);
        guarded::make_vault(&sandbox, &[("key", SECRET)], bindings).await?;

        let fetch =
            "import urllib.request; print(urllib.request.urlopen('https://example.test/echo').read())";
        for command in
            ["curl -sS --max-time 20 https://example.test/echo", &format!("python3 -c \"{fetch}\"")]
        {
            let told = execd.run(command).await?;
            ensure!(told.exit_code == 0 && told.stdout.contains("you sent"), "{command}: {told:?}");
            ensure!(!told.stdout.contains(SECRET), "the answer gives the secret away: {}", told.stdout);
            let seen = web.only()?;
            assert_eq!(seen.header("authorization"), Some(format!("Bearer {SECRET}").as_str()), "{command}");
        }
        // Half of it to look for, so that the command itself is not found.
        let look =
            "tr '\\0' '\\n' </proc/1/environ; grep -rl s3cret-AbCd /etc /opt /root /srv /tmp /var || true";
        let seen = execd.output(look).await?;
        ensure!(!seen.contains(SECRET), "the secret is in the environment: {seen}");
        ensure!(!seen.lines().any(|line| line.starts_with('/')), "the secret is in a file: {seen}");
        ensure!(!server.log().contains(SECRET), "the secret is in the log");

        guarded::sidecar(&sandbox, "DELETE", "/credential-vault", None).await?.expect(204)?;
        execd.output("curl -sS --max-time 20 https://example.test/echo").await?;
        assert_eq!(web.only()?.header("authorization"), None, "a deleted vault still gives");
        Ok(())
    })
}

#[test]
fn what_is_refused_shows_in_diagnostics() -> Result<()> {
    let net = Internet::new()?;
    let server = Server::start(setup(&net))?;
    inside(&server, async || {
        let api = server.api();
        let sandbox = api
            .create(json!({
                "networkPolicy": policy("deny", &[("allow", "example.test")]),
            }))
            .await?;
        let execd = sandbox.execd().await?;
        let path = format!("{}/diagnostics/events?scope=runtime&limit=500", sandbox.path());
        let shows = async |what: &str| {
            eventually(&format!("{what} is shown"), Duration::from_secs(60), async || {
                Ok(api.get(&path).await?.expect(200)?.json()?["content"].as_str().is_some_and(|text| {
                    text.lines().any(|line| line.contains("EGRESS_REFUSED") && line.contains(what))
                }))
            })
            .await
        };
        ensure!(!reaches(&execd, "metadata.test").await?, "a name without a rule is reached");
        shows("the name metadata.test: default").await?;
        ensure!(!reaches(&execd, internet::WEB).await?, "an address without a rule is reached");
        shows(&format!("a connection to {}:80: TCP to this address is refused", internet::WEB)).await?;
        let summary = api.get(&format!("{}/diagnostics/summary", sandbox.path())).await?.expect(200)?.text();
        ensure!(summary.contains("EGRESS_REFUSED: the name metadata.test"), "{summary}");
        Ok(())
    })
}

fn kill(pid: u32) -> Result<()> {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?);
    let Some(pid) = pid else { anyhow::bail!("no such process") };
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::KILL)?)
}
