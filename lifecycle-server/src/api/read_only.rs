//! What a server answers that only shows sandboxes, because its records are damaged.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{error::ApiError, state::ApiState};
use crate::sandbox::ServiceError;

/// Beginnings of the routes that tell of sandboxes, and of the server itself.
const SHOWN: &[&str] = &["/v1/sandboxes", "/v1/capabilities", "/v1/images", "/v1/metrics"];

/// Refuses what would change something, and what would pass for all there is.
pub(super) async fn guard(
    State(state): State<ApiState>,
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    if !state.service.is_read_only() {
        return next.run(request).await;
    }
    let refusal = || ApiError::from(ServiceError::ReadOnly).into_response();
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    if !reads || !SHOWN.iter().any(|shown| route.as_str().starts_with(shown)) {
        return refusal();
    }
    let response = next.run(request).await;
    // What is not known here may exist all the same.
    if response.status() == StatusCode::NOT_FOUND { refusal() } else { response }
}
