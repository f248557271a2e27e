//! Freeze a sandbox, and let it go on.

use axum::{extract::State, http::StatusCode};
use sandkeep_specs::lifecycle::ErrorResponse;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{error::ApiError, extract::SandboxId, state::ApiState};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default().routes(routes!(pause_sandbox)).routes(routes!(resume_sandbox))
}

/// Pause a sandbox
///
/// Freezes every process where it is: memory, files and connections stay, no processor time is used. The sandbox is
/// `Paused` when this answers.
#[utoipa::path(
    post,
    path = "/v1/sandboxes/{sandboxId}/pause",
    tag = "Sandboxes",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    responses(
        (status = 202, description = "The sandbox is paused."),
        (status = 400, description = "This kind of sandbox cannot be paused; no sandbox here is of that kind.",
            body = ErrorResponse),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
        (status = 409, description = "The sandbox does not run.", body = ErrorResponse),
    ),
)]
async fn pause_sandbox(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
) -> Result<StatusCode, ApiError> {
    state.service.pause(&id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Resume a sandbox
///
/// Lets a paused sandbox go on from where it was. It runs when this answers.
#[utoipa::path(
    post,
    path = "/v1/sandboxes/{sandboxId}/resume",
    tag = "Sandboxes",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    responses(
        (status = 202, description = "The sandbox runs again."),
        (status = 400, description = "This kind of sandbox cannot be resumed; no sandbox here is of that kind.",
            body = ErrorResponse),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
        (status = 409, description = "The sandbox is not paused.", body = ErrorResponse),
    ),
)]
async fn resume_sandbox(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
) -> Result<StatusCode, ApiError> {
    state.service.resume(&id).await?;
    Ok(StatusCode::ACCEPTED)
}
