//! A server whose sandboxes have egress sidecars, in a small Internet with HTTPS servers of its own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Stdio},
};

use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    api::{Answer, Api, Sandbox},
    internet::{self, Internet, wait_for_line},
    names::Names,
    paths, python,
    server::{Server, Setup},
    site::Site,
    web::{TestAuthority, Web},
};

/// Where every server is what it says it is.
pub const WEB: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 40);
/// A server whose certificate nobody has reason to believe.
pub const IMPOSTOR: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 41);
/// A server whose certificate was good once.
pub const PAST: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 42);
/// A gRPC server.
const GRPC: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 43);
/// The name server.
const DNS: Ipv4Addr = Ipv4Addr::new(9, 9, 9, 9);

/// Names of [`WEB`].
const NAMES: [&str; 4] = ["api.test", "other.test", "git.test", "pypi.test"];
/// The API of a sandbox's sidecar.
const SIDECAR_PORT: u16 = 18080;

/// Everything a guarded sandbox needs outside itself.
pub struct Guarded {
    // Ends first: what it deletes is deleted where the rest still is.
    pub server: Server,
    pub web: Web,
    grpc: Option<Child>,
    _names: Names,
    pub net: Internet,
    directory: TempDir,
    authority: TestAuthority,
}

impl Guarded {
    pub fn start(setup: Setup, site: Option<Site>) -> Result<Self> {
        let net = Internet::new()?;
        for address in [WEB, IMPOSTOR, PAST, GRPC, DNS] {
            net.outside.ip(&format!("address add {address}/32 dev lo"))?;
        }
        let (authority, stranger) = (TestAuthority::new("Test")?, TestAuthority::new("Stranger")?);
        let believed = authority.server(&NAMES)?;
        let listen = vec![
            (SocketAddr::from((WEB, 443)), Some(believed)),
            (SocketAddr::from((WEB, 80)), None),
            (SocketAddr::from((IMPOSTOR, 443)), Some(stranger.server(&["api.test", "bad.test"])?)),
            (SocketAddr::from((IMPOSTOR, 80)), None),
            (SocketAddr::from((PAST, 443)), Some(authority.server_of_the_past(&["past.test"])?)),
        ];
        let web = Web::start_with(&net.outside, listen, site)?;
        let others = [("bad.test", IMPOSTOR), ("past.test", PAST), ("grpc.test", GRPC)];
        let known = [&NAMES.map(|name| (name, WEB))[..], &others].concat();
        let names = Names::start(&net.outside, (DNS, 53).into(), &known)?;
        let directory = tempfile::tempdir()?;
        let trusted = directory.path().join("outside.pem");
        std::fs::write(&trusted, &authority.pem)?;
        let setup = setup
            .inside(&net.host)
            .set("native", format!("dns = [\"{DNS}\"]"))
            .set("egress", format!("trusted_ca = \"{}\"", trusted.display()));
        let server = Server::start(setup)?;
        Ok(Self { server, web, grpc: None, _names: names, net, directory, authority })
    }

    /// Starts a gRPC server at `grpc.test`, which serves who shows this authorization.
    pub fn serve_grpc(&mut self, authorization: &str) -> Result<()> {
        let (certificate, key) = self.authority.pair(&["grpc.test"])?;
        let paths = ["grpc.pem", "grpc-key.pem"].map(|name| self.directory.path().join(name));
        std::fs::write(&paths[0], certificate)?;
        std::fs::write(&paths[1], key)?;
        let mut command = self.net.outside.command(python::grpc()?.join("python"));
        command.arg(paths::script("grpc_server.py")).arg(format!("{GRPC}:443")).args(paths);
        let mut child = command.arg(authorization).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let ready = wait_for_line(&mut child, "ready");
        self.grpc = Some(child);
        ready
    }

    /// Runs async work where the server and its sandboxes can be reached.
    pub fn run<T: Send>(&self, work: impl AsyncFnOnce(Api) -> Result<T> + Send) -> Result<T> {
        self.server.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(work(self.server.api()))
        })?
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // It also ends when its standard input closes.
        if let Some(mut grpc) = self.grpc.take() {
            let _ = grpc.kill();
            let _ = grpc.wait();
        }
    }
}

/// A server whose sidecars believe the one HTTPS server there is, `example.test` in the usual small Internet.
pub struct Example {
    // Ends first: what it deletes is deleted where the rest still is.
    pub server: Server,
    pub web: Web,
    pub net: Internet,
    _trusted: TempDir,
}

impl Example {
    pub fn start() -> Result<Self> {
        let net = Internet::new()?;
        let authority = TestAuthority::new("Test")?;
        let tls = authority.server(&["example.test"])?;
        let web = Web::start(&net.outside, vec![(format!("{}:443", internet::WEB).parse()?, Some(tls))])?;
        let directory = tempfile::tempdir()?;
        let trusted = directory.path().join("outside.pem");
        std::fs::write(&trusted, &authority.pem)?;
        let setup = Setup::default()
            .inside(&net.host)
            .set("native", format!("dns = [\"{}\"]", internet::DNS))
            .set("egress", format!("trusted_ca = \"{}\"", trusted.display()));
        Ok(Self { server: Server::start(setup)?, web, net, _trusted: directory })
    }
}

/// What a request for a sandbox says whose sidecar reads TLS and lets these names pass.
pub fn proxied(names: &[&str]) -> Value {
    let rules: Vec<Value> = names.iter().map(|name| json!({"action": "allow", "target": name})).collect();
    json!({
        "networkPolicy": {"defaultAction": "deny", "egress": rules},
        "credentialProxy": {"enabled": true},
    })
}

/// Calls a sandbox's sidecar as the published clients do: the endpoint says where, and what opens it.
pub async fn sidecar(sandbox: &Sandbox, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
    let (address, headers) = sandbox.endpoint(SIDECAR_PORT, true).await?;
    let mut request = hyper::Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"))
        .header("content-type", "application/json");
    for (name, value) in &headers {
        request = request.header(name, value);
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    sandbox.api.request(request.body(Bytes::from(body).into())?).await
}

/// Makes a vault; nothing of what it holds may come back.
pub async fn make_vault(sandbox: &Sandbox, credentials: &[(&str, &str)], bindings: Value) -> Result<()> {
    let listed: Vec<Value> = credentials
        .iter()
        .map(|(name, value)| json!({"name": name, "source": {"type": "inline", "value": value}}))
        .collect();
    let vault = json!({"credentials": listed, "bindings": bindings});
    let made = sidecar(sandbox, "POST", "/credential-vault", Some(&vault)).await?.expect(201)?;
    let told = credentials.iter().find(|(_, value)| made.text().contains(value));
    ensure!(told.is_none(), "a secret is told: {}", made.text());
    Ok(())
}
