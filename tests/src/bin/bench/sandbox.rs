//! The server under test and the sandboxes the rows share.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use sandkeep_specs::lifecycle::{API_KEY_HEADER, CreateSandboxResponse, Endpoint};
use sandkeep_tests::server::{Server, Setup};
use tokio::sync::OnceCell;

use crate::http::Connection;

/// Sandboxes in the rows about many.
const CROWD: usize = 48;
/// Sandboxes in the rows about very many.
pub(crate) const MULTITUDE: usize = 1000;
/// Requests that make those, at once.
const WORKERS: usize = 8;

/// What every sandbox here is made of.
pub(crate) const CREATE: &str = r#"{"image":{"uri":"sandkeep/base:latest"},"entrypoint":["sleep","infinity"],"resourceLimits":{},"timeout":3600}"#;

/// execd's port.
const EXECD_PORT: u16 = 44772;

/// A server with fresh state.
pub(crate) struct Bench {
    server: Server,
    target: OnceCell<Target>,
    crowd: OnceCell<Vec<String>>,
    multitude: OnceCell<Vec<String>>,
}

/// Where a sandbox's execd is reached.
pub(crate) struct Target {
    pub(crate) id: String,
    pub(crate) address: SocketAddr,
    pub(crate) headers: HeaderMap,
}

impl Bench {
    pub(crate) fn start() -> Result<Self> {
        let server = Server::start(Setup::default())?;
        Ok(Self { server, target: OnceCell::new(), crowd: OnceCell::new(), multitude: OnceCell::new() })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// A new connection to the server, with the API key.
    pub(crate) async fn api(&self) -> Result<Connection> {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::try_from(API_KEY_HEADER)?, HeaderValue::from_str(&self.server.key)?);
        Connection::open(self.server.address(), &headers).await
    }

    /// Creates a sandbox; it may not answer yet.
    pub(crate) async fn create(&self, api: &mut Connection) -> Result<String> {
        self.create_from(api, CREATE).await
    }

    /// Creates a sandbox as `body` says; it may not answer yet.
    pub(crate) async fn create_from(&self, api: &mut Connection, body: &'static str) -> Result<String> {
        let created: CreateSandboxResponse = serde_json::from_slice(&api.post("/v1/sandboxes", body).await?)?;
        Ok(created.id)
    }

    /// Where a sandbox's execd is.
    pub(crate) async fn locate(&self, api: &mut Connection, id: &str) -> Result<Target> {
        let answer = api.get(&format!("/v1/sandboxes/{id}/endpoints/{EXECD_PORT}")).await?;
        let endpoint: Endpoint = serde_json::from_slice(&answer)?;
        let mut headers = HeaderMap::new();
        for (name, value) in endpoint.headers.iter().flatten() {
            headers.insert(HeaderName::try_from(name)?, HeaderValue::from_str(value)?);
        }
        let address = endpoint.endpoint.parse().context("a direct endpoint is an address and a port")?;
        Ok(Target { id: id.to_owned(), address, headers })
    }

    /// The sandbox that rows about execd share.
    pub(crate) async fn target(&self) -> Result<&Target> {
        self.target
            .get_or_try_init(|| async {
                let mut api = self.api().await?;
                let id = self.create(&mut api).await?;
                let target = self.locate(&mut api, &id).await?;
                target.connect().await?.get("/ping").await?;
                Ok(target)
            })
            .await
    }

    /// Forty-eight sandboxes, made once and kept.
    pub(crate) async fn crowd(&self) -> Result<&[String]> {
        let crowd = self.crowd.get_or_try_init(|| async {
            let mut api = self.api().await?;
            let mut ids = Vec::new();
            for _ in 0..CROWD {
                ids.push(self.create(&mut api).await?);
            }
            Ok::<_, anyhow::Error>(ids)
        });
        Ok(crowd.await?)
    }

    /// A thousand sandboxes, made once and kept.
    pub(crate) async fn multitude(&self) -> Result<&[String]> {
        let some = async || {
            let mut api = self.api().await?;
            let mut ids = Vec::new();
            for _ in 0..MULTITUDE / WORKERS {
                ids.push(self.create(&mut api).await?);
            }
            Ok::<_, anyhow::Error>(ids)
        };
        let multitude = self.multitude.get_or_try_init(|| async {
            let parts = futures_util::future::try_join_all((0..WORKERS).map(|_| some())).await?;
            Ok::<_, anyhow::Error>(parts.concat())
        });
        Ok(multitude.await?)
    }
}

impl Target {
    /// A new connection to the sandbox's own address.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        Connection::open(self.address, &self.headers).await
    }

    /// The path of an execd operation through the server.
    pub(crate) fn proxied(&self, path: &str) -> String {
        format!("/v1/sandboxes/{}/proxy/{EXECD_PORT}{path}", self.id)
    }
}
