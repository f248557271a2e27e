//! Sending requests to one base address with its headers.

use std::time::Duration;

use reqwest::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Upgraded, Url};
use serde::de::DeserializeOwned;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};

use super::refusal::refusal;
use super::{Timeouts, within};
use crate::{Error, Result};

/// A server's address, the headers every request to it carries, and the limits of waiting for it.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    /// The same for what only HTTP/1.1 can do.
    http1: reqwest::Client,
    base: Url,
    pub(crate) timeouts: Timeouts,
}

impl Http {
    /// A connection pool for `base`. Proxies of the environment are used only where asked for: a sandbox's
    /// own address is never behind one.
    pub(crate) fn new(base: &str, headers: HeaderMap, timeouts: Timeouts, proxies: bool) -> Result<Self> {
        // Fails when a provider was chosen before, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = parse_base(base)?;
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("sandkeep-rust/", env!("CARGO_PKG_VERSION")))
                .default_headers(headers.clone())
                .connect_timeout(timeouts.connect)
                .redirect(reqwest::redirect::Policy::none())
                // A request that was sent may have started something: only the caller may repeat it.
                .retry(reqwest::retry::never());
            if proxies { builder } else { builder.no_proxy() }
        };
        let built = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| Error::Config(format!("cannot set up the HTTP client: {error}")))
        };
        let client = built(builder())?;
        // Without TLS nothing is negotiated, and HTTP/1.1 is spoken anyway.
        let http1 = if base.scheme() == "https" { built(builder().http1_only())? } else { client.clone() };
        Ok(Self { client, http1, base, timeouts })
    }

    /// The address, without a slash at the end.
    pub(crate) fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The same connections, for what lies below a path.
    pub(crate) fn below(&self, segments: &[&str]) -> Self {
        Self { base: self.url(segments), ..self.clone() }
    }

    pub(crate) fn scheme(&self) -> &str {
        self.base.scheme()
    }

    /// A request to the path made of these segments, each escaped.
    pub(crate) fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        self.client.request(method, self.url(segments))
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// A request to a path that is passed on untouched behind these segments.
    pub(crate) fn passed(&self, method: Method, segments: &[&str], path: &str) -> Result<RequestBuilder> {
        let url = format!("{}{path}", self.url(segments));
        let url = Url::parse(&url).ok().filter(|_| path.is_empty() || path.starts_with(['/', '?']));
        let url = url.ok_or_else(|| Error::Config(format!("{path:?} is no path of a sandbox's port")))?;
        Ok(self.client.request(method, url).timeout(self.timeouts.request))
    }

    /// Makes a connection into a WebSocket.
    pub(crate) async fn upgrade(&self, segments: &[&str], query: &[(&str, String)]) -> Result<Upgraded> {
        const WHAT: &str = "the WebSocket handshake";
        let key = generate_key();
        let request = self
            .http1
            .get(self.url(segments))
            .query(query)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key);
        within(self.timeouts.request, WHAT, async {
            let response = request.send().await.map_err(|source| self.transport(source))?;
            if response.status().is_client_error() || response.status().is_server_error() {
                return Err(refusal(response).await);
            }
            let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
            let is_upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            if !is_upgraded || accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
                let detail = format!("the server answered {} without agreeing", response.status());
                return Err(Error::Decode { what: WHAT, detail });
            }
            response.upgrade().await.map_err(|source| self.transport(source))
        })
        .await?
    }

    pub(crate) fn get(&self, segments: &[&str]) -> RequestBuilder {
        self.request(Method::GET, segments)
    }

    pub(crate) fn post(&self, segments: &[&str]) -> RequestBuilder {
        self.request(Method::POST, segments)
    }

    pub(crate) fn delete(&self, segments: &[&str]) -> RequestBuilder {
        self.request(Method::DELETE, segments)
    }

    /// Sends and returns the answer once its headers are there; an error status is an error.
    pub(crate) async fn open(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|source| self.transport(source))?;
        if response.status().is_success() {
            return Ok(response);
        }
        within(self.timeouts.request, "reading an error answer", async { Err(refusal(response).await) })
            .await?
    }

    /// Sends, with the limit of an ordinary request on the wait for the headers.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        within(self.timeouts.request, "the request", self.open(request)).await?
    }

    /// Sends and reads a JSON answer within `limit`.
    pub(crate) async fn json_within<T: DeserializeOwned>(
        &self,
        limit: Duration,
        what: &'static str,
        request: RequestBuilder,
    ) -> Result<T> {
        within(limit, what, async {
            let response = self.open(request).await?;
            let body = response.bytes().await.map_err(|source| self.transport(source))?;
            serde_json::from_slice(&body).map_err(|error| Error::Decode { what, detail: error.to_string() })
        })
        .await?
    }

    /// Sends and reads a JSON answer.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        what: &'static str,
        request: RequestBuilder,
    ) -> Result<T> {
        self.json_within(self.timeouts.request, what, request).await
    }

    /// Sends and reads an answer that is text.
    pub(crate) async fn text(&self, what: &'static str, request: RequestBuilder) -> Result<String> {
        within(self.timeouts.request, what, async {
            let response = self.open(request).await?;
            response.text().await.map_err(|source| self.transport(source))
        })
        .await?
    }

    /// Sends and ignores the answer's body.
    pub(crate) async fn done(&self, request: RequestBuilder) -> Result<()> {
        within(self.timeouts.request, "the request", async {
            let response = self.open(request).await?;
            // Read to the end, so that the connection can be used again.
            response.bytes().await.map_err(|source| self.transport(source))?;
            Ok(())
        })
        .await?
    }

    /// Says where the failed request went.
    pub(crate) fn transport(&self, source: reqwest::Error) -> Error {
        Error::Transport { url: self.base().to_owned(), source: source.without_url() }
    }
}

/// An address people may have written without a scheme.
fn parse_base(text: &str) -> Result<Url> {
    let text = text.trim();
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url =
        Url::parse(&full).map_err(|error| Error::Config(format!("{text:?} is not an address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(Error::Config(format!("{text:?} is neither an http nor an https address")));
    }
    Ok(url)
}

/// One header of every request; a value that HTTP cannot carry is an error.
pub(crate) fn add_header(headers: &mut HeaderMap, name: &str, value: &str, secret: bool) -> Result<()> {
    let bad = || Error::Config(format!("the header {name} has a value that HTTP cannot carry"));
    let name = HeaderName::try_from(name).map_err(|_| bad())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
    value.set_sensitive(secret);
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(base: &str) -> Result<Http> {
        Http::new(base, HeaderMap::new(), Timeouts::default(), false)
    }

    #[test]
    fn addresses_work_with_and_without_scheme_and_path() {
        let url = |base: &str| {
            let http = http(base).unwrap();
            http.get(&["files", "a b", "c/d"]).build().unwrap().url().to_string()
        };
        assert_eq!(url("127.0.0.1:8080"), "http://127.0.0.1:8080/files/a%20b/c%2Fd");
        assert_eq!(url("http://h/v1/proxy/44772/"), "http://h/v1/proxy/44772/files/a%20b/c%2Fd");
        assert!(http("ftp://h").is_err());
        assert!(http("http://").is_err());
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused_by_name() {
        let mut headers = HeaderMap::new();
        let error = add_header(&mut headers, "open-sandbox-api-key", "a\nb", true).unwrap_err();
        assert!(error.to_string().contains("open-sandbox-api-key"), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}
