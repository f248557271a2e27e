//! What a sandbox uses.

use axum::{Json as JsonBody, extract::State};
use sandkeep_specs::lifecycle::{ErrorResponse, SandboxMetrics};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{error::ApiError, extract::SandboxId, map, state::ApiState};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default().routes(routes!(get_sandbox_metrics))
}

/// Use of resources
///
/// As the host counts it, for all processes of the sandbox. An extension of the common contract.
#[utoipa::path(
    get,
    path = "/v1/sandboxes/{sandboxId}/metrics",
    tag = "Metrics",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    responses(
        (status = 200, description = "What it uses now.", body = SandboxMetrics),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
        (status = 409, description = "The sandbox has no processes in its present state.", body = ErrorResponse),
    ),
)]
async fn get_sandbox_metrics(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
) -> Result<JsonBody<SandboxMetrics>, ApiError> {
    let usage = state.service.usage(&id).await?;
    let limits = state.service.limits(&*state.service.get(&id)?);
    Ok(JsonBody(map::usage(&usage, limits)))
}
