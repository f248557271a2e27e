//! Requests that go on into a sandbox.

use std::net::SocketAddr;

use axum::{
    Extension,
    extract::{ConnectInfo, Request, State, ws::close_code},
    http::{HeaderValue, Method, StatusCode, header::ALLOW},
    response::{IntoResponse, Response},
};
use sandkeep_specs::lifecycle::ErrorResponse;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        access::reachable_target,
        error::{ApiError, Code},
        extract::{Port, SandboxId},
        state::ApiState,
    },
    proxy::{Front, Handshake, Incoming, ProxyError},
};

const METHODS: HeaderValue = HeaderValue::from_static("DELETE, GET, PATCH, POST, PUT");

/// Segments of `/v1/sandboxes/{sandboxId}/proxy/{port}`.
const MOUNT_SEGMENTS: usize = 5;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(proxy_get, proxy_post, proxy_put, proxy_patch, proxy_delete))
        .routes(routes!(proxy_get_path, proxy_post_path, proxy_put_path, proxy_patch_path, proxy_delete_path))
        // The same as the first; a parameter that spans segments doesn't match none.
        .route(
            "/v1/sandboxes/{sandboxId}/proxy/{port}/",
            axum::routing::get(forward).post(forward).put(forward).patch(forward).delete(forward),
        )
}

macro_rules! proxied {
    ($name:ident, $method:ident, $path:tt, $summary:tt, ($($param:tt)*), ($($body:tt)*)) => {
        #[doc = $summary]
        #[utoipa::path(
            $method,
            path = $path,
            tag = "Proxy",
            security((), ("apiKeyAuth" = [])),
            params(
                ("sandboxId" = String, Path, description = "Identifier of the sandbox."),
                ("port" = u16, Path, description = "Port inside the sandbox.", minimum = 1, maximum = 65535),
                $($param)*
                ("OpenSandbox-Secure-Access" = Option<String>, Header,
                    description = "Token from the sandbox's endpoint; stands in for the API key."),
                ("OpenSandbox-Access-Renew" = Option<String>, Header,
                    description = "`skip` keeps this request from renewing the sandbox."),
            ),
            $($body)*
            responses(
                (status = 200, description = "What the sandbox answered.", content_type = "*/*"),
                (status = "default", description = "What the sandbox answered.", content_type = "*/*"),
                (status = 401, description = "The port needs a proof that is missing or wrong.", body = ErrorResponse),
                (status = 404, description = "There is no such sandbox, or it does not run.", body = ErrorResponse),
                (status = 502, description = "Nothing answers on the port, or it broke off.", body = ErrorResponse),
                (status = 504, description = "The port was silent for too long.", body = ErrorResponse),
            ),
        )]
        async fn $name(
            state: State<ApiState>,
            id: SandboxId,
            port: Port,
            peer: Option<Extension<ConnectInfo<SocketAddr>>>,
            request: Request,
        ) -> Result<Response, ApiError> {
            forward(state, id, port, peer, request).await
        }
    };
}

macro_rules! proxied_below {
    ($name:ident, $method:ident, $summary:tt, ($($body:tt)*)) => {
        proxied!(
            $name,
            $method,
            "/v1/sandboxes/{sandboxId}/proxy/{port}/{*path}",
            $summary,
            (("path" = String, Path, description = "Path on the port, slashes included."),),
            ($($body)*)
        );
    };
}

proxied!(
    proxy_get,
    get,
    "/v1/sandboxes/{sandboxId}/proxy/{port}",
    "Forward a GET request or a WebSocket to the root of a port",
    (),
    ()
);

proxied!(
    proxy_post,
    post,
    "/v1/sandboxes/{sandboxId}/proxy/{port}",
    "Forward a POST request to the root of a port",
    (),
    (request_body(content_type = "*/*", description = "Forwarded as it is."),)
);

proxied!(
    proxy_put,
    put,
    "/v1/sandboxes/{sandboxId}/proxy/{port}",
    "Forward a PUT request to the root of a port",
    (),
    (request_body(content_type = "*/*", description = "Forwarded as it is."),)
);

