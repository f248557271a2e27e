//! A namespace with an egress sidecar that reads HTTPS, and an outside of web servers.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, ChildStderr, Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    internet::Netns,
    names::Names,
    paths,
    web::{TestAuthority, Web},
    wire::{self, Answer},
};

pub const INSIDE: &str = "198.51.100.2";
pub const OUTSIDE: &str = "198.51.100.1";
/// The name server.
const DNS: &str = "1.1.1.1";
/// Everything that is as it should be.
const WEB: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// A server whose certificate nobody has reason to believe.
const IMPOSTOR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 20);

pub const TOKEN: &str = "egress-token-of-the-test";
pub const TOKEN_HEADER: &str = "OPENSANDBOX-EGRESS-AUTH";
pub const SECRET: &str = "s3cret-AbCdEfGhIjKlMnOp";
/// How curl ends when its time is over.
pub const CURL_GAVE_UP: i32 = 28;
/// Whatever is waited for on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A namespace with a sidecar in it, and the outside.
pub struct World {
    pub inside: Netns,
    pub outside: Netns,
    pub web: Web,
    _names: Names,
    pub sidecar: Child,
    _log: std::thread::JoinHandle<()>,
    pub directory: tempfile::TempDir,
    /// Whom the sidecar believes.
    pub authority: TestAuthority,
}

impl World {
    pub fn new(settings: &[(&str, &str)]) -> Result<Self> {
        paths::require_root()?;
        let (inside, outside) = (Netns::new()?, Netns::new()?);
        inside.ip("link add wan type veth peer name peer")?;
        let pid = outside.path();
        let pid = pid.iter().nth(2).context("a process id")?.to_string_lossy().into_owned();
        inside.ip(&format!("link set peer netns {pid}"))?;
        inside.ip(&format!("address add {INSIDE}/30 dev wan"))?;
        outside.ip(&format!("address add {OUTSIDE}/30 dev peer"))?;
        inside.ip("link set wan up")?;
        outside.ip("link set peer up")?;
        inside.ip(&format!("route add default via {OUTSIDE}"))?;
        for address in [DNS.to_owned(), WEB.to_string(), IMPOSTOR.to_string()] {
            outside.ip(&format!("address add {address}/32 dev lo"))?;
        }
        let (authority, impostor) = (TestAuthority::new("Test")?, TestAuthority::new("Impostor")?);
        let names = ["api.test", "other.test", "denied.test", "a.wild.test", "pinned.test", "203.0.113.10"];
        let believed = authority.server(&names)?;
        let web = Web::start(
            &outside,
            vec![
                (SocketAddr::from((WEB, 443)), Some(believed.clone())),
                (SocketAddr::from((WEB, 8443)), Some(believed)),
                (SocketAddr::from((WEB, 80)), None),
                (SocketAddr::from((IMPOSTOR, 443)), Some(impostor.server(&["api.test", "bad.test"])?)),
                (SocketAddr::from((IMPOSTOR, 80)), None),
            ],
        )?;
        let known = names.map(|name| (name, WEB));
        let dns = Names::start(
            &outside,
            format!("{DNS}:53").parse()?,
            &[&known[..], &[("bad.test", IMPOSTOR), ("proxy.test", OUTSIDE.parse()?)]].concat(),
        )?;
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("outside.pem"), &authority.pem)?;
        let (sidecar, log) = start(&inside, directory.path(), settings)?;
        Ok(Self { inside, outside, web, _names: dns, sidecar, _log: log, directory, authority })
    }

    /// Ends the sidecar as a crash would, and starts another one.
    pub fn restart(&mut self, settings: &[(&str, &str)]) -> Result<()> {
        self.sidecar.kill()?;
        self.sidecar.wait()?;
        (self.sidecar, self._log) = start(&self.inside, self.directory.path(), settings)?;
        Ok(())
    }

    pub fn file(&self, name: &str) -> String {
        self.directory.path().join(name).to_string_lossy().into_owned()
    }

    /// Calls the sidecar's API from within.
    pub fn api(&self, method: &str, path: &str, body: Option<Value>) -> Result<Answer> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let address = "127.0.0.1:18080".parse()?;
        self.inside
            .run(|| wire::request(address, method, path, &[(TOKEN_HEADER, TOKEN)], body.as_bytes()))?
            .with_context(|| format!("{method} {path}"))
    }

    pub fn call(&self, method: &str, path: &str, body: Option<Value>, status: u16) -> Result<Value> {
        let answer = self.api(method, path, body)?;
        ensure!(answer.status == status, "{method} {path}: {} {}", answer.status, answer.body);
        Ok(if answer.body.is_empty() { Value::Null } else { serde_json::from_str(&answer.body)? })
    }

    pub fn make_vault(&self, credentials: Value, bindings: Value) -> Result<Value> {
        self.call(
            "POST",
            "/credential-vault",
            Some(json!({"credentials": credentials, "bindings": bindings})),
            201,
        )
    }

    /// A vault with one secret for one host.
    pub fn bind(&self, auth: Value, matches: Value) -> Result<Value> {
        let credentials = json!([{"name": "key", "source": {"type": "inline", "value": SECRET}}]);
        self.make_vault(credentials, json!([{"name": "the-binding", "match": matches, "auth": auth}]))
    }

    /// curl within, believing in the sidecar's authority only.
    pub fn curl(&self, arguments: &[&str]) -> Command {
        let mut command = self.inside.command("curl");
        let authority = self.file("ca-cert.pem");
        command.args(["-sS", "--max-time", "60", "--cacert", &authority]).args(arguments);
        command
    }

    /// What curl prints; it must succeed.
    pub fn fetch(&self, arguments: &[&str]) -> Result<String> {
        let output = self.curl(arguments).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "curl {arguments:?}: {complaint}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The status and body of an answer.
    pub fn status(&self, arguments: &[&str]) -> Result<(u16, String)> {
        let text = self.fetch(&[&["-w", "\n%{http_code}"], arguments].concat())?;
        let (body, status) = text.rsplit_once('\n').context("a status")?;
        Ok((status.parse()?, body.to_owned()))
    }

    pub fn fails(&self, arguments: &[&str]) -> Result<Output> {
        let output = self.curl(arguments).output()?;
        ensure!(!output.status.success(), "curl {arguments:?} succeeded");
        Ok(output)
    }

    pub fn audit(&self) -> Result<Vec<Value>> {
        let list = self.call("GET", "/audit?limit=1000", None, 200)?;
        Ok(list["entries"].as_array().context("entries")?.clone())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Nothing to do about a failure.
        let _ = self.sidecar.kill();
        let _ = self.sidecar.wait();
    }
}

