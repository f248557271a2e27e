//! The lifecycle API, one method per operation.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use sandkeep_specs::lifecycle::{
    API_KEY_HEADER, Capabilities, CreateSandboxRequest, CreateSandboxResponse, Endpoint, Health,
    IDEMPOTENCY_HEADER, ListSandboxesResponse, MetricsEvent, PatchSandboxMetadataRequest,
    RenewSandboxExpirationRequest, RenewSandboxExpirationResponse, Sandbox, StartSandboxResponse,
    StopSandboxRequest, StopSandboxResponse, Version,
};

use crate::transport::{Http, Timeouts, add_header};
use crate::{Images, Pools, Result, Templates, Tunnel};

/// Variable that names the server.
const URL_VARIABLE: &str = "SANDKEEP_URL";

/// Variable that holds the API key.
const KEY_VARIABLE: &str = "OPEN_SANDBOX_API_KEY";

/// Where a server is when nothing says otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// A lifecycle-server, as one caller sees it. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) http: Http,
    api_key: Option<String>,
}

/// Shows where it points, never the key.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// Settings of a [`Client`].
#[derive(Clone, Default)]
pub struct ClientBuilder {
    url: Option<String>,
    api_key: Option<String>,
    timeouts: Timeouts,
}

impl ClientBuilder {
    /// The server's address. Default: `SANDKEEP_URL`, else `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// The API key. Default: `OPEN_SANDBOX_API_KEY`, else none.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// The limits of every wait.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The client, not yet connected to anything.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) if the address is no `http` or `https` one, or the key cannot be a header.
    pub fn build(self) -> Result<Client> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let url = self.url.or_else(|| variable(URL_VARIABLE)).unwrap_or_else(|| DEFAULT_URL.to_owned());
        let api_key = self.api_key.or_else(|| variable(KEY_VARIABLE));
        let mut headers = HeaderMap::new();
        if let Some(key) = &api_key {
            add_header(&mut headers, API_KEY_HEADER, key, true)?;
        }
        let base = url.trim_end_matches('/').trim_end_matches("/v1");
        Ok(Client { http: Http::new(base, headers, self.timeouts, true)?, api_key })
    }
}

/// Which sandboxes to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only sandboxes in one of these states; empty means any.
    pub states: Vec<String>,
    /// Only sandboxes with all of these labels.
    pub metadata: BTreeMap<String, String>,
    /// Page number, from 1.
    pub page: Option<u64>,
    /// Sandboxes a page, 1 to 200.
    pub page_size: Option<u64>,
}

impl Client {
    /// A client of the server at `url`.
    ///
    /// # Errors
    ///
    /// As of [`ClientBuilder::build`].
    pub fn new(url: impl Into<String>, api_key: impl Into<String>) -> Result<Self> {
        Self::builder().url(url).api_key(api_key).build()
    }

    /// A client of the server that the environment names.
    ///
    /// # Errors
    ///
    /// As of [`ClientBuilder::build`], of what the variables say.
    pub fn from_env() -> Result<Self> {
        Self::builder().build()
    }

    /// Settings to start from.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The server's address.
    #[must_use]
    pub fn url(&self) -> &str {
        self.http.base()
    }

    /// Whether the server is well.
    pub async fn health(&self) -> Result<Health> {
        self.http.json("the health answer", self.http.get(&["health"])).await
    }

    /// Which version the server is.
    pub async fn version(&self) -> Result<Version> {
        self.http.json("the version answer", self.http.get(&["version"])).await
    }

    /// The server's metrics in the text format of Prometheus.
    pub async fn prometheus(&self) -> Result<String> {
        self.http.text("the metrics", self.http.get(&["metrics"])).await
    }

    /// Tells the server how a creation went, as seen from here; it counts in the server's metrics.
    ///
    /// # Errors
    ///
    /// 400 if the event is malformed.
    pub async fn report_event(&self, event: &MetricsEvent) -> Result<()> {
        self.http.done(self.http.post(&["v1", "metrics", "events"]).json(event)).await
    }

    /// A request to a port of a sandbox, through the server. `path` begins with a slash and may hold a query; it is
    /// passed on as it is. Add headers and a body and send it: any status is an answer. Its limit is that of an
    /// ordinary request unless another is set.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) if `path` makes no address. Nothing is sent yet.
    pub fn port_request(&self, id: &str, port: u16, method: Method, path: &str) -> Result<RequestBuilder> {
        self.http.passed(method, &["v1", "sandboxes", id, "proxy", &port.to_string()], path)
    }

