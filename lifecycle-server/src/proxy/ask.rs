//! Short questions of the server's own to a port of a sandbox.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, Method, Request, StatusCode, header::CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Limited};

use super::{Proxy, ProxyError, body::Watched, connector, error::root_cause, resolver};
use crate::sandbox::Target;

/// What answers a question at once has this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest answer.
const MAX_ANSWER: usize = 4 << 20;

/// A question: what to do with which path, and what proves the right to.
pub struct Question<'a> {
    pub method: Method,
    pub path: &'a str,
    pub credential: (HeaderName, HeaderValue),
    /// JSON.
    pub body: Option<Vec<u8>>,
}

impl Proxy {
    /// Puts a question and reads the whole answer.
    ///
    /// # Errors
    /// When there is none in time, or it is too large.
    pub async fn ask(
        &self,
        sandbox: &str,
        target: &Target,
        question: Question<'_>,
    ) -> Result<(StatusCode, Bytes), ProxyError> {
        let address = target.address;
        let host = resolver::host(sandbox, target.run, address.ip());
        let (name, value) = question.credential;
        let (body, _) = Watched::new(question.body.map_or_else(Body::empty, Body::from));
        let request = Request::builder()
            .method(question.method)
            .uri(format!("http://{host}:{}{}", address.port(), question.path))
            .header(CONTENT_TYPE, "application/json")
            .header(name, value)
            .body(body)
            .map_err(|error| ProxyError::Uri(error.to_string()))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| {
                let cause = root_cause(&error);
                if error.is_connect() {
                    ProxyError::Connect { address, cause }
                } else {
                    ProxyError::Response { address, cause }
                }
            })?;
            connector::answered(&response);
            let status = response.status();
            let read = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let read = read.map_err(|error| ProxyError::Response { address, cause: error.to_string() })?;
            Ok((status, read.to_bytes()))
        };
        let answer = tokio::time::timeout(PATIENCE, exchange).await;
        answer.map_err(|_| ProxyError::Timeout { address, waited: PATIENCE })?
    }
}
