//! The server itself.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header::CONTENT_TYPE},
};
use sandkeep_specs::lifecycle::{Health, Version};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{error::ApiError, state::ApiState};

const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(health))
        .routes(routes!(version))
        .routes(routes!(prometheus_metrics))
}

/// Health
///
/// Answers as long as the server serves requests.
#[utoipa::path(
    get,
    path = "/health",
    tag = "System",
    security(()),
    responses((status = 200, description = "The server answers.", body = Health)),
)]
async fn health() -> Json<Health> {
    Json(Health { status: "healthy".to_owned() })
}

/// Version
#[utoipa::path(
    get,
    path = "/version",
    tag = "System",
    security(()),
    responses((status = 200, description = "The server's version.", body = Version)),
)]
async fn version() -> Json<Version> {
    Json(Version { version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// Metrics
///
/// Counters and durations in Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "System",
    security(()),
    responses((status = 200, description = "All metrics.", body = String, content_type = "text/plain")),
)]
async fn prometheus_metrics(
    State(state): State<ApiState>,
) -> Result<([(HeaderName, &'static str); 1], Vec<u8>), ApiError> {
    let text = state.telemetry.render(&state.service.counts()).map_err(ApiError::internal)?;
    Ok(([(CONTENT_TYPE, PROMETHEUS_TEXT)], text))
}
