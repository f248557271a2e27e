//! HTTP surface of metrics.

use std::ffi::OsStr;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use sandkeep_specs::execd::{
    error::{ErrorBody, TokenRejected},
    metrics::Metrics,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::error::{ApiError, ErrorKind};
use crate::{
    metrics::{self, Labels},
    state::AppState,
    stream,
};

/// Routes of metrics.
pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(get_metrics))
        .routes(routes!(watch_metrics))
        .routes(routes!(prometheus_metrics))
}

/// Measures the use of resources now. CPU use is that since the previous measurement.
#[utoipa::path(get, path = "/metrics", operation_id = "getMetrics", tag = "Metrics", responses(
    (status = 200, description = "The measurement", body = Metrics),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 500, description = "The system gives no figures", body = ErrorBody),
))]
async fn get_metrics(State(state): State<AppState>) -> Result<Json<Metrics>, ApiError> {
    Ok(Json(state.metrics.measure().map_err(unavailable)?))
}

/// Measures every second until the client leaves; each measurement is one `data:` event.
#[utoipa::path(get, path = "/metrics/watch", operation_id = "watchMetrics", tag = "Metrics", responses(
    (status = 200, description = "Measurements", content_type = "text/event-stream", body = Metrics),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 429, description = "Too many clients watch", body = ErrorBody),
    (status = 500, description = "The system gives no figures", body = ErrorBody),
))]
async fn watch_metrics(State(state): State<AppState>) -> Result<Response, ApiError> {
    state.metrics.measure().map_err(unavailable)?;
    let watch = metrics::Watch::new(state.metrics).map_err(|limit| {
        let message = format!("{limit} clients watch the metrics already, the limit of metrics watchers");
        ApiError::new(ErrorKind::Busy, message)
    })?;
    Ok(stream::response(watch))
}

/// The same figures and counts of commands as Prometheus text (an extension).
#[utoipa::path(get, path = "/metrics/prometheus", operation_id = "getPrometheusMetrics", tag = "Metrics", responses(
    (status = 200, description = "Prometheus text format", content_type = "text/plain", body = String),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 500, description = "The system gives no figures", body = ErrorBody),
))]
async fn prometheus_metrics(State(state): State<AppState>) -> Result<impl IntoResponse, ApiError> {
    let measured = state.metrics.measure().map_err(unavailable)?;
    let labels = state.settings.env().get(OsStr::new(LABELS_VARIABLE)).and_then(|list| list.to_str());
    let labels = Labels::parse(labels.unwrap_or_default());
    let text = metrics::prometheus(&measured, state.commands.counts(), state.metrics.uptime(), &labels);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

/// Environment variable with labels for all figures.
const LABELS_VARIABLE: &str = "OPENSANDBOX_EXECD_METRICS_EXTRA_ATTRS";

fn unavailable(error: std::io::Error) -> ApiError {
    ApiError::runtime(format!("the system gives no figures: {error}"))
}
