//! Keeps tenants apart on every protected route, in one place.
//!
//! A route is closed to tenants until it is known here how it keeps them apart: a new one cannot leak by oversight.

use axum::{
    extract::{MatchedPath, RawPathParams, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};

use sandkeep_specs::lifecycle::CreateSandboxRequest;

use super::{
    auth::Caller,
    error::{ApiError, Code},
    state::ApiState,
};
use crate::sandbox::{Scope, ServiceError};

/// Routes whose handlers look at the caller themselves, or that show nothing of anybody.
const SCOPED: &[&str] = &["/v1/sandboxes", "/v1/events", "/v1/metrics/events", "/v1/capabilities"];
/// Routes that name a sandbox and make something no tenant owns yet.
const CLOSED: &[&str] = &["/v1/sandboxes/{sandboxId}/snapshots"];
/// Extension that names a pool to take a sandbox from.
const POOL_REF: &str = "poolRef";
/// The parameter in whose place a path names a sandbox.
const SANDBOX: &str = "sandboxId";

/// Answers for objects of other tenants as for those that don't exist.
pub(super) async fn keep_apart(
    State(state): State<ApiState>,
    caller: Caller,
    route: MatchedPath,
    parameters: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    match judge(&state, &caller.scope(), route.as_str(), &parameters) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn judge(state: &ApiState, scope: &Scope, route: &str, parameters: &RawPathParams) -> Result<(), ApiError> {
    if *scope == Scope::All || SCOPED.contains(&route) {
        return Ok(());
    }
    match parameters.iter().find(|(name, _)| *name == SANDBOX && !CLOSED.contains(&route)) {
        Some((_, id)) => own_sandbox(state, scope, id),
        None => {
            Err(ApiError::new(Code::Forbidden, "on a server with tenants this is for its operator alone"))
        }
    }
}

/// Snapshots, templates and pools have no owners: a tenant could take those of others.
pub(super) fn refuse_shared_sources(scope: &Scope, request: &CreateSandboxRequest) -> Result<(), ApiError> {
    let named = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
    let pool = request.extensions.as_ref().and_then(|names| names.get(POOL_REF)).cloned();
    let sources = [
        ("snapshotId", named(&request.snapshot_id)),
        ("templateId", named(&request.template_id)),
        ("extensions.poolRef", named(&pool)),
        // A name or a path says nothing of whose it is.
        ("volumes", request.volumes.as_ref().is_some_and(|volumes| !volumes.is_empty())),
    ];
    match sources.into_iter().find(|(_, is_named)| *is_named && *scope != Scope::All) {
        Some((member, _)) => {
            Err(ApiError::not_supported(member, "is not available on a server with tenants"))
        }
        None => Ok(()),
    }
}

/// Whether the sandbox exists for the caller.
pub(super) fn own_sandbox(state: &ApiState, scope: &Scope, id: &str) -> Result<(), ApiError> {
    let record = state.service.get(id)?;
    if scope.covers(record.plan.tenant.as_deref()) {
        return Ok(());
    }
    Err(ServiceError::NotFound(id.to_owned()).into())
}
