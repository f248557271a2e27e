//! Liveness and the document.

use std::sync::OnceLock;

use axum::{http::header, response::IntoResponse};
use bytes::Bytes;
use sandkeep_specs::execd::error::TokenRejected;

/// Says that the daemon answers.
#[utoipa::path(get, path = "/ping", operation_id = "ping", tag = "System", responses(
    (status = 200, description = "The daemon is up"),
    (status = 401, description = "Token refused", body = TokenRejected),
))]
pub(super) async fn ping() {}

/// This document, as JSON.
#[utoipa::path(get, path = "/openapi.json", operation_id = "getOpenApi", tag = "System", responses(
    (status = 200, description = "The OpenAPI document", content_type = "application/json", body = Object),
    (status = 401, description = "Token refused", body = TokenRejected),
))]
pub(super) async fn openapi() -> impl IntoResponse {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let json = DOCUMENT.get_or_init(|| super::api().1.to_json().unwrap_or_default().into()).clone();
    ([(header::CONTENT_TYPE, "application/json")], json)
}
