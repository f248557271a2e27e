//! Outbound rules.

use std::sync::Arc;

use axum::{body::Body, extract::State, http::StatusCode};
use sandkeep_specs::egress::policy::{NetworkAction, NetworkPolicy, NetworkRule, PolicyStatusResponse};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, error::ApiError, reply::body};
use crate::{
    engine::{Engine, EngineError},
    policy::{self, Action, Policy},
    state::AppState,
};

const OK: &str = "ok";
const RESET: &str = "policy reset to default deny-all";
const NOTHING_FOUND: &str = "no matching targets found";

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(get_policy, replace_policy_put, patch_policy, delete_rules))
        .routes(routes!(replace_policy_post))
}

type Reply = Result<Answer<PolicyStatusResponse>, ApiError>;

/// The rules in force.
#[utoipa::path(
    get,
    path = "/policy",
    operation_id = "getPolicy",
    responses(
        (status = 200, description = "The rules in force", body = PolicyStatusResponse),
        (status = 401, description = "The token is missing or wrong", body = String, content_type = "text/plain"),
        (status = 500, description = "Something failed inside", body = String, content_type = "text/plain"),
    )
)]
async fn get_policy(State(state): State<AppState>) -> Reply {
    let policy = &state.engine.judge().policy;
    let status = PolicyStatusResponse { policy: Some(wire(policy)), ..status(&state.engine, None) };
    Ok(Answer(StatusCode::OK, status))
}

/// Replace all rules.
///
/// Without a body everything is denied.
#[utoipa::path(
    put,
    path = "/policy",
    operation_id = "replacePolicyPut",
    request_body(content = Option<NetworkPolicy>, description = "The new rules"),
    responses(
        (status = 200, description = "The rules are in force", body = PolicyStatusResponse),
        (status = 400, description = "The rules are not valid", body = String, content_type = "text/plain"),
        (status = 401, description = "The token is missing or wrong", body = String, content_type = "text/plain"),
        (status = 413, description = "There are too many rules", body = String, content_type = "text/plain"),
        (status = 500, description = "The rules before stay in force", body = String, content_type = "text/plain"),
    )
)]
async fn replace_policy_put(State(state): State<AppState>, request: Body) -> Reply {
    replace(&state, request).await
}

/// Replace all rules, as PUT does.
#[utoipa::path(
    post,
    path = "/policy",
    operation_id = "replacePolicyPost",
    request_body(content = Option<NetworkPolicy>, description = "The new rules"),
    responses(
        (status = 200, description = "The rules are in force", body = PolicyStatusResponse),
        (status = 400, description = "The rules are not valid", body = String, content_type = "text/plain"),
        (status = 401, description = "The token is missing or wrong", body = String, content_type = "text/plain"),
        (status = 413, description = "There are too many rules", body = String, content_type = "text/plain"),
        (status = 500, description = "The rules before stay in force", body = String, content_type = "text/plain"),
    )
)]
async fn replace_policy_post(State(state): State<AppState>, request: Body) -> Reply {
    replace(&state, request).await
}

/// Put rules before those there are.
///
/// A rule about a target that has one takes its place; of several about one target the first counts.
#[utoipa::path(
    patch,
    path = "/policy",
    operation_id = "patchPolicy",
    request_body(content = inline(Rules), description = "The new rules"),
    responses(
        (status = 200, description = "The rules are in force", body = PolicyStatusResponse),
        (status = 400, description = "The rules are not valid", body = String, content_type = "text/plain"),
        (status = 401, description = "The token is missing or wrong", body = String, content_type = "text/plain"),
        (status = 413, description = "There are too many rules", body = String, content_type = "text/plain"),
        (status = 500, description = "The rules before stay in force", body = String, content_type = "text/plain"),
    )
)]
async fn patch_policy(State(state): State<AppState>, request: Body) -> Reply {
    let rules = policy::read_rules(&body(request).await?).map_err(invalid)?;
    if rules.is_empty() {
        return Err(ApiError::bad_request("the list of rules is empty"));
    }
    change(&state, move |engine| engine.patch(rules)).await?;
    Ok(Answer(StatusCode::OK, status(&state.engine, None)))
}

