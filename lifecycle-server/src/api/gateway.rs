//! The gateway: ports of sandboxes under addresses of their own, forwarded as they are.
//!
//! Errors are plain text: whoever is at the other end speaks with a sandbox's program, not with this server's API.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use axum::{
    Extension, Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header::HOST},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use sandkeep_specs::lifecycle::{INGRESS_HEADER, SECURE_ACCESS_HEADER};
use tower::ServiceExt;

use super::{
    access::{Credential, execd_credential, has_token, reachable_target},
    error::{ApiError, Code},
    layers::{self, Limit, RouteName},
    state::ApiState,
};
use crate::{
    config::GatewayConfig,
    gateway::{Malformed, Mode, Route, Verdict, from_label, from_path},
    proxy::{EXECD_PORT, Front, Incoming, RELAYED, is_from_gateway},
    sandbox::{Place, Scope, Target},
    store::Kind,
};

/// An older name of the header that carries the route.
const OLD_INGRESS_HEADER: &str = "OPEN-SANDBOX-INGRESS";
/// Says on every answer that it came this way.
const POWERED_BY: HeaderName = HeaderName::from_static("reverse-proxy-server-powerby");
const POWERED_BY_VALUE: HeaderValue = HeaderValue::from_static("OpenSandbox-ingress");
/// Before every text of our own.
const PREFIX: &str = "OpenSandbox Ingress: ";

/// A gateway on a listener of its own, which takes every request for one to a sandbox.
pub(super) fn router(state: ApiState) -> Router {
    Router::new()
        .fallback(serve)
        .layer(from_fn_with_state(Limit::new(state.limit_concurrency), layers::limit))
        .layer(from_fn_with_state(state.telemetry.clone(), layers::observe))
        .layer(Extension(RouteName("(gateway)")))
        .with_state(state)
}

/// What stands in front of the API: of two that share a listener, or for what other servers' gateways pass on.
#[derive(Clone)]
pub(super) struct Divert {
    gateway: Arc<GatewayConfig>,
    router: Router,
}

impl Divert {
    pub(super) fn new(gateway: Arc<GatewayConfig>, state: ApiState) -> Self {
        Self { gateway, router: router(state) }
    }
}