proxied!(
    proxy_patch,
    patch,
    "/v1/sandboxes/{sandboxId}/proxy/{port}",
    "Forward a PATCH request to the root of a port",
    (),
    (request_body(content_type = "*/*", description = "Forwarded as it is."),)
);

proxied!(
    proxy_delete,
    delete,
    "/v1/sandboxes/{sandboxId}/proxy/{port}",
    "Forward a DELETE request to the root of a port",
    (),
    (request_body(content_type = "*/*", description = "Forwarded as it is."),)
);

proxied_below!(proxy_get_path, get, "Forward a GET request or a WebSocket to a path on a port", ());

proxied_below!(
    proxy_post_path,
    post,
    "Forward a POST request to a path on a port",
    (request_body(content_type = "*/*", description = "Forwarded as it is."),)
);

proxied_below!(
    proxy_put_path,
    put,
    "Forward a PUT request to a path on a port",
    (request_body(content_type = "*/*", description = "Forwarded as it is."),)
);

proxied_below!(
    proxy_patch_path,
    patch,
    "Forward a PATCH request to a path on a port",
    (request_body(content_type = "*/*", description = "Forwarded as it is."),)
);

proxied_below!(
    proxy_delete_path,
    delete,
    "Forward a DELETE request to a path on a port",
    (request_body(content_type = "*/*", description = "Forwarded as it is."),)
);

/// Forwards, and tells the end of a WebSocket that could not be in a way its client can read.
async fn forward(
    state: State<ApiState>,
    id: SandboxId,
    port: Port,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Request,
) -> Result<Response, ApiError> {
    if request.method() == Method::HEAD {
        return Ok(head_refused());
    }
    let handshake = Handshake::of(&request);
    let result = forward_any(state, id, port, peer, request).await;
    match (handshake, result) {
        (None, result) => result,
        (Some(_), Ok(response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => Ok(response),
        (Some(handshake), Ok(response)) => {
            let reason = format!("the sandbox answered the handshake with {}", response.status());
            Ok(handshake.refuse(close_code::POLICY, &reason))
        }
        (Some(handshake), Err(error)) => Ok(handshake.refuse(closing(&error), &error.message)),
    }
}

fn closing(error: &ApiError) -> u16 {
    if error.status() == StatusCode::UNAUTHORIZED { close_code::POLICY } else { close_code::ERROR }
}

/// Judges the caller and forwards.
async fn forward_any(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
    Port(port): Port,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Request,
) -> Result<Response, ApiError> {
    let has_key = state.gate.has_key(&state, request.headers(), &id).await?;
    let target = reachable_target(&state.service, &id, port)?;
    let credential = state.gate.admit(has_key, request.headers(), &target)?;
    let visit = state.service.visit(&id).await?;
    state.renew.used(&state.service, &id, request.headers());
    let incoming = Incoming {
        sandbox: &id,
        target: &target,
        mount: &format!("{}/sandboxes/{id}/proxy/{port}", state.announced_mount()),
        skip: MOUNT_SEGMENTS,
        front: Front::Api,
        peer: peer.map(|Extension(ConnectInfo(peer))| peer.ip()),
        credential,
        visit,
        request,
    };
    Ok(state.proxy.forward(incoming).await?)
}

/// The router takes HEAD for a kind of GET; the contract does not.
fn head_refused() -> Response {
    let error = ApiError::new(Code::MethodNotAllowed, "HEAD is not forwarded into sandboxes");
    let mut response = error.into_response();
    response.headers_mut().insert(ALLOW, METHODS);
    response
}

impl From<ProxyError> for ApiError {
    fn from(error: ProxyError) -> Self {
        let code = match error {
            ProxyError::Connect { .. } => Code::BackendConnectionFailed,
            ProxyError::Timeout { .. } => Code::BackendTimeout,
            ProxyError::Response { .. } => Code::BackendResponseFailed,
            ProxyError::TooMany => Code::TooManyRequests,
            ProxyError::NotUpgradable | ProxyError::Uri(_) => Code::InvalidParameter,
        };
        Self::new(code, error.to_string())
    }
}
