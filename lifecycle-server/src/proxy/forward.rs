//! One request, there and back.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, Uri, header},
    response::Response,
};
use hyper::body::Incoming as ResponseBody;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_nodelay,
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower_http::timeout::TimeoutBody;

use super::{
    body::{Held, Movement, Watched},
    connector::{self, Connector},
    error::{ProxyError, root_cause},
    headers::{self, Front},
    resolver, tunnel,
};
use crate::{
    config::ProxyConfig,
    sandbox::{Target, Visit},
};

/// An unused connection into a sandbox is closed after this long.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Unused connections kept per port of a sandbox.
const POOL_IDLE_CONNECTIONS: usize = 32;
/// A killed sandbox doesn't close its connections: only probes find out that it is gone.
pub(super) const KEEPALIVE_TIME: Duration = Duration::from_secs(15);
pub(super) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
pub(super) const KEEPALIVE_RETRIES: u32 = 3;

/// Connections at once that have stopped to be HTTP: WebSockets and tunnels.
const MAX_UPGRADED: usize = 4096;

/// Forwards requests; cheap to clone, one pool of connections for all.
#[derive(Clone)]
pub struct Proxy {
    pub(super) client: Client<Connector, Watched>,
    connect_timeout: Duration,
    read_timeout: Duration,
    upgraded: Arc<Semaphore>,
}

/// A request for a sandbox's port, judged and ready to go.
pub struct Incoming<'a> {
    pub sandbox: &'a str,
    pub target: &'a Target,
    /// Path under which the port's `/` is seen from outside, without a final slash.
    pub mount: &'a str,
    /// Segments of the request's path that come before the port's own.
    pub skip: usize,
    pub front: Front,
    pub peer: Option<IpAddr>,
    /// Put on the forwarded request; replaces the caller's own.
    pub credential: Option<(HeaderName, HeaderValue)>,
    /// Held until the last byte of the answer has gone, or the tunnel is closed.
    pub visit: Visit,
    pub request: Request,
}

