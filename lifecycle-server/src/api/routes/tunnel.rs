//! TCP connections into sandboxes: an extension of the common contract.

use axum::{
    extract::{
        State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::HeaderMap,
    response::Response,
};
use sandkeep_specs::lifecycle::ErrorResponse;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        access::reachable_target,
        error::ApiError,
        extract::{Port, SandboxId},
        state::ApiState,
    },
    proxy::tcp,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default().routes(routes!(open_tunnel))
}

/// Open a TCP connection to a port
///
/// Answers a WebSocket handshake once the port has accepted a connection. Binary messages of at most 1 MiB then carry
/// bytes both ways; their bounds mean nothing. An empty message says that its sender sends no more, while the other
/// direction goes on; when both have ended, the server closes with 1000. It closes with 1011 when the sandbox broke the
/// connection. Always needs the API key or the access token, also for public ports.
#[utoipa::path(
    get,
    path = "/v1/sandboxes/{sandboxId}/tunnel/{port}",
    tag = "Proxy",
    security(("apiKeyAuth" = [])),
    params(
        ("sandboxId" = String, Path, description = "Identifier of the sandbox."),
        ("port" = u16, Path, description = "Port inside the sandbox.", minimum = 1, maximum = 65535),
        ("OpenSandbox-Secure-Access" = Option<String>, Header,
            description = "Token from the sandbox's endpoint; stands in for the API key."),
    ),
    responses(
        (status = 101, description = "Connected; messages follow."),
        (status = 400, description = "This is no WebSocket handshake.", body = ErrorResponse),
        (status = 401, description = "The proof is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "There is no such sandbox, or it does not run.", body = ErrorResponse),
        (status = 502, description = "Nothing accepts connections on the port.", body = ErrorResponse),
        (status = 503, description = "The server carries as many connections as it may.", body = ErrorResponse),
        (status = 504, description = "The port did not accept in time.", body = ErrorResponse),
    ),
)]
async fn open_tunnel(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
    Port(port): Port,
    headers: HeaderMap,
    handshake: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let has_key = state.gate.has_key(&state, &headers, &id).await?;
    let target = reachable_target(&state.service, &id, port)?;
    state.gate.admit_proven(has_key, &headers, &target)?;
    let handshake = handshake.map_err(|error| ApiError::invalid("Upgrade", error.body_text()))?;
    let permit = state.proxy.upgrade_permit()?;
    let visit = state.service.visit(&id).await?;
    let stream = state.proxy.connect(&target).await?;
    state.renew.used(&state.service, &id, &headers);
    let handshake = handshake.max_message_size(tcp::MAX_MESSAGE).max_frame_size(tcp::MAX_MESSAGE);
    Ok(handshake.on_upgrade(async move |socket| {
        tcp::carry(socket, stream).await;
        drop((permit, visit));
    }))
}
