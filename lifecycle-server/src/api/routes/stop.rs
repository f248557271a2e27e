//! Stop a sandbox and start it again; what this host can keep.

use std::collections::BTreeMap;

use axum::{Json as JsonBody, extract::State};
use sandkeep_specs::lifecycle::{
    Capabilities, Capability, ErrorResponse, StartSandboxRequest, StartSandboxResponse, StopSandboxRequest,
    StopSandboxResponse,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{
    error::ApiError,
    extract::{Json, SandboxId},
    state::ApiState,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(stop_sandbox))
        .routes(routes!(start_sandbox))
        .routes(routes!(capabilities))
}

/// Stop a sandbox
///
/// Ends every process and keeps the files, so that the sandbox takes neither memory nor processor time. Its expiry goes
/// on. With `memory`, processes go on where they were after a start, open files and listening sockets included;
/// established connections end. Where the host cannot do that at all (see `/v1/capabilities`), the answer says so.
#[utoipa::path(
    post,
    path = "/v1/sandboxes/{sandboxId}/stop",
    tag = "Sandboxes",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    request_body(content = Option<StopSandboxRequest>, description = "Nothing means that memory is not kept.",
        example = json!({"memory": false})),
    responses(
        (status = 200, description = "The sandbox is stopped.", body = StopSandboxResponse),
        (status = 400, description = "The body is wrong; the message says where.", body = ErrorResponse),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
        (status = 409, description = "The sandbox neither runs nor is paused, or its memory cannot be kept; the message \
            says why, and it goes on.", body = ErrorResponse),
    ),
)]
async fn stop_sandbox(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
    request: Option<Json<StopSandboxRequest>>,
) -> Result<JsonBody<StopSandboxResponse>, ApiError> {
    let wants_memory = request.is_some_and(|Json(request)| request.memory);
    let memory = state.service.stop(&id, wants_memory).await?;
    let reason = if wants_memory && !memory { state.service.memory_stop().await.reason } else { None };
    Ok(JsonBody(StopSandboxResponse { memory, reason }))
}

/// Start a stopped sandbox
///
/// Lets the processes go on where they were if their memory was kept, else runs the sandbox's program from its
/// beginning; on the files as they were, with the same address and tokens.
#[utoipa::path(
    post,
    path = "/v1/sandboxes/{sandboxId}/start",
    tag = "Sandboxes",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    request_body(content = Option<StartSandboxRequest>, description = "Nothing means from its memory if it was kept.",
        example = json!({"memory": true})),
    responses(
        (status = 200, description = "The sandbox runs.", body = StartSandboxResponse),
        (status = 400, description = "The sandbox does not start; it stays stopped, with what was kept.",
            body = ErrorResponse),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
        (status = 409, description = "The sandbox is not stopped.", body = ErrorResponse),
        (status = 429, description = "This host has no room for it now; it stays stopped.", body = ErrorResponse,
            headers(("Retry-After" = u32, description = "Seconds to wait."))),
    ),
)]
async fn start_sandbox(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
    request: Option<Json<StartSandboxRequest>>,
) -> Result<JsonBody<StartSandboxResponse>, ApiError> {
    let memory = request.is_none_or(|Json(request)| request.memory);
    let memory = state.service.start_again(&id, memory).await?;
    Ok(JsonBody(StartSandboxResponse { memory }))
}

/// Capabilities
///
/// What this server can do on its host, found out at its start.
#[utoipa::path(
    get,
    path = "/v1/capabilities",
    tag = "System",
    responses((status = 200, description = "By name.", body = Capabilities)),
)]
async fn capabilities(State(state): State<ApiState>) -> JsonBody<Capabilities> {
    let yes = Capability { available: true, version: None, reason: None };
    let memory = state.service.memory_stop().await;
    let memory =
        Capability { available: memory.reason.is_none(), version: memory.version, reason: memory.reason };
    let named = [("pause", yes.clone()), ("stop", yes), ("stop.memory", memory)];
    let capabilities = named.map(|(name, capability)| (name.to_owned(), capability));
    JsonBody(Capabilities { capabilities: BTreeMap::from(capabilities) })
}
