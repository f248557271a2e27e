//! What clients measure on their side.

use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header::USER_AGENT},
};
use sandkeep_specs::lifecycle::{ErrorResponse, MetricsEvent, MetricsEventType};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{error::ApiError, extract::Json, state::ApiState};

/// Names of clients that get a series of their own.
const SDKS: [&str; 8] = ["python", "javascript", "typescript", "kotlin", "java", "csharp", "go", "rust"];

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default().routes(routes!(report_metrics_event))
}

/// Report a measurement
///
/// A client tells how long a sandbox took to become usable. It shows up in `/metrics`.
#[utoipa::path(
    post,
    path = "/v1/metrics/events",
    tag = "Metrics",
    request_body = MetricsEvent,
    responses(
        (status = 204, description = "Recorded."),
        (status = 400, description = "The event is malformed; the message names the member.", body = ErrorResponse),
    ),
)]
async fn report_metrics_event(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Json(event): Json<MetricsEvent>,
) -> Result<StatusCode, ApiError> {
    match event.event_type {
        MetricsEventType::SandboxCreate => state.telemetry.record_client_create(
            event.success,
            sdk(&headers),
            Duration::from_millis(event.create_duration_ms),
        ),
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `OpenSandbox-Python-SDK/1.1.1` is `python`.
fn sdk(headers: &HeaderMap) -> &'static str {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let name =
        agent.strip_prefix("OpenSandbox-").and_then(|rest| rest.split_once("-SDK/")).map(|(name, _)| name);
    SDKS.into_iter().find(|sdk| name.is_some_and(|name| name.eq_ignore_ascii_case(sdk))).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sdks_are_known_by_their_user_agent() {
        let of = |agent: &'static str| sdk(&HeaderMap::from_iter([(USER_AGENT, agent.parse().unwrap())]));
        assert_eq!(of("OpenSandbox-Python-SDK/1.1.1"), "python");
        assert_eq!(of("OpenSandbox-Cobol-SDK/1"), "other");
        assert_eq!(of("curl/8"), "other");
        assert_eq!(sdk(&HeaderMap::new()), "other");
    }
}
