//! What was asked for.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use sandkeep_specs::egress::audit::{AuditList, AuditQuery};

use super::{Answer, error::ApiError};
use crate::state::AppState;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Read what was asked for
///
/// Names that were looked up, connections and requests: which rule decided and which credential binding was used, never
/// a secret. The newest two thousand are kept. An addition to the contract.
#[utoipa::path(
    get, path = "/audit", operation_id = "getAudit", params(AuditQuery),
    responses(
        (status = 200, description = "Entries, the oldest first", body = AuditList),
        (status = 400, description = "What is wrong with the request", body = String, content_type = "text/plain"),
        (status = 401, description = "Wrong token", body = String, content_type = "text/plain"),
    )
)]
pub(super) async fn read(
    State(state): State<AppState>,
    wanted: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Answer<AuditList>, ApiError> {
    let Query(wanted) = wanted.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::bad_request(format!("limit must be 1 to {MAX_LIMIT}")));
    }
    Ok(Answer(StatusCode::OK, state.audit.after(wanted.after, limit)))
}
