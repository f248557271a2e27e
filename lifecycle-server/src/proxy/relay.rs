//! Requests that another server of the same database is to answer: passed on as they are.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::HOST},
    response::Response,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::sync::Semaphore;

use super::{
    body::Watched,
    error::{ProxyError, root_cause},
    headers::{self, Front},
    tunnel,
};
use crate::otel;

/// On every request that is passed on, which is not passed on again; says what it came in by.
pub const RELAYED: HeaderName = HeaderName::from_static("sandkeep-relayed");
const BY_API: HeaderValue = HeaderValue::from_static("api");
const BY_GATEWAY: HeaderValue = HeaderValue::from_static("gateway");
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence of the other server and the caller before an answer begins; what it does is bounded there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(200);
/// A host that is gone doesn't close its connections: only probes find out.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_UPGRADED: usize = 4096;

/// Passes requests on; cheap to clone.
#[derive(Clone)]
pub struct Relay {
    client: Client<HttpConnector, Watched>,
    upgraded: Arc<Semaphore>,
}

/// Why another server did not answer.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error("the server at {address} does not answer: {cause}")]
    Unreachable { address: String, cause: String },
    #[error(transparent)]
    Request(#[from] ProxyError),
}

impl Default for Relay {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_keepalive_interval(Some(KEEPALIVE));
        connector.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Self { client, upgraded: Arc::new(Semaphore::new(MAX_UPGRADED)) }
    }
}

/// Whether another server passed on what came in by its gateway.
pub fn is_from_gateway(headers: &HeaderMap) -> bool {
    headers.get(RELAYED) == Some(&BY_GATEWAY)
}

impl Relay {
    /// Sends the request to the server at `address` and answers with what comes back, as it comes.
    pub async fn pass(
        &self,
        address: &str,
        front: Front,
        mut request: Request,
    ) -> Result<Response, RelayError> {
        let permit = || Arc::clone(&self.upgraded).try_acquire_owned().map_err(|_| ProxyError::TooMany);
        let upgrade = tunnel::requested(&mut request, permit)?;
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri = format!("{}{path}", address.trim_end_matches('/'));
        let uri = uri.parse().map_err(|error| ProxyError::Uri(format!("{error}")))?;
        headers::remove_hop_by_hop(&mut parts.headers);
        if let Some(upgrade) = &upgrade {
            upgrade.restore(&mut parts.headers);
        }
        // Answers may tell addresses under the host that the caller knows.
        if let Some(host) = parts.uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
            parts.headers.entry(HOST).or_insert(host);
        }
        let came_by = match front {
            Front::Api => BY_API,
            Front::Gateway => BY_GATEWAY,
        };
        parts.headers.insert(RELAYED, came_by);
        otel::inject(&mut parts.headers);

        let (body, movement) = Watched::new(body);
        let mut passed = Request::new(()).map(|()| body);
        *passed.method_mut() = parts.method;
        *passed.uri_mut() = uri;
        *passed.headers_mut() = parts.headers;
        let unreachable = |cause| RelayError::Unreachable { address: address.to_owned(), cause };
        let response = self.client.request(passed);
        tokio::pin!(response);
        let mut response = loop {
            match tokio::time::timeout(ANSWER_TIMEOUT, &mut response).await {
                Ok(answered) => break answered.map_err(|error| unreachable(root_cause(&error)))?,
                Err(_) if movement.take() => {}
                Err(_) => return Err(unreachable("it is silent".to_owned())),
            }
        };
        if let Some(upgrade) = upgrade
            && response.status() == StatusCode::SWITCHING_PROTOCOLS
        {
            return Ok(upgrade.join(response, ()));
        }
        headers::remove_hop_by_hop(response.headers_mut());
        Ok(response.map(Body::new))
    }
}