impl Proxy {
    pub fn new(config: &ProxyConfig) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(POOL_IDLE_CONNECTIONS)
            .build(connector::connector(config.connect_timeout()));
        Self {
            client,
            connect_timeout: config.connect_timeout(),
            read_timeout: config.read_timeout(),
            upgraded: Arc::new(Semaphore::new(MAX_UPGRADED)),
        }
    }

    /// The right to one connection that outlives its request.
    ///
    /// # Errors
    /// When there are as many as there may be.
    pub fn upgrade_permit(&self) -> Result<OwnedSemaphorePermit, ProxyError> {
        Arc::clone(&self.upgraded).try_acquire_owned().map_err(|_| ProxyError::TooMany)
    }

    /// A bare connection to the port.
    ///
    /// # Errors
    /// When nothing accepts it in time.
    pub async fn connect(&self, target: &Target) -> Result<TcpStream, ProxyError> {
        let address = target.address;
        let refused = |error: std::io::Error| ProxyError::Connect { address, cause: error.to_string() };
        let stream = tokio::time::timeout(self.connect_timeout, TcpStream::connect(address))
            .await
            .map_err(|_| ProxyError::Timeout { address, waited: self.connect_timeout })?
            .map_err(refused)?;
        set_tcp_nodelay(&stream, true)
            .and_then(|()| set_socket_keepalive(&stream, true))
            .and_then(|()| set_tcp_keepidle(&stream, KEEPALIVE_TIME))
            .and_then(|()| set_tcp_keepintvl(&stream, KEEPALIVE_INTERVAL))
            .and_then(|()| set_tcp_keepcnt(&stream, KEEPALIVE_RETRIES))
            .map_err(|errno| refused(errno.into()))?;
        Ok(stream)
    }

    /// Sends the request into the sandbox and answers with what comes back, as it comes.
    ///
    /// # Errors
    /// When no answer began. One that breaks off later breaks off for the caller too.
    pub async fn forward(&self, incoming: Incoming<'_>) -> Result<Response, ProxyError> {
        let Incoming { sandbox, target, mount, skip, front, peer, credential, visit, mut request } = incoming;
        let upgrade = tunnel::requested(&mut request, || self.upgrade_permit())?;
        let (mut parts, body) = request.into_parts();
        let uri = self.uri(sandbox, target, skip, &parts.uri)?;

        let authority = parts.uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        let host = parts.headers.get(header::HOST).cloned().or(authority);
        headers::outgoing(&mut parts.headers, &headers::Origin { front, peer, host: host.as_ref() });
        if let Some((name, value)) = credential {
            parts.headers.insert(name, value);
        }
        let body = if parts.method == Method::GET {
            parts.headers.remove(header::CONTENT_LENGTH);
            Body::empty()
        } else {
            body
        };
        if let Some(upgrade) = &upgrade {
            upgrade.restore(&mut parts.headers);
        }
        let host = host.filter(|_| front == Front::Gateway).or_else(|| address_header(target));
        if let Some(host) = host {
            parts.headers.insert(header::HOST, host);
        }

        let (body, movement) = Watched::new(body);
        let mut forwarded = Request::new(()).map(|()| body);
        *forwarded.method_mut() = parts.method;
        *forwarded.uri_mut() = uri;
        *forwarded.headers_mut() = parts.headers;
        // What has no body and changes nothing can be said twice.
        let again = (forwarded.method() == Method::GET && upgrade.is_none()).then(|| again(&forwarded));
        let response = self.send(forwarded, again, &movement, target).await?;
        match upgrade {
            Some(upgrade) if response.status() == axum::http::StatusCode::SWITCHING_PROTOCOLS => {
                Ok(upgrade.join(response, visit))
            }
            _ => Ok(self.answer(response, mount, visit)),
        }
    }

    fn uri(&self, sandbox: &str, target: &Target, skip: usize, original: &Uri) -> Result<Uri, ProxyError> {
        // The same text may be escaped in other ways: segments are counted instead.
        let path = after_segments(original.path(), skip);
        let slash = if path.starts_with('/') { "" } else { "/" };
        let (mark, query) = original.query().map_or(("", ""), |query| ("?", query));
        let host = resolver::host(sandbox, target.run, target.address.ip());
        format!("http://{host}:{}{slash}{path}{mark}{query}", target.address.port())
            .parse()
            .map_err(|error: axum::http::uri::InvalidUri| ProxyError::Uri(error.to_string()))
    }

    /// Waits for the answer's head. The caller may take long to send; silence on both sides ends the wait. `again` is for
    /// when a kept connection was closed meanwhile.
    async fn send(
        &self,
        request: axum::http::Request<Watched>,
        mut again: Option<axum::http::Request<Watched>>,
        movement: &Movement,
        target: &Target,
    ) -> Result<hyper::Response<ResponseBody>, ProxyError> {
        let mut response = self.client.request(request);
        loop {
            match tokio::time::timeout(self.read_timeout, &mut response).await {
                Ok(Ok(response)) => {
                    connector::answered(&response);
                    return Ok(response);
                }
                Ok(Err(error)) => {
                    if let Some(again) = again.take_if(|_| connector::was_closed(&error)) {
                        response = self.client.request(again);
                        continue;
                    }
                    let (address, cause) = (target.address, root_cause(&error));
                    return Err(if error.is_connect() {
                        ProxyError::Connect { address, cause }
                    } else {
                        ProxyError::Response { address, cause }
                    });
                }
                Err(_) if movement.take() => {}
                Err(_) => {
                    return Err(ProxyError::Timeout { address: target.address, waited: self.read_timeout });
                }
            }
        }
    }

    fn answer(&self, response: hyper::Response<ResponseBody>, mount: &str, visit: Visit) -> Response {
        let (mut parts, body) = response.into_parts();
        headers::incoming(&mut parts.headers, mount);
        let mut answer =
            Response::new(Body::new(Held::new(TimeoutBody::new(self.read_timeout, body), visit)));
        *answer.status_mut() = parts.status;
        *answer.headers_mut() = parts.headers;
        answer
    }
}

/// The same request without its body.
fn again(request: &axum::http::Request<Watched>) -> axum::http::Request<Watched> {
    let (body, _) = Watched::new(Body::empty());
    let mut again = Request::new(()).map(|()| body);
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    again
}

fn address_header(target: &Target) -> Option<HeaderValue> {
    HeaderValue::try_from(target.address.to_string()).ok()
}

/// What follows the first `count` segments of `path`, with its slash.
fn after_segments(path: &str, count: usize) -> &str {
    path.match_indices('/').nth(count).map_or("", |(slash, _)| &path[slash..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_mount_is_forwarded_as_it_was_written() {
        let mount = "/v1/sandboxes/s/proxy/80";
        for (path, rest) in [
            ("/v1/sandboxes/s/proxy/80", ""),
            ("/v1/sandboxes/s/proxy/80/", "/"),
            ("/v1/sandboxes/%73/proxy/80/a%2Fb/../c//d", "/a%2Fb/../c//d"),
        ] {
            assert_eq!(after_segments(path, mount.matches('/').count()), rest);
        }
    }
}
