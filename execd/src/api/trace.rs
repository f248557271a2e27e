//! Request ids: what a client and the log call a request.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};

use super::error::Failure;
use crate::id;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over from a client.
const MAX_LENGTH: usize = 128;

/// Gives each answer the id its request came with, or a new one, and logs under it what failed.
pub(super) async fn name_requests(request: Request, next: Next) -> Response {
    let given = request.headers().get(REQUEST_ID).filter(|id| is_sound(id)).cloned();
    let id = given.unwrap_or_else(new_id);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let (status, failure) = (response.status(), response.extensions().get::<Failure>());
    let request_id = id.to_str().unwrap_or_default();
    match failure {
        Some(Failure { code, message }) if status.is_server_error() => {
            tracing::warn!(request_id, %method, path, status = status.as_u16(), code, message, "request failed");
        }
        _ => tracing::debug!(request_id, %method, path, status = status.as_u16(), "request"),
    }
    // What a proxied program or an isolated session's daemon calls it stays.
    response.headers_mut().entry(REQUEST_ID).or_insert(id);
    response
}

fn is_sound(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=MAX_LENGTH).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

fn new_id() -> HeaderValue {
    let mut text = [0; 32];
    let text = id::random().simple().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_printable_ids_are_taken_over() {
        let sound = |id: &str| is_sound(&HeaderValue::from_str(id).unwrap());
        assert!(sound("req-1") && sound(&"x".repeat(MAX_LENGTH)));
        assert!(!sound("") && !sound("a b") && !sound(&"x".repeat(MAX_LENGTH + 1)));
        assert_eq!(new_id().len(), 32);
    }
}
