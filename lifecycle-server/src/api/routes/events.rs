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

const OTHER: &str = "other";

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
    let (sdk, version) = client(&headers);
    match event.event_type {
        MetricsEventType::SandboxCreate => state.telemetry.record_client_create(
            event.success,
            sdk,
            version,
            Duration::from_millis(event.create_duration_ms),
        ),
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `OpenSandbox-Python-SDK/1.1.1` is `python` and `1.1.1`.
fn client(headers: &HeaderMap) -> (&'static str, &str) {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let parts = agent.strip_prefix("OpenSandbox-").and_then(|rest| rest.split_once("-SDK/"));
    let Some((name, rest)) = parts else { return (OTHER, OTHER) };
    let version = rest.split_ascii_whitespace().next().unwrap_or(OTHER);
    (SDKS.into_iter().find(|sdk| name.eq_ignore_ascii_case(sdk)).unwrap_or(OTHER), version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sdks_are_known_by_their_user_agent() {
        let of = |agent: &str, expected| {
            let headers = HeaderMap::from_iter([(USER_AGENT, agent.parse().unwrap())]);
            assert_eq!(client(&headers), expected, "{agent}");
        };
        of("OpenSandbox-Python-SDK/1.1.1", ("python", "1.1.1"));
        of("OpenSandbox-Go-SDK/1.2 (linux)", ("go", "1.2"));
        of("OpenSandbox-Cobol-SDK/1", (OTHER, "1"));
        of("curl/8", (OTHER, OTHER));
        assert_eq!(client(&HeaderMap::new()), (OTHER, OTHER));
    }
}