    /// Creates a sandbox; it may not answer yet. [`crate::Sandbox::create`] waits until it does.
    ///
    /// # Errors
    ///
    /// 400 names the member that is wrong, 404 what the request refers to; 409 if the sandbox was deleted meanwhile
    /// or the snapshot is not ready; 403 and 429 if a quota or the host has no room; 503 and 504 if the image cannot
    /// be fetched.
    pub async fn create_sandbox(&self, request: &CreateSandboxRequest) -> Result<CreateSandboxResponse> {
        let post = self.http.post(&["v1", "sandboxes"]).json(request);
        self.http.json_within(self.http.timeouts.create, "creating a sandbox", post).await
    }

    /// Opens a TCP connection to a port of a sandbox, through the server.
    ///
    /// # Errors
    ///
    /// 404 if the sandbox does not run, 502 if nothing accepts connections on the port, 503 if the server carries as
    /// many as it may, 504 if the port did not accept in time.
    pub async fn open_tunnel(&self, id: &str, port: u16) -> Result<Tunnel> {
        let upgraded = self.http.upgrade(&["v1", "sandboxes", id, "tunnel", &port.to_string()], &[]).await?;
        Ok(Tunnel::new(upgraded).await)
    }

    /// Creates a sandbox, however often this is called with the same key and request within a day.
    ///
    /// # Errors
    ///
    /// As of [`Client::create_sandbox`], and 409 if the key came with another request before.
    pub async fn create_sandbox_once(
        &self,
        key: &str,
        request: &CreateSandboxRequest,
    ) -> Result<CreateSandboxResponse> {
        let post = self.http.post(&["v1", "sandboxes"]).header(IDEMPOTENCY_HEADER, key).json(request);
        self.http.json_within(self.http.timeouts.create, "creating a sandbox", post).await
    }

    /// One sandbox as it is now.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox.
    pub async fn get_sandbox(&self, id: &str) -> Result<Sandbox> {
        self.http.json("the sandbox", self.http.get(&["v1", "sandboxes", id])).await
    }

    /// One page of sandboxes, newest first.
    ///
    /// # Errors
    ///
    /// 400 if a filter or page is wrong.
    pub async fn list_sandboxes(&self, query: &ListQuery) -> Result<ListSandboxesResponse> {
        let request = self.http.get(&["v1", "sandboxes"]).query(&query.pairs());
        self.http.json("the list of sandboxes", request).await
    }

    /// Removes a sandbox and everything in it.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox, 409 if it is being deleted already.
    pub async fn delete_sandbox(&self, id: &str) -> Result<()> {
        self.http.done(self.http.delete(&["v1", "sandboxes", id])).await
    }

    /// Freezes a sandbox where it is.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox, 409 if it does not run.
    pub async fn pause_sandbox(&self, id: &str) -> Result<()> {
        self.http.done(self.http.post(&["v1", "sandboxes", id, "pause"])).await
    }

    /// Lets a paused sandbox go on.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox, 409 if it is not paused.
    pub async fn resume_sandbox(&self, id: &str) -> Result<()> {
        self.http.done(self.http.post(&["v1", "sandboxes", id, "resume"])).await
    }

    /// Ends a sandbox's processes and keeps its files, and its memory if that is wanted and possible.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox; 409 if it neither runs nor is paused, or its memory cannot be kept: it goes
    /// on.
    pub async fn stop_sandbox(&self, id: &str, memory: bool) -> Result<StopSandboxResponse> {
        let request = self.http.post(&["v1", "sandboxes", id, "stop"]).json(&StopSandboxRequest { memory });
        self.http.json_within(self.http.timeouts.create, "stopping a sandbox", request).await
    }

    /// Starts a stopped sandbox.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox, 409 if it is not stopped, 400 if it does not start, 429 if the host has no
    /// room for it; it stays stopped.
    pub async fn start_sandbox(&self, id: &str) -> Result<StartSandboxResponse> {
        let request = self.http.post(&["v1", "sandboxes", id, "start"]);
        self.http.json_within(self.http.timeouts.create, "starting a sandbox", request).await
    }

    /// What the server can do on its host.
    pub async fn capabilities(&self) -> Result<Capabilities> {
        self.http.json("the capabilities", self.http.get(&["v1", "capabilities"])).await
    }

