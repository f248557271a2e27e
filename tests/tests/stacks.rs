//! What programs usually call the outside with, unchanged and told nothing, in a sandbox whose requests get their
//! credentials on their way: all of them trust the sidecar, use the secrets, and never see one.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use sandkeep_tests::{
    api::{Sandbox, eventually},
    execd::Execd,
    guarded::{Guarded, make_vault, proxied},
    paths, python,
    server::Setup,
    site::Site,
    traces,
};
use serde_json::json;

const SECRET: &str = "s3cret-AbCdEfGhIjKlMnOp";
const PASSWORD: &str = "pa55word-QrStUvWxYz";
/// Compilers and virtual machines on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);
const HOSTS: [&str; 4] = ["api.test", "grpc.test", "git.test", "pypi.test"];

/// What the programs install and run; each stays until it is told to end.
const PIP: &str = "pip install --quiet --disable-pip-version-check --no-input --target /srv/python \
    --index-url https://pypi.test/simple/ requests 'httpx[http2]' grpcio websockets";
const GIT: &str = "set -e; cd /srv; git clone --quiet https://git.test/git/repository.git; cd repository; \
    cat file; echo more >>file; git -c user.name=a -c user.email=a@test commit --quiet --all --message=more; \
    git push --quiet";
const PROGRAMS: [(&str, &str); 4] = [
    ("python", "python3 /stacks/client.py"),
    ("node", "node /stacks/client.mjs"),
    ("java", "java /stacks/Client.java"),
    ("go", "GOCACHE=/tmp/go GOFLAGS=-buildvcs=false go run /stacks/client.go"),
];

#[test]
fn every_stack_uses_secrets_that_it_never_sees() -> Result<()> {
    let directory = tempfile::tempdir()?;
    repository(directory.path())?;
    let password = BASE64_STANDARD.encode(format!("robot:{PASSWORD}"));
    let site = Site {
        wheels: python::wheels()?,
        repositories: directory.path().to_owned(),
        authorization: format!("Basic {password}"),
    };
    let stacks = paths::workspace().join("tests/stacks");
    let setup =
        Setup::default().with_code_image().set("storage", format!("allowed_host_paths = [{stacks:?}]"));
    let mut world = Guarded::start(setup, Some(site))?;
    world.serve_grpc(&format!("Bearer {SECRET}"))?;
    world.run(async |api| {
        let mut wish = proxied(&HOSTS);
        wish["image"] = json!({"uri": paths::CODE_IMAGE});
        wish["resourceLimits"] = json!({"cpu": "2", "memory": "2Gi"});
        wish["volumes"] =
            json!([{"name": "stacks", "mountPath": "/stacks", "readOnly": true, "host": {"path": stacks}}]);
        let sandbox = api.create(wish).await?;
        let execd = sandbox.execd().await?;
        bind(&sandbox, &password).await?;

        // Both say that they need a password, and get on without one.
        execd.output("mkdir /srv/out").await?;
        start(&execd, "pip", PIP).await?;
        start(&execd, "git", GIT).await?;
        for name in ["pip", "git"] {
            let said = finished(&execd, name, &format!("{name}: ended 0")).await?;
            ensure!(name == "pip" || said.starts_with("first\n"), "{said}");
        }
        let pushed = Command::new("git")
            .args(["-c", "safe.directory=*", "show", "HEAD:file"])
            .current_dir(directory.path().join("repository.git"))
            .output()?;
        assert_eq!(String::from_utf8_lossy(&pushed.stdout), "first\nmore\n");
        let asked = world.web.take();
        let basic = format!("Basic {password}");
        ensure!(asked.len() > 20, "{} requests", asked.len());
        let plain = asked.iter().find(|request| request.header("authorization") != Some(basic.as_str()));
        ensure!(plain.is_none(), "a request went out without its password: {plain:?}");

        for (name, command) in PROGRAMS {
            start(&execd, name, command).await?;
        }
        let curl = "curl -sS --max-time 60 -H 'x-stack: curl' https://api.test/echo";
        ensure!(execd.output(curl).await?.contains(&masked()), "curl");
        // The first event has come before the second one is sent.
        finished(&execd, "python", "sse: data: one\n").await?;
        world.web.release();
        let mut told = String::new();
        for (name, _) in PROGRAMS {
            told.push_str(&finished(&execd, name, &format!("{name}: done")).await?);
        }
        ensure!(!told.contains(SECRET), "a program has seen the secret: {told}");
        for line in expected() {
            ensure!(told.lines().any(|said| said == line), "{line:?} is missing: {told}");
        }
        let asked = world.web.take();
        for stack in ["requests", "httpx", "sse", "websocket", "node", "java", "go", "curl"] {
            let own: Vec<_> =
                asked.iter().filter(|request| request.header("x-stack") == Some(stack)).collect();
            let bearer = format!("Bearer {SECRET}");
            let shown = own.iter().all(|request| request.header("authorization") == Some(bearer.as_str()));
            ensure!(own.len() == 1 && shown, "{stack}: {own:?}");
        }
        unseen(&sandbox, &execd, &[SECRET, PASSWORD, &password]).await
    })
}

