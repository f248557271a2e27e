//! What a sandbox may reach outside: read and changed through its egress sidecar.

use axum::{
    Json as JsonBody,
    extract::State,
    http::{HeaderName, HeaderValue, Method, StatusCode},
};
use sandkeep_specs::lifecycle::{
    EGRESS_AUTH_HEADER, ErrorResponse, NetworkPolicy, NetworkRule, PolicyStatusResponse,
};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        error::{ApiError, Code},
        extract::{Json, JsonList, SandboxId},
        state::ApiState,
        validate::check_rules,
    },
    proxy::Question,
    sandbox::{Denial, SIDECAR_PORT, ServiceError, State as Phase},
};

/// The sidecar's own path for it.
const POLICY: &str = "/policy";

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default().routes(routes!(
        get_sandbox_network_policy,
        replace_sandbox_network_policy,
        patch_sandbox_network_policy,
        delete_sandbox_network_policy_rules
    ))
}

/// Read a network policy
///
/// What the sandbox may reach outside, as it is in force. Only sandboxes created with `networkPolicy` have one.
#[utoipa::path(
    get,
    path = "/v1/sandboxes/{sandboxId}/networkpolicy",
    operation_id = "getSandboxNetworkPolicy",
    tag = "Sandboxes",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    responses(
        (status = 200, description = "The policy in force.", body = PolicyStatusResponse),
        (status = 404, description = "There is no such sandbox, or it has no network policy.", body = ErrorResponse),
        (status = 409, description = "The sandbox does not run.", body = ErrorResponse),
        (status = 503, description = "The sidecar does not answer; nothing passes until it does.", body = ErrorResponse),
    ),
)]
async fn get_sandbox_network_policy(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
) -> Result<JsonBody<PolicyStatusResponse>, ApiError> {
    ask(&state, &id, Method::GET, None::<&()>).await
}

/// Replace a network policy
///
/// In force, for names and addresses alike, when this answers; connections that it does not allow are cut.
#[utoipa::path(
    put,
    path = "/v1/sandboxes/{sandboxId}/networkpolicy",
    operation_id = "replaceSandboxNetworkPolicy",
    tag = "Sandboxes",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    request_body = NetworkPolicy,
    responses(
        (status = 200, description = "The new policy is in force.", body = PolicyStatusResponse),
        (status = 400, description = "A rule is wrong; the message names it.", body = ErrorResponse),
        (status = 404, description = "There is no such sandbox, or it has no network policy.", body = ErrorResponse),
        (status = 409, description = "The sandbox does not run.", body = ErrorResponse),
        (status = 413, description = "There are too many rules.", body = ErrorResponse),
        (status = 503, description = "The sidecar does not answer; nothing passes until it does.", body = ErrorResponse),
    ),
)]
async fn replace_sandbox_network_policy(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
    Json(policy): Json<NetworkPolicy>,
) -> Result<JsonBody<PolicyStatusResponse>, ApiError> {
    check_rules(&policy)?;
    ask(&state, &id, Method::PUT, Some(&policy)).await
}

/// Add to a network policy
///
/// The rules come before those that are there; a rule for a target that has one replaces it.
#[utoipa::path(
    patch,
    path = "/v1/sandboxes/{sandboxId}/networkpolicy",
    operation_id = "patchSandboxNetworkPolicy",
    tag = "Sandboxes",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    request_body = Vec<NetworkRule>,
    responses(
        (status = 200, description = "The changed policy is in force.", body = PolicyStatusResponse),
        (status = 400, description = "A rule is wrong; the message names it.", body = ErrorResponse),
        (status = 404, description = "There is no such sandbox, or it has no network policy.", body = ErrorResponse),
        (status = 409, description = "The sandbox does not run.", body = ErrorResponse),
        (status = 413, description = "There are too many rules.", body = ErrorResponse),
        (status = 503, description = "The sidecar does not answer; nothing passes until it does.", body = ErrorResponse),
    ),
)]
async fn patch_sandbox_network_policy(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
    JsonList(rules): JsonList<NetworkRule>,
) -> Result<JsonBody<PolicyStatusResponse>, ApiError> {
    check_rules(&NetworkPolicy { default_action: None, egress: Some(rules.clone()) })?;
    ask(&state, &id, Method::PATCH, Some(&rules)).await
}

/// Remove rules from a network policy
///
/// Takes away the rules for these targets; connections that they allowed are cut.
#[utoipa::path(
    delete,
    path = "/v1/sandboxes/{sandboxId}/networkpolicy",
    operation_id = "deleteSandboxNetworkPolicyRules",
    tag = "Sandboxes",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    request_body(content = Vec<String>, description = "Targets as their rules name them.", example = json!(["pypi.org"])),
    responses(
        (status = 200, description = "The changed policy is in force.", body = PolicyStatusResponse),
        (status = 400, description = "There are no targets.", body = ErrorResponse),
        (status = 404, description = "There is no such sandbox, or it has no network policy.", body = ErrorResponse),
        (status = 409, description = "The sandbox does not run.", body = ErrorResponse),
        (status = 503, description = "The sidecar does not answer; nothing passes until it does.", body = ErrorResponse),
    ),
)]
async fn delete_sandbox_network_policy_rules(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
    JsonList(targets): JsonList<String>,
) -> Result<JsonBody<PolicyStatusResponse>, ApiError> {
    ask(&state, &id, Method::DELETE, Some(&targets)).await
}

/// Has the sandbox's sidecar do it.
async fn ask(
    state: &ApiState,
    id: &str,
    method: Method,
    body: Option<&impl Serialize>,
) -> Result<JsonBody<PolicyStatusResponse>, ApiError> {
    let phase = state.service.get(id)?.status.state;
    let target = state.service.target(id, SIDECAR_PORT)?;
    let Some(token) = &target.egress_token else {
        let message = format!("sandbox {id} was created without networkPolicy");
        return Err(ApiError::new(Code::NoNetworkPolicy, message));
    };
    if !matches!(phase, Phase::Running | Phase::Paused) {
        let denial = Denial { state: phase, action: "asking the egress sidecar" };
        return Err(ServiceError::from(denial).into());
    }
    let name = HeaderName::try_from(EGRESS_AUTH_HEADER).map_err(ApiError::internal)?;
    let mut value = HeaderValue::try_from(token).map_err(ApiError::internal)?;
    value.set_sensitive(true);
    let body = body.map(serde_json::to_vec).transpose().map_err(ApiError::internal)?;
    let question = Question { method, path: POLICY, credential: (name, value), body };
    let answered = state.proxy.ask(id, &target, question).await;
    let (status, answer) = answered
        .map_err(|error| ApiError::new(Code::SidecarUnavailable, format!("egress sidecar: {error}")))?;
    if status.is_success() {
        return serde_json::from_slice(&answer).map(JsonBody).map_err(ApiError::internal);
    }
    let message = String::from_utf8_lossy(&answer).trim().to_owned();
    Err(match status {
        StatusCode::BAD_REQUEST => ApiError::new(Code::InvalidParameter, message),
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::PayloadTooLarge, message),
        _ => ApiError::internal(format_args!("the egress sidecar answered {status}: {message}")),
    })
}
