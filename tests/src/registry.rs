//! A real registry (Debian's `docker-registry`) on loopback, images to put into it, and a proxy that misbehaves.

mod auth;
mod endless;
mod image;
mod proxy;

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, header};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};

pub use self::{
    auth::{PASSWORD, USER},
    endless::{Endless, EndlessRegistry},
    image::{Layer, docker_archive, files, noise, oci_archive, tar},
    proxy::{Limit, Proxy},
};
use crate::{layout::Layout, paths};

const START_LIMIT: Duration = Duration::from_secs(15);
const START_ATTEMPTS: u32 = 3;
const POLL: Duration = Duration::from_millis(20);

/// What a registry asks of those who pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    Nothing,
    /// HTTP Basic against a password file.
    Htpasswd,
    /// Tokens from a server of ours, which asks for the same user and password.
    Token,
}

/// A running registry; it and its content end with this.
pub struct Registry {
    process: Child,
    dir: tempfile::TempDir,
    port: u16,
    tokens: Option<auth::TokenServer>,
}

impl Drop for Registry {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

fn stop(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}

impl Registry {
    pub async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut attempt = 1;
        loop {
            let port = free_port()?;
            match run(&dir, port, "").await {
                Ok(process) => return Ok(Self { process, dir, port, tokens: None }),
                // Somebody else may have taken the port in between.
                Err(_) if attempt < START_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts again with the same content, this time guarded.
    pub async fn guard(&mut self, auth: Auth) -> Result<()> {
        stop(&mut self.process);
        let section = match auth {
            Auth::Nothing => String::new(),
            Auth::Htpasswd => auth::htpasswd(self.dir.path())?,
            Auth::Token => {
                let server = auth::TokenServer::start(self.dir.path()).await?;
                let section = server.config();
                self.tokens = Some(server);
                section
            }
        };
        self.process = run(&self.dir, self.port, &section).await?;
        Ok(())
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Full name of something in this registry.
    pub fn name(&self, rest: &str) -> String {
        format!("127.0.0.1:{}/{rest}", self.port)
    }

    /// The file in which the registry keeps a blob.
    pub fn blob_file(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let blobs = self.dir.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    /// Media type and content of a manifest, as the registry gives it to those who ask for OCI's.
    pub async fn manifest(&self, repository: &str, tag: &str) -> Result<(String, Value)> {
        let uri = format!("http://127.0.0.1:{}/v2/{repository}/manifests/{tag}", self.port);
        let request = Request::get(&uri).header(header::ACCEPT, image::MANIFEST);
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request.body(Full::new(Bytes::new()))?).await?;
        ensure!(response.status() == StatusCode::OK, "GET {uri} answered {}", response.status());
        let kind = response.headers().get(header::CONTENT_TYPE).context("a manifest has a type")?;
        let kind = kind.to_str()?.to_owned();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((kind, serde_json::from_slice(&body)?))
    }

    /// Puts an image under a tag and returns its descriptor, for [`Self::push_index`].
    pub async fn push(
        &self,
        repository: &str,
        tag: &str,
        architecture: &str,
        layers: &[Layer],
    ) -> Result<Value> {
        for layer in layers {
            self.push_blob(repository, &layer.blob).await?;
        }
        let config = image::config(architecture, layers);
        self.push_blob(repository, &config).await?;
        let manifest = image::manifest(&config, layers);
        self.push_manifest(repository, tag, image::MANIFEST, &manifest).await?;
        let mut descriptor = image::descriptor(image::MANIFEST, &manifest);
        descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        Ok(descriptor)
    }

    /// Puts the image of a layout under a tag, as it is.
    pub async fn push_layout(&self, repository: &str, tag: &str, layout: &Layout) -> Result<()> {
        for blob in layout.manifest.layers().iter().chain([layout.manifest.config()]) {
            self.push_blob(repository, &layout.read(blob)?).await?;
        }
        self.push_manifest(repository, tag, image::MANIFEST, &layout.read(&layout.entry)?).await
    }

    pub async fn push_index(&self, repository: &str, tag: &str, manifests: &[Value]) -> Result<()> {
        let index = json!({"schemaVersion": 2, "mediaType": image::INDEX, "manifests": manifests});
        self.push_manifest(repository, tag, image::INDEX, index.to_string().as_bytes()).await
    }

    async fn push_manifest(&self, repository: &str, tag: &str, kind: &str, manifest: &[u8]) -> Result<()> {
        let path = format!("/v2/{repository}/manifests/{tag}");
        self.send("PUT", &path, kind, manifest, StatusCode::CREATED).await.map(drop)
    }

    async fn push_blob(&self, repository: &str, blob: &[u8]) -> Result<()> {
        let binary = "application/octet-stream";
        let start = format!("/v2/{repository}/blobs/uploads/");
        let location = self.send("POST", &start, binary, &[], StatusCode::ACCEPTED).await?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let target = format!("{location}{separator}digest={}", image::digest(blob));
        self.send("PUT", &target, binary, blob, StatusCode::CREATED).await.map(drop)
    }

    /// One request; returns the `Location` of the answer.
    async fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
        wanted: StatusCode,
    ) -> Result<String> {
        let uri = match path.starts_with('/') {
            true => format!("http://127.0.0.1:{}{path}", self.port),
            false => path.to_owned(),
        };
        let request = Request::builder()
            .method(method)
            .uri(&uri)
            .header(header::CONTENT_TYPE, kind)
            .body(Full::new(Bytes::copy_from_slice(body)))?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.with_context(|| format!("{method} {uri}"))?;
        let status = response.status();
        let location =
            response.headers().get(header::LOCATION).and_then(|l| l.to_str().ok()).map(str::to_owned);
        let text = response.into_body().collect().await?.to_bytes();
        ensure!(status == wanted, "{method} {uri} answered {status}: {}", String::from_utf8_lossy(&text));
        Ok(location.unwrap_or_default())
    }
}

async fn run(dir: &tempfile::TempDir, port: u16, auth: &str) -> Result<Child> {
    let program = paths::program("docker-registry", "docker-registry")?;
    let data = dir.path().join("data");
    let config = dir.path().join("config.yml");
    let text = format!(
        "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\n\
         storage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n{auth}",
        data.display()
    );
    fs::write(&config, text)?;
    let log = fs::File::create(dir.path().join("log"))?;
    let mut process = Command::new(program)
        .arg("serve")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("starting docker-registry")?;
    let deadline = Instant::now() + START_LIMIT;
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        if process.try_wait()?.is_some() || Instant::now() > deadline {
            stop(&mut process);
            bail!("docker-registry did not start: {}", fs::read_to_string(dir.path().join("log"))?);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(process)
}

pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
