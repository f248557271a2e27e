//! Move a sandbox's expiry.

use axum::{Json as JsonBody, extract::State};
use sandkeep_specs::lifecycle::{
    ErrorResponse, RenewSandboxExpirationRequest, RenewSandboxExpirationResponse,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{
    error::ApiError,
    extract::{Json, SandboxId},
    state::ApiState,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default().routes(routes!(renew_sandbox_expiration))
}

/// Renew the expiry
///
/// Sets a new moment of expiry, earlier or later than the present one.
#[utoipa::path(
    post,
    path = "/v1/sandboxes/{sandboxId}/renew-expiration",
    tag = "Sandboxes",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    request_body(content = RenewSandboxExpirationRequest, example = json!({"expiresAt": "2099-12-31T23:59:59Z"})),
    responses(
        (status = 200, description = "The new expiry.", body = RenewSandboxExpirationResponse),
        (status = 400, description = "The moment is malformed or not in the future.", body = ErrorResponse),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
        (status = 409, description = "The sandbox never expires.", body = ErrorResponse),
    ),
)]
async fn renew_sandbox_expiration(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
    Json(request): Json<RenewSandboxExpirationRequest>,
) -> Result<JsonBody<RenewSandboxExpirationResponse>, ApiError> {
    let expires_at = state.service.renew(&id, request.expires_at).await?;
    Ok(JsonBody(RenewSandboxExpirationResponse { expires_at }))
}