/// Takes the gateway's requests out before the API sees them.
pub(super) async fn divert(State(divert): State<Divert>, request: Request, next: Next) -> Response {
    let is_shared = divert.gateway.listen.is_none();
    let is_ours = is_from_gateway(request.headers())
        || is_shared && is_for_gateway(&divert.gateway.mode, request.uri(), request.headers());
    if !is_ours {
        return next.run(request).await;
    }
    match divert.router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// On a shared listener only what is clearly the gateway's is taken for it.
fn is_for_gateway(mode: &Mode, uri: &Uri, headers: &HeaderMap) -> bool {
    match mode {
        Mode::Wildcard { domain } => label(domain, uri, headers).is_some(),
        Mode::Header => ingress_header(headers).is_some(),
        Mode::Uri { prefix } => {
            without_prefix(prefix, uri.path()).is_some_and(|path| from_path(path).is_ok())
        }
    }
}

async fn serve(
    State(state): State<ApiState>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Request,
) -> Response {
    let mut response = match forward(&state, peer, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    };
    response.headers_mut().insert(POWERED_BY, POWERED_BY_VALUE);
    response
}

async fn forward(
    state: &ApiState,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Request,
) -> Result<Response, Refusal> {
    let gateway =
        state.gateway.as_ref().ok_or(Refusal(StatusCode::NOT_FOUND, "there is no gateway".to_owned()))?;
    let route = read(&gateway.mode, request.uri(), request.headers())?;
    let id = &route.sandbox;
    if let Some(relay) = state.relay.as_ref().filter(|_| !request.headers().contains_key(RELAYED))
        && let Place::There(address) =
            state.service.locate(&Scope::All, Kind::Sandbox, id).await.map_err(ApiError::from)?
    {
        return Ok(relay.pass(&address, Front::Gateway, request).await.map_err(ApiError::from)?);
    }
    let target = reachable_target(&state.service, id, route.port).map_err(not_there)?;
    let (credential, is_signed) = admit(state, gateway, &route, &target, request.headers()).await?;
    let visit = state.service.visit(id).await.map_err(ApiError::from)?;
    state.renew.used(&state.service, id, request.headers());
    let (mount, skip) = mount(&gateway.mode, &route, is_signed, request.uri().path());
    let incoming = Incoming {
        sandbox: id,
        target: &target,
        mount: &mount,
        skip,
        front: Front::Gateway,
        peer: peer.map(|Extension(ConnectInfo(peer))| peer.ip()),
        credential,
        visit,
        request,
    };
    Ok(state.proxy.forward(incoming).await.map_err(ApiError::from)?)
}

/// Where the port's root is seen from outside, and how many segments of the request's path lead to it.
fn mount(mode: &Mode, route: &Route, is_signed: bool, path: &str) -> (String, usize) {
    let Mode::Uri { prefix } = mode else { return (String::new(), 0) };
    let own = Route { stamp: route.stamp.clone().filter(|_| is_signed), ..route.clone() }.path();
    let seen = if without_prefix(prefix, path).is_some() { prefix.matches('/').count() } else { 0 };
    (format!("{prefix}{own}"), seen + own.matches('/').count())
}

fn read(mode: &Mode, uri: &Uri, headers: &HeaderMap) -> Result<Route, Malformed> {
    match mode {
        Mode::Wildcard { domain } => match label(domain, uri, headers) {
            Some(label) => from_label(&label),
            None => Err(Malformed("the host is not below this gateway's domain")),
        },
        Mode::Header => match ingress_header(headers) {
            Some(token) => from_label(first_label(token)),
            None => {
                let host = host(uri, headers).ok_or(Malformed("there is neither a route nor a host"))?;
                from_label(first_label(&host))
            }
        },
        Mode::Uri { prefix } => {
            // A proxy in front may take the announced prefix away.
            let path = without_prefix(prefix, uri.path()).unwrap_or_else(|| uri.path());
            from_path(path)
        }
    }
}

/// Lets a request pass or not; also tells whether its route's signature was what counted. A token that is shown must be
/// right, whatever else would open the port.
async fn admit(
    state: &ApiState,
    gateway: &GatewayConfig,
    route: &Route,
    target: &Target,
    headers: &HeaderMap,
) -> Result<(Option<Credential>, bool), Refusal> {
    let unauthorized = |text: &str| Refusal(StatusCode::UNAUTHORIZED, text.to_owned());
    let is_signed = route.stamp.is_some() && !state.gate.is_public(target);
    let is_proven = match (has_token(headers, target), &route.stamp) {
        (Some(true), _) => true,
        (Some(false), _) => {
            return Err(unauthorized(&format!("{SECURE_ACCESS_HEADER}: this is not the token")));
        }
        (None, Some(stamp)) if is_signed => {
            let keys = gateway.keys.as_ref().ok_or_else(|| {
                Refusal(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "no keys for signed routes are configured".to_owned(),
                )
            })?;
            match keys.verify(&route.sandbox, route.port, stamp, now()) {
                Verdict::Valid => true,
                Verdict::Expired => return Err(unauthorized("the signature has expired")),
                Verdict::Wrong => return Err(unauthorized("the signature is wrong")),
            }
        }
        // A key of somebody else opens nothing here, and neither does one that cannot be looked up.
        (None, _) => state.gate.has_key(state, headers, &route.sandbox).await.unwrap_or(false),
    };
    match (is_proven, route.port) {
        (true, EXECD_PORT) => Ok((Some(execd_credential(target)?), is_signed)),
        (true, _) | (false, EXECD_PORT) => Ok((None, is_signed)),
        (false, _) if state.gate.is_public(target) => Ok((None, is_signed)),
        (false, _) => Err(unauthorized("the port needs a token or a signature")),
    }
}

/// The host's first label, if the rest is the gateway's domain.
fn label(domain: &str, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let host = host(uri, headers)?;
    let (label, rest) = host.split_once('.')?;
    (rest == domain && !label.is_empty()).then(|| label.to_owned())
}

/// The host's name in lower case, without its port.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let named = uri.authority().map(|authority| authority.as_str());
    let host = match named {
        Some(host) => host,
        None => headers.get(HOST)?.to_str().ok()?,
    };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    Some(name.trim_end_matches('.').to_ascii_lowercase())
}

