//! Keeps tenants apart on every protected route, in one place.
//!
//! A route is closed to tenants until it is known here how it keeps them apart: a new one cannot leak by oversight.

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    auth::Caller,
    error::{ApiError, Code},
    extract::PathMembers,
    state::ApiState,
};
use crate::sandbox::Scope;

/// Routes whose handlers look at the caller themselves, or that show nothing of anybody.
const SCOPED: &[&str] = &[
    "/v1/sandboxes",
    "/v1/events",
    "/v1/metrics/events",
    "/v1/capabilities",
    "/v1/snapshots",
    "/v1/snapshots/{snapshotId}",
    "/v1/templates",
    "/v1/templates/{templateId}",
    "/v1/pools",
    "/v1/pools/{poolName}",
];
/// The parameter in whose place a path names a sandbox.
const SANDBOX: &str = "sandboxId";

/// Answers for objects of other tenants as for those that don't exist.
pub(super) async fn keep_apart(
    State(state): State<ApiState>,
    caller: Caller,
    route: MatchedPath,
    members: PathMembers,
    request: Request,
    next: Next,
) -> Response {
    match judge(&state, &caller.scope(), route.as_str(), &members) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn judge(state: &ApiState, scope: &Scope, route: &str, members: &PathMembers) -> Result<(), ApiError> {
    if *scope == Scope::All || SCOPED.contains(&route) {
        return Ok(());
    }
    match members.get(SANDBOX) {
        Some(id) => own_sandbox(state, scope, id),
        None => {
            Err(ApiError::new(Code::Forbidden, "on a server with tenants this is for its operator alone"))
        }
    }
}

/// Whether the sandbox exists for the caller.
pub(super) fn own_sandbox(state: &ApiState, scope: &Scope, id: &str) -> Result<(), ApiError> {
    state.service.get_in(scope, id)?;
    Ok(())
}
