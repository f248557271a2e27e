//! Whether the sidecar does its duty.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::error::ApiError;
use crate::state::AppState;

/// Whether everything configured is in force.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    security(),
    responses(
        (status = 200, description = "Everything configured is in force", body = String, content_type = "text/plain"),
        (status = 503, description = "Something configured does not work; the reason", body = String, content_type = "text/plain"),
    )
)]
pub(super) async fn healthz(State(state): State<AppState>) -> Response {
    match state.health.complaint() {
        None => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "ok\n").into_response(),
        Some(complaint) => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, complaint).into_response(),
    }
}
