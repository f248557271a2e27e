//! HTTP surface of the proxy.

use axum::{
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::any,
};
use utoipa_axum::router::OpenApiRouter;

use super::{document, forward, target::Target};
use crate::state::AppState;

/// What all its paths begin with.
pub(crate) const PREFIX: &str = "/proxy/";

/// Routes of the proxy.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(document::openapi())
        .route("/proxy", any(forward_request))
        .route("/proxy/", any(forward_request))
        .route("/proxy/{*rest}", any(forward_request))
}

async fn forward_request(request: Request) -> Response {
    match Target::of(request.uri()) {
        Ok(target) => {
            forward::forward(target, request).await.unwrap_or_else(|failure| failure.into_response())
        }
        Err(problem) => (StatusCode::BAD_REQUEST, problem).into_response(),
    }
}
