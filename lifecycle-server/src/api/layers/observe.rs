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

use crate::{
    api::telemetry::{NO_ROUTE, Telemetry},
    otel::{self, Answer},
};

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
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let named = request.extensions().get().map(|&RouteName(name)| name);
    let route = named.or(matched).map(str::to_owned);
    let method = request.method().clone();
    let span = tracing::info_span!("request", id = %String::from_utf8_lossy(id.as_bytes()), %method, route = route.as_deref().unwrap_or(NO_ROUTE));
    let traced = telemetry.tracer().and_then(|tracer| tracer.begin(request.headers()));
    let mut answer = traced.clone().map(|traced| {
        if let Some(route) = &route {
            traced.about_path(route, request.uri().path());
        }
        Answer::new(traced, &method, route.as_deref(), &id)
    });
    let in_flight = telemetry.begin();
    let mut response = otel::answering(traced, next.run(request)).instrument(span.clone()).await;
    drop(in_flight);
    let elapsed = started.elapsed();
    telemetry.record(&method, route.as_deref(), response.status(), elapsed);
    if let Some(answer) = &mut answer {
        answer.status = Some(response.status());
    }
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