    /// Sets when a sandbox expires.
    ///
    /// # Errors
    ///
    /// 400 if the moment is not in the future, 404 if there is no such sandbox, 409 if it never expires.
    pub async fn renew_sandbox(&self, id: &str, expires_at: DateTime<Utc>) -> Result<DateTime<Utc>> {
        let request = self.http.post(&["v1", "sandboxes", id, "renew-expiration"]);
        let request = request.json(&RenewSandboxExpirationRequest { expires_at });
        let answer: RenewSandboxExpirationResponse = self.http.json("the new expiry", request).await?;
        Ok(answer.expires_at)
    }

    /// Changes labels: a value sets one, `None` removes it, others stay.
    ///
    /// # Errors
    ///
    /// 400 if a label is wrong, 404 if there is no such sandbox, 409 if its state does not allow it.
    pub async fn patch_metadata(&self, id: &str, patch: BTreeMap<String, Option<String>>) -> Result<Sandbox> {
        let request = self.http.request(Method::PATCH, &["v1", "sandboxes", id, "metadata"]);
        self.http.json("the sandbox", request.json(&PatchSandboxMetadataRequest(patch))).await
    }

    /// Where a port of a sandbox is reached: at its own address, or through the server.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox or it does not run.
    pub async fn endpoint(&self, id: &str, port: u16, through_server: bool) -> Result<Endpoint> {
        let request = self.http.get(&["v1", "sandboxes", id, "endpoints", &port.to_string()]);
        let request = request.query(&[("use_server_proxy", through_server)]);
        self.http.json("the endpoint", request).await
    }

    /// The pools on the server.
    #[must_use]
    pub fn pools(&self) -> Pools<'_> {
        Pools::new(&self.http)
    }

    /// The templates on the server.
    #[must_use]
    pub fn templates(&self) -> Templates<'_> {
        Templates::new(&self.http)
    }

    /// The images on the server.
    #[must_use]
    pub fn images(&self) -> Images<'_> {
        Images::new(&self.http)
    }

    /// Address and headers for requests to an endpoint this client was told of.
    pub(crate) fn connect(&self, endpoint: &Endpoint, through_server: bool) -> Result<Http> {
        let mut headers = HeaderMap::new();
        for (name, value) in endpoint.headers.iter().flatten() {
            add_header(&mut headers, name, value, true)?;
        }
        // The server passes what comes from its own callers; a sandbox never sees the key.
        if let (true, Some(key)) = (through_server, &self.api_key) {
            add_header(&mut headers, API_KEY_HEADER, key, true)?;
        }
        let scheme = if through_server { self.http.scheme() } else { "http" };
        let base = format!("{scheme}://{}", endpoint.endpoint);
        Http::new(&base, headers, self.http.timeouts, through_server)
    }

    /// Limit of waiting for a fresh sandbox to answer.
    pub(crate) fn ready_limit(&self) -> Duration {
        self.http.timeouts.ready
    }
}

impl ListQuery {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs: Vec<_> = self.states.iter().map(|state| ("state", state.clone())).collect();
        pairs.extend(label_filter(&self.metadata).map(|filter| ("metadata", filter)));
        pairs.extend(self.page.map(|page| ("page", page.to_string())));
        pairs.extend(self.page_size.map(|size| ("pageSize", size.to_string())));
        pairs
    }
}

/// Labels as a filter; nothing without any. It is a query string inside a query string, so its parts are escaped on their
/// own first.
pub(crate) fn label_filter(labels: &BTreeMap<String, String>) -> Option<String> {
    let parts = labels.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value)));
    (!labels.is_empty()).then(|| parts.collect::<Vec<_>>().join("&"))
}

/// Percent-escapes everything but letters, digits and `-._~`.
fn escape(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escaped = text
        .bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_escaped_once_by_themselves() {
        let query = ListQuery {
            states: vec!["Running".into(), "Paused".into()],
            metadata: BTreeMap::from([("a/b".into(), "c&d".into()), ("e".into(), String::new())]),
            page: Some(2),
            page_size: None,
        };
        let pairs = query.pairs();
        assert_eq!(pairs[0], ("state", "Running".to_owned()));
        assert_eq!(pairs[2], ("metadata", "a%2Fb=c%26d&e=".to_owned()));
        assert_eq!(pairs[3], ("page", "2".to_owned()));
        assert_eq!(pairs.len(), 4);
    }

    #[test]
    fn the_version_prefix_may_be_part_of_the_address() {
        for url in ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"] {
            assert_eq!(Client::new(url, "k").unwrap().url(), "http://h:1");
        }
    }

    #[test]
    fn the_key_stays_out_of_debug_output() {
        let client = Client::new("http://h", "very-secret").unwrap();
        assert!(!format!("{client:?} {:?}", client.http).contains("very-secret"));
    }
}
