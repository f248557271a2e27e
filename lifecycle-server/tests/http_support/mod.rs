//! A whole server over a runtime in memory, on a real socket.

#![allow(dead_code, unreachable_pub, reason = "every test binary uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use lifecycle_server::{
    api::{self, ApiState, Keys},
    app::{ListenOptions, Listener},
    config::Config,
    image::{ImageStore, StoreOptions},
    sandbox::{Service, ServiceOptions},
    snapshot::Snapshots,
    store::Store,
    tenant::Tenants,
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::support::{MemoryImages, MemoryRuntime};

pub const KEY: &str = "test-key";
pub const KEY_HEADER: &str = "OPEN-SANDBOX-API-KEY";
/// Long enough for a launch in memory, short enough to wait for in a test.
const CREATE_WAIT: Duration = Duration::from_millis(200);

pub struct Server {
    pub address: SocketAddr,
    pub client: Client,
    pub service: Service,
    pub runtime: Arc<MemoryRuntime>,
    pub images: Arc<MemoryImages>,
    _stop: oneshot::Sender<()>,
    _dir: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// `toml` is added to a configuration with the key.
    pub async fn start_with(toml: &str) -> Self {
        let variables = |name: &str| (name == "OPENSANDBOX_SERVER_API_KEY").then(|| KEY.to_owned());
        Self::start_from(&Config::parse(toml, Path::new("test.toml"), &variables).unwrap()).await
    }

    pub async fn start_from(config: &Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Arc::new(MemoryRuntime::default());
        let images = Arc::new(MemoryImages::default());
        let records = Store::in_memory().await.unwrap();
        let service = Service::start(
            runtime.clone(),
            images.clone(),
            records.clone(),
            ServiceOptions {
                create_wait: CREATE_WAIT,
                env: vec![],
                committed_memory: None,
                egress: lifecycle_server::sandbox::EgressOptions {
                    mode: "dns+nft".to_owned(),
                    patience: Duration::from_secs(5),
                    trusted_ca: None,
                    proxy: None,
                    collector: None,
                },
                volumes: lifecycle_server::volume::Volumes::new(
                    "/nonexistent".into(),
                    vec![],
                    "/nonexistent".as_ref(),
                ),
            },
        )
        .await
        .unwrap();
        let options = StoreOptions { min_free_bytes: 0, min_free_percent: 0, ..StoreOptions::default() };
        let store = ImageStore::open(dir.path().join("images"), options).await.unwrap();
        let keys = match &config.tenants {
            None => Keys::one(config.server.api_key.as_deref()),
            Some(tenants) => Keys::of_tenants(Tenants::open(tenants).unwrap()),
        };
        let snapshots = Snapshots::start(service.clone(), store.clone(), records).await.unwrap();
        let state = ApiState::new(service.clone(), store, snapshots, keys, config, None).unwrap();
        let server = &config.server;
        let options = ListenOptions {
            backlog: server.backlog,
            keep_alive: server.keep_alive(),
            grace: server.graceful_shutdown(),
        };
        let listener = Listener::bind("127.0.0.1", 0, options).await.unwrap();
        let address = listener.address().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stop_asked = async move { drop(stopped.await) };
        tokio::spawn(listener.run(api::router(state), Arc::default(), stop_asked));
        // The client cannot be built without one, though nothing here speaks TLS. Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { address, client, service, runtime, images, _stop: stop, _dir: dir }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request without the key.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// A request with the key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).header(KEY_HEADER, KEY)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    /// Creates a sandbox with members of `patch` on top of a valid request; its id.
    pub async fn create(&self, patch: Value) -> String {
        let response = self.post("/v1/sandboxes", &request(patch)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }
}

/// A valid create request with the members of `patch` on top.
pub fn request(patch: Value) -> Value {
    let mut request = json!({
        "image": {"uri": "python:3.12"}, "entrypoint": ["sleep", "inf"], "resourceLimits": {}, "timeout": 600,
    });
    for (key, value) in patch.as_object().unwrap() {
        request[key] = value.clone();
    }
    request
}

/// The contract's error, taken apart.
pub async fn error_of(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.expect("an error is JSON");
    let members: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["code", "message"], "{body}");
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (status, text("code"), text("message"))
}
