//! Where a sandbox's ports are reached.

use std::collections::BTreeMap;

use axum::{
    Json as JsonBody,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header::HOST},
    response::AppendHeaders,
};
use sandkeep_specs::lifecycle::{
    EGRESS_AUTH_HEADER, Endpoint, ErrorResponse, INGRESS_HEADER, SECURE_ACCESS_HEADER,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        access::announced_target,
        error::ApiError,
        extract::{Port, Query, SandboxId},
        gateway::now,
        state::{API_MOUNT, ApiState},
    },
    config::GatewayConfig,
    gateway::{Mode, Route},
    proxy::{EXECD_PORT, EXECD_TOKEN_HEADER},
    sandbox::{SIDECAR_PORT, Target},
};

/// Says on an answer where its sandbox came from.
const ORIGIN: HeaderName = HeaderName::from_static("open-sandbox-origin");
const FROM_TEMPLATE: HeaderValue = HeaderValue::from_static("template");

type Origin = AppendHeaders<Option<(HeaderName, HeaderValue)>>;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default().routes(routes!(get_sandbox_endpoint))
}

/// Find a port
///
/// Says where a port of a sandbox is reached, directly or through this server, and which headers every request to it
/// must carry.
#[utoipa::path(
    get,
    path = "/v1/sandboxes/{sandboxId}/endpoints/{port}",
    tag = "Sandboxes",
    params(
        ("sandboxId" = String, Path, description = "Identifier of the sandbox."),
        ("port" = u16, Path, description = "Port inside the sandbox; 44772 is its execd.", minimum = 1, maximum = 65535),
        ("use_server_proxy" = Option<bool>, Query, description = "Go through this server instead of to the sandbox itself."),
        ("expires" = Option<String>, Query,
            description = "Seconds since 1970 until which the answered address alone opens the port; needs the gateway \
                           and its keys.",
            pattern = "^(0|[1-9][0-9]*)$", min_length = 1, max_length = 20),
    ),
    responses(
        (status = 200, description = "Where the port is.", body = Endpoint,
            headers(("OPEN-SANDBOX-ORIGIN" = String,
                description = "`template` for a sandbox that came from one, absent for others."))),
        (status = 400, description = "The port or a parameter is wrong.", body = ErrorResponse),
        (status = 404, description = "There is no such sandbox, or it does not run.", body = ErrorResponse),
    ),
)]
async fn get_sandbox_endpoint(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
    Port(port): Port,
    query: Query,
    uri: Uri,
    headers: HeaderMap,
) -> Result<(Origin, JsonBody<Endpoint>), ApiError> {
    let through_server = query.flag("use_server_proxy")?;
    let expires = query.one("expires").map(|text| expires(text, now())).transpose()?;
    if through_server && expires.is_some() {
        return Err(ApiError::invalid("expires", "cannot stand beside use_server_proxy"));
    }
    let target = announced_target(&state.service, &id, port)?;
    let is_from_template = state.service.get(&id)?.plan.template.is_some();
    let origin = AppendHeaders(is_from_template.then_some((ORIGIN, FROM_TEMPLATE)));
    if !through_server {
        let endpoint = match &state.gateway {
            Some(gateway) => gated(gateway, state.gate.is_public(&target), &id, &target, expires)?,
            None if expires.is_some() => {
                return Err(ApiError::not_supported(
                    "expires",
                    "signed routes need ingress.mode = \"gateway\"",
                ));
            }
            None => direct(&target, port),
        };
        return Ok((origin, JsonBody(endpoint)));
    }
    let base = match &state.announced_host {
        Some(host) => announced_base(host),
        None => format!("{}{API_MOUNT}", own_host(&uri, &headers)?),
    };
    Ok((origin, JsonBody(proxied(&base, &id, port, &target))))
}

/// The instant a signed route ends.
fn expires(text: &str, now: u64) -> Result<u64, ApiError> {
    let is_decimal =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    match text.parse::<u64>() {
        Ok(at) if is_decimal && at > now => Ok(at),
        Ok(_) if is_decimal => Err(ApiError::invalid("expires", "must be in the future")),
        _ => Err(ApiError::invalid("expires", "must be decimal seconds since 1970, at most 2^64 - 1")),
    }
}

/// The port's address at the gateway. One that is signed needs no header that opens it.
fn gated(
    gateway: &GatewayConfig,
    is_public: bool,
    id: &str,
    target: &Target,
    expires: Option<u64>,
) -> Result<Endpoint, ApiError> {
    let port = target.address.port();
    let stamp = match (expires, &gateway.keys) {
        (None, _) => None,
        (Some(at), Some(keys)) => Some(keys.sign(id, port, at)),
        (Some(_), None) => {
            return Err(ApiError::not_supported("expires", "signed routes need ingress.secure_access"));
        }
    };
    let mut headers = BTreeMap::new();
    if stamp.is_none() {
        headers.extend(own_token(target, port).unwrap_or_default());
        if !is_public {
            headers.insert(SECURE_ACCESS_HEADER.to_owned(), target.access_token.clone());
        }
    }
    let route = Route { sandbox: id.to_owned(), port, stamp };
    let host = &gateway.host;
    let endpoint = match &gateway.mode {
        Mode::Wildcard { .. } => {
            let label = route.label().map_err(|problem| ApiError::invalid("expires", problem))?;
            format!("{label}.{host}")
        }
        Mode::Uri { prefix } => format!("{host}{prefix}{}", route.path()),
        Mode::Header => {
            headers.insert(INGRESS_HEADER.to_owned(), route.token());
            host.clone()
        }
    };
    Ok(Endpoint { endpoint, headers: (!headers.is_empty()).then_some(headers) })
}

