use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::paths;

pub const USER: &str = "ann";
pub const PASSWORD: &str = "correct horse";
/// bcrypt of [`PASSWORD`].
const HASH: &str = "$2y$05$vNe47.PYd1v7GCuswu3hAOQBAQnsc5NvhjLX1fzkk1U6A.jLbgd.q";
const SERVICE: &str = "test registry";
const ISSUER: &str = "test issuer";
const LIFETIME: u64 = 300;

/// Writes the password file and returns the section of the configuration that names it.
pub(super) fn htpasswd(dir: &Path) -> Result<String> {
    let path = dir.join("htpasswd");
    fs::write(&path, format!("{USER}:{HASH}\n"))?;
    Ok(format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", path.display()))
}

/// Hands out signed tokens to those who know [`PASSWORD`].
pub(super) struct TokenServer {
    port: u16,
    certificate: PathBuf,
    accept: JoinHandle<()>,
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

impl TokenServer {
    pub(super) async fn start(dir: &Path) -> Result<Self> {
        let (key, certificate) = (dir.join("key.pem"), dir.join("certificate.pem"));
        let openssl = paths::program("openssl", "openssl")?;
        let made = Command::new(openssl)
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status()?;
        ensure!(made.success(), "openssl could not make a certificate");
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let der: String =
            fs::read_to_string(&certificate)?.lines().filter(|line| !line.starts_with("-----")).collect();
        let accept = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (key, der) = (key.clone(), der.clone());
                let service = service_fn(move |request| {
                    let answer = answer(&request, &key, &der);
                    async move { answer }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { port, certificate, accept })
    }

    pub(super) fn config(&self) -> String {
        format!(
            "auth:\n  token:\n    realm: http://127.0.0.1:{}/token\n    service: {SERVICE}\n    issuer: {ISSUER}\n    \
             rootcertbundle: {}\n",
            self.port,
            self.certificate.display()
        )
    }
}

fn answer(request: &Request<Incoming>, key: &Path, der: &str) -> Result<Response<Full<Bytes>>> {
    let expected = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given != Some(&expected) {
        let body = Full::new(Bytes::from_static(b"who are you?"));
        return Ok(Response::builder().status(StatusCode::UNAUTHORIZED).body(body)?);
    }
    // scope=repository:NAME:pull, percent-encoded; only colons and slashes occur here.
    let query = request.uri().query().unwrap_or_default().replace("%3A", ":").replace("%2F", "/");
    let scope = query.split('&').find_map(|pair| pair.strip_prefix("scope=repository:"));
    let name = scope.and_then(|scope| scope.strip_suffix(":pull")).context("no scope")?;
    let token = sign(name, key, der)?;
    Ok(Response::new(Full::new(Bytes::from(json!({"token": token}).to_string()))))
}

fn sign(repository: &str, key: &Path, der: &str) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let head = json!({"typ": "JWT", "alg": "RS256", "x5c": [der]});
    let claims = json!({
        "iss": ISSUER, "aud": SERVICE, "sub": USER, "jti": "1", "iat": now, "nbf": now - 10, "exp": now + LIFETIME,
        "access": [{"type": "repository", "name": repository, "actions": ["pull"]}]
    });
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let text = format!("{}.{}", encode(head.to_string()), encode(claims.to_string()));
    let mut signer = Command::new("openssl")
        .args(["dgst", "-sha256", "-sign"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    signer.stdin.take().context("no stdin")?.write_all(text.as_bytes())?;
    let signature = signer.wait_with_output()?.stdout;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
