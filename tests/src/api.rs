//! The lifecycle API as a test sees it: JSON in, status and JSON out, nothing hidden by a client library.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

use crate::{execd::Execd, paths::BASE_IMAGE};

/// Longest wait for any single answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two looks at something that is being waited for.
const POLL: Duration = Duration::from_millis(50);

pub(crate) type Http = Client<HttpConnector, Full<Bytes>>;

pub(crate) fn http() -> Http {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    // A connection kept from before a restart of the server would fail the request that finds it dead.
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)
}

/// A caller of one server.
#[derive(Clone)]
pub struct Api {
    pub base: String,
    pub key: String,
    http: Http,
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as text, whatever it holds.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {} with a body that is not JSON: {}", self.status, self.text()))
    }

    /// The value of a header, empty when absent or not text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Fails, showing the body, unless the status is the expected one.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "expected {status}, got {}: {}", self.status, self.text());
        Ok(self)
    }

    /// Fails unless this is an error of the given status in the contract's shape; returns code and message.
    pub fn expect_error(self, status: u16) -> Result<(String, String)> {
        let body = self.expect(status)?.json()?;
        let field = |name: &str| body[name].as_str().map(str::to_owned).filter(|text| !text.is_empty());
        let error = field("code").zip(field("message"));
        error.with_context(|| format!("an error needs code and message, got {body}"))
    }
}

impl Api {
    pub fn new(base: impl Into<String>, key: impl Into<String>) -> Self {
        Self { base: base.into(), key: key.into(), http: http() }
    }

    /// Sends a request with the API key and, when given, a JSON body.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("open-sandbox-api-key", &self.key);
        let bytes = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        self.request(request.body(Full::new(bytes))?).await
    }

    /// Sends a request exactly as given.
    pub async fn request(&self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let what = format!("{} {}", request.method(), request.uri());
        let exchange = async {
            let response = self.http.request(request).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .with_context(|| format!("{what}: no answer in {ANSWER_TIMEOUT:?}"))?
            .context(what)
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Method::DELETE, path, None).await
    }

    /// Creates a sandbox from the base image and waits until it runs; members of `overrides` replace the defaults.
    pub async fn create(&self, overrides: Value) -> Result<Sandbox> {
        let answer = self.post("/v1/sandboxes", &create_body(overrides)).await?.expect(202)?.json()?;
        let id = answer["id"].as_str().context("a created sandbox has an id")?.to_owned();
        let sandbox = Sandbox { id, api: self.clone() };
        sandbox.wait_state("Running").await?;
        Ok(sandbox)
    }

    /// Asks for a sandbox under a key that makes one of it however often it is asked.
    pub async fn create_once(&self, key: &str, body: &Value) -> Result<Answer> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/v1/sandboxes", self.base))
            .header("open-sandbox-api-key", &self.key)
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        self.request(request.body(Full::from(body.to_string()))?).await
    }

    /// Ids of all sandboxes the server lists.
    pub async fn ids(&self) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for page in 1.. {
            let list =
                self.get(&format!("/v1/sandboxes?page={page}&pageSize=200")).await?.expect(200)?.json()?;
            let items = list["items"].as_array().context("a list has items")?;
            ids.extend(items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)));
            if list["pagination"]["hasNextPage"] != json!(true) {
                break;
            }
        }
        Ok(ids)
    }
}

/// A create request for the base image with `overrides` laid over it.
pub fn create_body(overrides: Value) -> Value {
    let mut body = json!({
        "image": {"uri": BASE_IMAGE},
        "entrypoint": ["tail", "-f", "/dev/null"],
        "resourceLimits": {"cpu": "1", "memory": "256Mi"},
        "timeout": 900,
    });
    if let (Some(body), Value::Object(overrides)) = (body.as_object_mut(), overrides) {
        body.extend(overrides);
    }
    body
}

/// A sandbox made by a test. Whatever a test leaves behind is deleted with its server.
#[derive(Clone)]
pub struct Sandbox {
    pub id: String,
    pub api: Api,
}

impl Sandbox {
    pub fn path(&self) -> String {
        format!("/v1/sandboxes/{}", self.id)
    }

    pub async fn get(&self) -> Result<Value> {
        self.api.get(&self.path()).await?.expect(200)?.json()
    }

    /// Waits until the sandbox is in `state`; a sandbox that fails instead ends the wait.
    pub async fn wait_state(&self, state: &str) -> Result<Value> {
        let since = Instant::now();
        loop {
            let sandbox = self.get().await?;
            let now = sandbox["status"]["state"].as_str().unwrap_or_default();
            if now == state {
                return Ok(sandbox);
            }
            if now == "Failed" || since.elapsed() > ANSWER_TIMEOUT {
                bail!("sandbox {} is not {state}: {}", self.id, sandbox["status"]);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Address and headers for a port, direct or through the server.
    pub async fn endpoint(&self, port: u16, through_server: bool) -> Result<(String, Vec<(String, String)>)> {
        let query = if through_server { "?use_server_proxy=true" } else { "" };
        let path = format!("{}/endpoints/{port}{query}", self.path());
        let endpoint = self.api.get(&path).await?.expect(200)?.json()?;
        let address = endpoint["endpoint"].as_str().context("an endpoint has an address")?;
        let headers = endpoint["headers"].as_object().into_iter().flatten();
        let headers = headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        Ok((address.to_owned(), headers.collect()))
    }

    /// The sandbox's execd, reached directly.
    pub async fn execd(&self) -> Result<Execd> {
        let (address, headers) = self.endpoint(Execd::PORT, false).await?;
        Ok(Execd::new(format!("http://{address}"), headers))
    }

    /// The sandbox's execd, reached through the server with the API key.
    pub async fn execd_through_server(&self) -> Result<Execd> {
        let (address, mut headers) = self.endpoint(Execd::PORT, true).await?;
        headers.push(("open-sandbox-api-key".into(), self.api.key.clone()));
        Ok(Execd::new(format!("http://{address}"), headers))
    }

    pub async fn delete(self) -> Result<()> {
        self.api.delete(&self.path()).await?.expect(204)?;
        Ok(())
    }
}

/// Looks every 50 ms until `check` says yes; fails with `what` after `limit`.
pub async fn eventually<F>(what: &str, limit: Duration, mut check: F) -> Result<()>
where
    F: AsyncFnMut() -> Result<bool>,
{
    let since = Instant::now();
    while !check().await? {
        ensure!(since.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
