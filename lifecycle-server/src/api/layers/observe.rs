//! Every request gets an id, a span in the log and its place in the metrics.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;
use uuid::Uuid;

use crate::api::telemetry::Telemetry;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Name of what serves a request, in place of its route.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct RouteName(pub(in crate::api) &'static str);

/// Takes the caller's request id or makes one, and answers with it.
pub(in crate::api) async fn observe(
    State(telemetry): State<Arc<Telemetry>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = request_id(&request);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    // The route, not the path: its values are few, and a path may hold what a user typed.
    let matched = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str);
    let route = request.extensions().get().map_or(matched, |&RouteName(name)| name).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("request", id = %String::from_utf8_lossy(id.as_bytes()), %method, %route);
    let in_flight = telemetry.begin();
    let mut response = next.run(request).instrument(span.clone()).await;
    drop(in_flight);
    let elapsed = started.elapsed();
    telemetry.record(&method, &route, response.status(), elapsed);
    span.in_scope(|| {
        tracing::debug!(status = response.status().as_u16(), elapsed_us = elapsed.as_micros(), "answered");
    });
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID).map(|value| value.as_bytes().trim_ascii());
    match given {
        Some(id) if !id.is_empty() => HeaderValue::from_bytes(id).ok(),
        _ => None,
    }
    .unwrap_or_else(fresh)
}

fn fresh() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let text = Uuid::new_v4().simple().encode_lower(&mut buffer);
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("0"))
}