fn direct(target: &Target, port: u16) -> Endpoint {
    Endpoint { endpoint: target.address.to_string(), headers: own_token(target, port) }
}

/// The access token goes to the proxy, which keeps it from the sandbox.
fn proxied(base: &str, id: &str, port: u16, target: &Target) -> Endpoint {
    let mut headers = own_token(target, port).unwrap_or_default();
    headers.insert(SECURE_ACCESS_HEADER.to_owned(), target.access_token.clone());
    Endpoint { endpoint: format!("{base}/sandboxes/{id}/proxy/{port}"), headers: Some(headers) }
}

/// What the platform's own servers in a sandbox want to see.
fn own_token(target: &Target, port: u16) -> Option<BTreeMap<String, String>> {
    let (header, token) = match port {
        EXECD_PORT => (EXECD_TOKEN_HEADER, &target.execd_token),
        SIDECAR_PORT => (EGRESS_AUTH_HEADER, target.egress_token.as_ref()?),
        _ => return None,
    };
    Some(BTreeMap::from([(header.to_owned(), token.clone())]))
}

fn announced_base(host: &str) -> String {
    let host = host.trim_end_matches('/');
    if host.ends_with(API_MOUNT) { host.to_owned() } else { format!("{host}{API_MOUNT}") }
}

fn own_host(uri: &Uri, headers: &HeaderMap) -> Result<String, ApiError> {
    let named = uri.authority().map(|authority| authority.as_str());
    let host = named.or_else(|| headers.get(HOST)?.to_str().ok()).filter(|host| !host.is_empty());
    host.map(str::to_owned).ok_or_else(|| ApiError::invalid("Host", "is needed to say where this server is"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{gateway::SigningKeys, sandbox::Openness};

    #[test]
    fn an_announced_host_gets_the_mount_once() {
        assert_eq!(announced_base("203.0.113.9:8080"), "203.0.113.9:8080/v1");
        assert_eq!(announced_base("gw.example/box/"), "gw.example/box/v1");
        assert_eq!(announced_base("gw.example/v1/"), "gw.example/v1");
    }

    #[test]
    fn signed_routes_end_in_the_future() {
        assert_eq!(expires("101", 100), Ok(101));
        assert_eq!(expires("18446744073709551615", 100), Ok(u64::MAX));
        for text in ["100", "0", "", "0200", "-1", "+200", "1e9", "18446744073709551616", "2000-01-01"] {
            assert!(expires(text, 100).unwrap_err().message.starts_with("expires: "), "{text}");
        }
    }

    #[test]
    fn the_gateways_addresses_follow_its_mode() {
        let target = Target {
            address: ([10, 0, 0, 7], 8080).into(),
            run: 0,
            execd_token: "execd".to_owned(),
            access_token: "access".to_owned(),
            egress_token: Some("egress".to_owned()),
            openness: Openness::Default,
            reachable: true,
        };
        let keys = SigningKeys::new("a", [("a".to_owned(), b"secret".to_vec())]).unwrap();
        let of = |mode: Mode, expires| {
            let gateway =
                GatewayConfig { host: "gw.example".to_owned(), mode, listen: None, keys: Some(keys.clone()) };
            let endpoint = gated(&gateway, false, "my-sandbox", &target, expires).unwrap();
            (endpoint.endpoint, endpoint.headers.unwrap_or_default())
        };
        let wildcard = Mode::Wildcard { domain: "gw.example".to_owned() };
        let uri = Mode::Uri { prefix: "/box".to_owned() };
        let token = BTreeMap::from([(SECURE_ACCESS_HEADER.to_owned(), "access".to_owned())]);
        assert_eq!(of(wildcard.clone(), None), ("my-sandbox-8080.gw.example".to_owned(), token.clone()));
        assert_eq!(of(uri.clone(), None), ("gw.example/box/my-sandbox/8080".to_owned(), token));
        let (address, headers) = of(Mode::Header, None);
        assert_eq!((address.as_str(), headers[INGRESS_HEADER].as_str()), ("gw.example", "my-sandbox-8080"));
        let end = Some(2_000_000_000);
        let none = BTreeMap::new();
        assert_eq!(
            of(wildcard, end),
            ("my-sandbox-8080-x2qxvk-09d19c6ea.gw.example".to_owned(), none.clone())
        );
        assert_eq!(of(uri, end), ("gw.example/box/my-sandbox/8080/x2qxvk/09d19c6ea".to_owned(), none));
        let header =
            BTreeMap::from([(INGRESS_HEADER.to_owned(), "my-sandbox-8080-x2qxvk-09d19c6ea".to_owned())]);
        assert_eq!(of(Mode::Header, end), ("gw.example".to_owned(), header));
    }

    #[test]
    fn only_the_platforms_ports_get_their_tokens() {
        let target = Target {
            address: ([10, 0, 0, 7], 80).into(),
            run: 0,
            execd_token: "execd".to_owned(),
            access_token: "access".to_owned(),
            egress_token: Some("egress".to_owned()),
            openness: Openness::Default,
            reachable: true,
        };
        assert_eq!(direct(&target, 80), Endpoint { endpoint: "10.0.0.7:80".to_owned(), headers: None });
        assert_eq!(direct(&target, EXECD_PORT).headers.unwrap()[EXECD_TOKEN_HEADER], "execd");
        assert_eq!(direct(&target, SIDECAR_PORT).headers.unwrap()[EGRESS_AUTH_HEADER], "egress");
        let proxied = proxied("host/v1", "id", 80, &target);
        assert_eq!(proxied.endpoint, "host/v1/sandboxes/id/proxy/80");
        assert_eq!(
            proxied.headers.unwrap().into_iter().collect::<Vec<_>>(),
            [(SECURE_ACCESS_HEADER.to_owned(), "access".to_owned())]
        );
    }
}
