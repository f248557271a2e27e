//! Isolated sessions inside a sandbox that is prepared for them, and outside one that is not.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hyper::Method;
use sandkeep_tests::{
    execd::{Execd, Ran},
    server::Server,
};
use serde_json::{Value, json};

/// Longest wait for something that should take no time.
const SOON: Duration = Duration::from_secs(15);

/// A session of one sandbox.
struct Session<'a> {
    execd: &'a Execd,
    path: String,
}

impl<'a> Session<'a> {
    async fn create(execd: &'a Execd, body: Value) -> Result<Self> {
        let made =
            execd.send(Method::POST, "/v1/isolated/session", Some(&body)).await?.expect(201)?.json()?;
        let id = made["session_id"].as_str().context("a session has an id")?;
        Ok(Self { execd, path: format!("/v1/isolated/session/{id}") })
    }

    async fn run(&self, code: &str) -> Result<Ran> {
        self.execd.stream(&format!("{}/run", self.path), &json!({ "code": code })).await?.finish().await
    }

    async fn output(&self, code: &str) -> Result<String> {
        let ran = self.run(code).await?;
        ensure!(ran.exit_code == 0, "{code:?} ended with {ran:?}");
        Ok(ran.stdout)
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>, status: u16) -> Result<Value> {
        let answer = self.execd.send(method, &format!("{}{path}", self.path), body).await?.expect(status)?;
        if answer.body.is_empty() { Ok(Value::Null) } else { answer.json() }
    }
}

#[tokio::test]
async fn sessions_inside_a_sandbox() -> Result<()> {
    let server = Server::shared()?;
    let sandbox =
        server.api().create(json!({ "extensions": { "bootstrap.execd.isolation": "enable" } })).await?;
    let execd = sandbox.execd().await?;
    let found = execd.send(Method::GET, "/v1/isolated/capabilities", None).await?.expect(200)?.json()?;
    for member in ["available", "setpriv_available", "userns_available", "commit_supported"] {
        ensure!(found[member] == true, "{member}: {found}");
    }
    // A network of their own would open the kernel's packet filter to the sandbox; they go without, and it is said.
    ensure!(found["message"].as_str().is_some_and(|said| said.contains("no loopback")), "{found}");
    for layer in ["cap_drop", "seccomp", "landlock"] {
        ensure!(found["hardening"][layer]["state"] == "active", "{layer}: {found}");
    }
    execd.output("mkdir -p /project/sub; echo old > /project/old; echo deep > /project/sub/deep").await?;

    let session = Session::create(&execd, json!({ "workspace": { "path": "/project" } })).await?;
    assert_eq!(session.output("cat old; echo new > new; rm -r old sub; ls").await?, "old\nnew\n");
    assert_eq!(execd.output("ls /project").await?, "old\nsub");
    let hostile = "touch /etc/x; mount -t tmpfs none /mnt && echo mounted; unshare -U true && echo unshared; \
                   ls -A /opt/opensandbox/isolation | grep . && echo seen; echo token=$EXECD_ACCESS_TOKEN";
    assert_eq!(session.run(hostile).await?.stdout, "token=\n");
    let listed = session.call(Method::GET, "/directories/list?path=/project", None, 200).await?;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let diff = execd.send(Method::GET, &format!("{}/diff", session.path), None).await?.expect(200)?;
    ensure!(diff.body.starts_with(&[0x1f, 0x8b]), "a diff is compressed");

    let run = json!({ "code": "echo out; exit 4", "background": true });
    let started = session.call(Method::POST, "/run", Some(&run), 202).await?;
    let run = format!("/runs/{}", started["run_id"].as_str().context("a run has an id")?);
    let since = Instant::now();
    while session.call(Method::GET, &run, None, 200).await?["running"] == true {
        ensure!(since.elapsed() < SOON, "a background run never ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(session.call(Method::GET, &run, None, 200).await?["exit_code"], 4);
    let logs = execd.send(Method::GET, &format!("{}{run}/logs", session.path), None).await?.expect(200)?;
    assert_eq!(logs.text(), "out\n");

    let done = session.call(Method::POST, "/commit", None, 200).await?;
    assert_eq!(done, json!({ "written": 1, "removed": 2 }));
    assert_eq!(execd.output("ls /project; cat /project/new").await?, "new\nnew");
    session.call(Method::DELETE, "", None, 200).await?;
    session.call(Method::GET, "", None, 404).await?;
    sandbox.delete().await
}

#[tokio::test]
async fn identities_and_no_network_inside_a_sandbox() -> Result<()> {
    let server = Server::shared()?;
    let sandbox =
        server.api().create(json!({ "extensions": { "bootstrap.execd.isolation": "enable" } })).await?;
    let execd = sandbox.execd().await?;
    execd.output("mkdir -p /project").await?;
    let workspace = json!({ "path": "/project" });
    let connect = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 44772))'";
    let open = Session::create(&execd, json!({ "workspace": workspace })).await?;
    assert_eq!(open.run(connect).await?.exit_code, 0);
    let closed = Session::create(&execd, json!({ "workspace": workspace, "share_net": false })).await?;
    ensure!(closed.run(connect).await?.exit_code != 0, "a session without a network reaches execd");
    for mode in ["setpriv", "userns"] {
        let body = json!({ "workspace": workspace, "uid": 1234, "gid": 4321, "uid_mode": mode });
        let session = Session::create(&execd, body).await?;
        assert_eq!(session.output("id -u; id -g").await?, "1234\n4321\n", "{mode}");
    }
    sandbox.delete().await
}

#[tokio::test]
async fn a_sandbox_not_prepared_says_what_is_missing() -> Result<()> {
    let server = Server::shared()?;
    let sandbox = server.api().create(json!({})).await?;
    let execd = sandbox.execd().await?;
    let found = execd.send(Method::GET, "/v1/isolated/capabilities", None).await?.expect(200)?.json()?;
    ensure!(found["available"] == false, "{found}");
    let refused = execd.send(Method::GET, "/v1/isolated/sessions", None).await?.expect_error(503)?;
    ensure!(refused.0 == "NOT_SUPPORTED" && refused.1.contains("namespaces"), "{refused:?}");
    sandbox.delete().await
}