/// Take out the rules about these targets.
#[utoipa::path(
    delete,
    path = "/policy",
    operation_id = "deletePolicyRules",
    request_body(content = inline(Targets), description = "Targets, in any letter case"),
    responses(
        (status = 200, description = "There is no rule about them any more", body = PolicyStatusResponse),
        (status = 400, description = "The targets are not valid", body = String, content_type = "text/plain"),
        (status = 401, description = "The token is missing or wrong", body = String, content_type = "text/plain"),
        (status = 500, description = "The rules before stay in force", body = String, content_type = "text/plain"),
    )
)]
async fn delete_rules(State(state): State<AppState>, request: Body) -> Reply {
    let targets = policy::read_targets(&body(request).await?).map_err(invalid)?;
    if targets.is_empty() {
        return Err(ApiError::bad_request("the list of targets is empty"));
    }
    let found = change(&state, move |engine| engine.forget(&targets)).await?;
    let reason = (!found).then(|| NOTHING_FOUND.to_owned());
    Ok(Answer(StatusCode::OK, status(&state.engine, reason)))
}

/// A list of at least one rule.
#[derive(utoipa::ToSchema)]
#[schema(min_items = 1)]
#[allow(dead_code, reason = "only its schema is used")]
struct Rules(Vec<NetworkRule>);

/// A list of at least one target.
#[derive(utoipa::ToSchema)]
#[schema(min_items = 1)]
#[allow(dead_code, reason = "only its schema is used")]
struct Targets(Vec<String>);

async fn replace(state: &AppState, request: Body) -> Reply {
    let body = body(request).await?;
    if body.trim_ascii().is_empty() {
        change(state, |engine| engine.replace(Policy::deny_all())).await?;
        let reset =
            PolicyStatusResponse { enforcement_mode: None, ..status(&state.engine, Some(RESET.to_owned())) };
        return Ok(Answer(StatusCode::OK, reset));
    }
    let policy = policy::read_policy(&body).map_err(invalid)?;
    change(state, move |engine| engine.replace(policy)).await?;
    Ok(Answer(StatusCode::OK, status(&state.engine, None)))
}

/// Changes wait for the disk and the kernel, so they have threads of their own.
async fn change<T: Send + 'static>(
    state: &AppState,
    work: impl FnOnce(&Engine) -> Result<T, EngineError> + Send + 'static,
) -> Result<T, ApiError> {
    let engine = Arc::clone(&state.engine);
    let done = tokio::task::spawn_blocking(move || work(&engine)).await;
    match done {
        Ok(changed) => Ok(changed?),
        Err(error) => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

fn invalid(error: policy::PolicyError) -> ApiError {
    ApiError::bad_request(error.to_string())
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let status = match &error {
            EngineError::TooMany { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            EngineError::Objected(_) => StatusCode::BAD_REQUEST,
            EngineError::Store(_) | EngineError::Kernel(_) => {
                tracing::error!(%error, "the policy is not changed");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::new(status, error.to_string())
    }
}

fn status(engine: &Engine, reason: Option<String>) -> PolicyStatusResponse {
    let policy = &engine.judge().policy;
    let mode = match (policy.rules.is_empty(), policy.default_action) {
        (false, _) => "enforcing",
        (true, Action::Allow) => "allow_all",
        (true, Action::Deny) => "deny_all",
    };
    PolicyStatusResponse {
        status: OK.to_owned(),
        mode: mode.to_owned(),
        enforcement_mode: Some(engine.mode().as_str().to_owned()),
        reason,
        policy: None,
    }
}

fn wire(policy: &Policy) -> NetworkPolicy {
    let action = |action| match action {
        Action::Allow => NetworkAction::Allow,
        Action::Deny => NetworkAction::Deny,
    };
    let rules = policy.rules.iter();
    NetworkPolicy {
        default_action: action(policy.default_action),
        egress: rules
            .map(|rule| NetworkRule { action: action(rule.action), target: rule.target.clone() })
            .collect(),
    }
}
