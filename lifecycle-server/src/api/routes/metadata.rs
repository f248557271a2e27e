//! Change a sandbox's metadata.

use axum::{Json as JsonBody, extract::State};
use sandkeep_specs::lifecycle::{ErrorResponse, PatchSandboxMetadataRequest, Sandbox};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{
    error::ApiError,
    extract::{Json, SandboxId},
    map,
    state::ApiState,
    validate,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default().routes(routes!(patch_sandbox_metadata))
}

/// Change metadata
///
/// The body is a merge patch: a string sets a key, null removes it, absent keys stay.
#[utoipa::path(
    patch,
    path = "/v1/sandboxes/{sandboxId}/metadata",
    tag = "Sandboxes",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    request_body(content = PatchSandboxMetadataRequest, example = json!({"stage": "test", "project": null})),
    responses(
        (status = 200, description = "The sandbox with its new metadata.", body = Sandbox),
        (status = 400, description = "A key or value is wrong, or all of them together are more than 256 KiB; the message says so.", body = ErrorResponse),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
        (status = 409, description = "The sandbox's state does not allow it.", body = ErrorResponse),
    ),
)]
async fn patch_sandbox_metadata(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
    Json(PatchSandboxMetadataRequest(patch)): Json<PatchSandboxMetadataRequest>,
) -> Result<JsonBody<Sandbox>, ApiError> {
    let patch = validate::metadata_patch(patch)?;
    let record = state.service.patch_metadata(&id, patch).await?;
    Ok(JsonBody(map::sandbox(&record)))
}
