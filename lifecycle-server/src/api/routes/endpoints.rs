//! Where a sandbox's ports are reached.

use std::collections::BTreeMap;

use axum::{
    Json as JsonBody,
    extract::State,
    http::{HeaderMap, Uri, header::HOST},
};
use sandkeep_specs::lifecycle::{Endpoint, ErrorResponse, SECURE_ACCESS_HEADER};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        access::announced_target,
        error::ApiError,
        extract::{Port, Query, SandboxId},
        state::ApiState,
    },
    proxy::{EXECD_PORT, EXECD_TOKEN_HEADER},
    sandbox::Target,
};

const MOUNT: &str = "/v1";

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
            description = "For signed routes, which this server does not offer.",
            pattern = "^(0|[1-9][0-9]*)$", min_length = 1, max_length = 20),
    ),
    responses(
        (status = 200, description = "Where the port is.", body = Endpoint,
            headers(("OPEN-SANDBOX-ORIGIN" = String,
                description = "Where the sandbox came from, if not from an image."))),
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
) -> Result<JsonBody<Endpoint>, ApiError> {
    let through_server = query.flag("use_server_proxy")?;
    if query.one("expires").is_some() {
        return Err(ApiError::not_supported("expires", "signed routes are not available on this server"));
    }
    let target = announced_target(&state.service, &id, port)?;
    if !through_server {
        return Ok(JsonBody(direct(&target, port)));
    }
    let base = match &state.announced_host {
        Some(host) => announced_base(host),
        None => format!("{}{MOUNT}", own_host(&uri, &headers)?),
    };
    Ok(JsonBody(proxied(&base, &id, port, &target)))
}

fn direct(target: &Target, port: u16) -> Endpoint {
    Endpoint { endpoint: target.address.to_string(), headers: execd_token(target, port) }
}

/// The access token goes to the proxy, which keeps it from the sandbox.
fn proxied(base: &str, id: &str, port: u16, target: &Target) -> Endpoint {
    let mut headers = execd_token(target, port).unwrap_or_default();
    headers.insert(SECURE_ACCESS_HEADER.to_owned(), target.access_token.clone());
    Endpoint { endpoint: format!("{base}/sandboxes/{id}/proxy/{port}"), headers: Some(headers) }
}

fn execd_token(target: &Target, port: u16) -> Option<BTreeMap<String, String>> {
    (port == EXECD_PORT)
        .then(|| BTreeMap::from([(EXECD_TOKEN_HEADER.to_owned(), target.execd_token.clone())]))
}

fn announced_base(host: &str) -> String {
    let host = host.trim_end_matches('/');
    if host.ends_with(MOUNT) { host.to_owned() } else { format!("{host}{MOUNT}") }
}

fn own_host(uri: &Uri, headers: &HeaderMap) -> Result<String, ApiError> {
    let named = uri.authority().map(|authority| authority.as_str());
    let host = named.or_else(|| headers.get(HOST)?.to_str().ok()).filter(|host| !host.is_empty());
    host.map(str::to_owned).ok_or_else(|| ApiError::invalid("Host", "is needed to say where this server is"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Openness;

    #[test]
    fn an_announced_host_gets_the_mount_once() {
        assert_eq!(announced_base("203.0.113.9:8080"), "203.0.113.9:8080/v1");
        assert_eq!(announced_base("gw.example/box/"), "gw.example/box/v1");
        assert_eq!(announced_base("gw.example/v1/"), "gw.example/v1");
    }

    #[test]
    fn only_execds_port_gets_execds_token() {
        let target = Target {
            address: ([10, 0, 0, 7], 80).into(),
            execd_token: "execd".to_owned(),
            access_token: "access".to_owned(),
            openness: Openness::Default,
            reachable: true,
        };
        assert_eq!(direct(&target, 80), Endpoint { endpoint: "10.0.0.7:80".to_owned(), headers: None });
        assert_eq!(direct(&target, EXECD_PORT).headers.unwrap()[EXECD_TOKEN_HEADER], "execd");
        let proxied = proxied("host/v1", "id", 80, &target);
        assert_eq!(proxied.endpoint, "host/v1/sandboxes/id/proxy/80");
        assert_eq!(
            proxied.headers.unwrap().into_iter().collect::<Vec<_>>(),
            [(SECURE_ACCESS_HEADER.to_owned(), "access".to_owned())]
        );
    }
}