fn ingress_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(INGRESS_HEADER).or_else(|| headers.get(OLD_INGRESS_HEADER))?.to_str().ok()
}

fn first_label(text: &str) -> &str {
    text.split(['.', ':']).next().unwrap_or_default()
}

fn without_prefix<'a>(prefix: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.starts_with('/'))
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs())
}

/// Why a request went no further.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, format!("{PREFIX}{}\n", self.1)).into_response()
    }
}

impl From<Malformed> for Refusal {
    fn from(problem: Malformed) -> Self {
        Self(StatusCode::BAD_REQUEST, problem.to_string())
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self(error.status(), error.message)
    }
}

/// A sandbox that is on its way, paused or over is not a backend's failure, and none that does not exist.
fn not_there(error: ApiError) -> Refusal {
    let status = match error.code {
        Code::BackendConnectionFailed | Code::NotReachable => StatusCode::SERVICE_UNAVAILABLE,
        _ => error.status(),
    };
    Refusal(status, error.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_shared_listener_gives_away_only_what_is_the_gateways() {
        let wildcard = Mode::Wildcard { domain: "box.example".to_owned() };
        let uri = Mode::Uri { prefix: "/gw".to_owned() };
        for (mode, path, sent, expected) in [
            (&wildcard, "/v1/sandboxes", headers(&[("host", "s-80.Box.Example:8080")]), true),
            (&wildcard, "http://s-80.box.example/x", headers(&[]), true),
            (&wildcard, "/", headers(&[("host", "box.example")]), false),
            (&wildcard, "/", headers(&[("host", "a.s-80.box.example")]), false),
            (&wildcard, "/", headers(&[]), false),
            (&Mode::Header, "/", headers(&[("opensandbox-ingress-to", "s-80")]), true),
            (&Mode::Header, "/", headers(&[("open-sandbox-ingress", "s-80")]), true),
            (&Mode::Header, "/", headers(&[("host", "s-80.x")]), false),
            (&uri, "/gw/s/80/x", headers(&[]), true),
            (&uri, "/gw/s/x", headers(&[]), false),
            (&uri, "/v1/sandboxes", headers(&[]), false),
        ] {
            let (uri, what) = (path.parse().unwrap(), format!("{mode:?} {path} {sent:?}"));
            assert_eq!(is_for_gateway(mode, &uri, &sent), expected, "{what}");
        }
    }

    #[test]
    fn a_signature_is_part_of_the_mount_only_where_it_counts() {
        let mode = Mode::Uri { prefix: "/gw".to_owned() };
        let route = from_path("/s/80/x2qxvk/09d19c6ea/a").unwrap();
        let of = |is_signed, path| mount(&mode, &route, is_signed, path);
        assert_eq!(of(true, "/gw/s/80/x2qxvk/09d19c6ea/a"), ("/gw/s/80/x2qxvk/09d19c6ea".to_owned(), 5));
        assert_eq!(of(false, "/gw/s/80/x2qxvk/09d19c6ea/a"), ("/gw/s/80".to_owned(), 3));
        assert_eq!(of(false, "/s/80/x"), ("/gw/s/80".to_owned(), 2));
        assert_eq!(mount(&Mode::Header, &route, true, "/x"), (String::new(), 0));
    }

    #[test]
    fn routes_are_read_where_the_mode_says() {
        let named = |mode: &Mode, path: &str, sent: &[(&'static str, &'static str)]| {
            read(mode, &path.parse().unwrap(), &headers(sent)).map(|route| (route.sandbox, route.port))
        };
        let expected = Ok(("s".to_owned(), 80));
        let uri = Mode::Uri { prefix: "/gw".to_owned() };
        assert_eq!(named(&uri, "/gw/s/80/x", &[]), expected);
        assert_eq!(named(&uri, "/s/80/x", &[]), expected, "the prefix was taken away before");
        assert_eq!(named(&Mode::Header, "/", &[("opensandbox-ingress-to", "s-80.any.thing")]), expected);
        assert_eq!(named(&Mode::Header, "/", &[("host", "s-80.any.thing:1")]), expected);
        assert!(named(&Mode::Header, "/", &[("host", "gateway")]).is_err());
    }
}