/// A secret for each host, as its servers want it.
async fn bind(sandbox: &Sandbox, password: &str) -> Result<()> {
    let binding = |name: &str, hosts: &[&str], kind: &str, credential: &str| {
        json!({
            "name": name,
            "match": {"hosts": hosts},
            "auth": {"type": kind, "credential": credential},
        })
    };
    let bindings = json!([
        binding("apis", &["api.test", "grpc.test"], "bearer", "token"),
        binding("sites", &["git.test", "pypi.test"], "basic", "password"),
    ]);
    make_vault(sandbox, &[("token", SECRET), ("password", password)], bindings).await
}

/// A bare repository with one file.
fn repository(directory: &Path) -> Result<()> {
    let script = "set -e; git init --quiet --bare repository.git; git -C repository.git config http.receivepack true; \
        git clone --quiet repository.git work 2>/dev/null; cd work; echo first >file; git add file; \
        git -c user.name=a -c user.email=a@test commit --quiet --message=first; git push --quiet origin HEAD; \
        git -C ../repository.git symbolic-ref HEAD \"$(git symbolic-ref HEAD)\"";
    let output = Command::new("sh").args(["-c", script]).current_dir(directory).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// What comes back where the server repeats the secret.
fn masked() -> String {
    format!("you sent Bearer {}.", "*".repeat(SECRET.len()))
}

fn expected() -> Vec<String> {
    let (masked, stars) = (masked(), "*".repeat(SECRET.len()));
    vec![
        format!("requests: {masked}"),
        format!("httpx: HTTP/2 {masked}"),
        "sse: data: one".to_owned(),
        "sse: data: two".to_owned(),
        format!("websocket: Bearer {stars}"),
        "websocket: over there".to_owned(),
        "grpc: authorized: one".to_owned(),
        "grpc: authorized: two".to_owned(),
        format!("grpc: Bearer {stars}"),
        "grpc: OK of the talk".to_owned(),
        "grpc: OUT_OF_RANGE too far".to_owned(),
        format!("node: {masked}"),
        format!("java: HTTP_2 {masked}"),
        format!("go: HTTP/2.0 {masked}"),
    ]
}

async fn start(execd: &Execd, name: &str, command: &str) -> Result<()> {
    let command = format!("( {command} ) >/srv/out/{name} 2>&1; echo \"{name}: ended $?\" >>/srv/out/{name}");
    let body = json!({"command": command, "background": true});
    execd.stream("/command", &body).await?.finish().await?;
    Ok(())
}

/// What a program has said once it has said this.
async fn finished(execd: &Execd, name: &str, line: &str) -> Result<String> {
    let mut said = String::new();
    eventually(&format!("{name} says {line:?}"), PATIENCE, async || {
        said = execd.run(&format!("cat /srv/out/{name}")).await?.stdout;
        let done = said.contains(line);
        ensure!(done || !said.contains(": ended "), "{name} has ended: {said}");
        Ok(done)
    })
    .await?;
    Ok(said)
}

/// Neither environments, nor files, nor the memory of anything in the sandbox holds a secret.
async fn unseen(sandbox: &Sandbox, execd: &Execd, secrets: &[&str]) -> Result<()> {
    let environments = execd.output("cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'").await?;
    ensure!(environments.contains("SSL_CERT_FILE="), "no environment is seen: {environments}");
    for secret in secrets {
        ensure!(!environments.contains(secret), "a secret is in an environment");
        // The end only, so that the search is not what is found.
        let end = &secret[4..];
        let files = execd.output(&format!("grep -rlsF {end} /etc /opt /root /srv /tmp /var || true")).await?;
        ensure!(files.is_empty(), "a secret is in a file: {files}");
        let count = traces::in_sandbox(&sandbox.id, secret)?;
        ensure!(count == 0, "a secret is {count} times in the memory of the sandbox");
    }
    let masks = traces::in_sandbox(&sandbox.id, &masked())?;
    // Python, Node.js, Java and Go still have what they heard.
    ensure!(masks >= 4, "the search finds nothing, so it proves nothing: {masks}");
    execd.output("touch /srv/end").await?;
    Ok(())
}