fn policy() -> String {
    let rules = ["api.test", "other.test", "*.wild.test", "pinned.test", "bad.test", "203.0.113.10"];
    let rules = rules.map(|target| json!({"action": "allow", "target": target}));
    json!({"defaultAction": "deny", "egress": rules}).to_string()
}

/// Starts a sidecar and waits until everything is in force. What it logs is kept.
fn start(
    inside: &Netns,
    directory: &std::path::Path,
    settings: &[(&str, &str)],
) -> Result<(Child, std::thread::JoinHandle<()>)> {
    let mut command = inside.command(paths::dist("egress-sidecar")?);
    command
        .env_clear()
        .current_dir(directory)
        .env("OPENSANDBOX_EGRESS_TOKEN", TOKEN)
        .env("OPENSANDBOX_EGRESS_MODE", "dns+nft")
        .env("OPENSANDBOX_EGRESS_RULES", policy())
        .env("OPENSANDBOX_EGRESS_DNS_UPSTREAM", DNS)
        .env("OPENSANDBOX_EGRESS_MITMPROXY_TRANSPARENT", "true")
        .env("OPENSANDBOX_EGRESS_MITMPROXY_EXTRA_PORTS", "8443")
        .env("OPENSANDBOX_EGRESS_MITMPROXY_UPSTREAM_EXTRA_CA", "outside.pem")
        .env("OPENSANDBOX_EGRESS_INTERCEPT_PASS_HOSTS", "pinned.test")
        .env("OPENSANDBOX_CREDENTIAL_PROXY_SOCKET", "active.sock")
        .env("SANDKEEP_EGRESS_STATE_DIR", directory)
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let stderr = child.stderr.take().context("a captured standard error")?;
    let log = directory.join("sidecar.log");
    let log = std::thread::spawn(move || keep(stderr, &log));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let address = "127.0.0.1:18080".parse()?;
        let healthy = inside.run(|| wire::request(address, "GET", "/healthz", &[], b""))?;
        if healthy.is_ok_and(|answer| answer.status == 200) {
            return Ok((child, log));
        }
        if child.try_wait()?.is_some() || Instant::now() > deadline {
            let _ = child.kill();
            bail!("the sidecar did not start: {}", fs::read_to_string(directory.join("sidecar.log"))?);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn keep(stderr: ChildStderr, path: &std::path::Path) {
    let Ok(mut file) = fs::OpenOptions::new().create(true).append(true).open(path) else { return };
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let _ = writeln!(file, "{line}");
    }
}

/// curl's two ways to speak over TLS.
pub const HTTPS: [&str; 2] = ["--http1.1", "--http2"];
