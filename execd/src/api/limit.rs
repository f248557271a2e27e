//! Bodies that are too large for where they are sent.

use axum::{
    body::HttpBody,
    extract::Request,
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    MAX_BODY_BYTES,
    error::{ApiError, ErrorKind},
};

/// What a request that needs no body may carry all the same.
const MAX_NEEDLESS_BYTES: u64 = 64 * 1024;

/// Refuses a body whose declared length is beyond what its route can take, before any of it is read. Uploads as
/// multipart forms, archives and what is only passed on may be of any length.
pub(super) async fn refuse_large_bodies(request: Request, next: Next) -> Response {
    let length = request.body().size_hint().lower();
    let limit = match *request.method() {
        _ if request.uri().path().starts_with(crate::proxy::api::PREFIX) => u64::MAX,
        Method::GET | Method::HEAD | Method::DELETE => MAX_NEEDLESS_BYTES,
        _ if is_form(&request) => u64::MAX,
        Method::POST if is_stdin(request.uri().path()) => u64::MAX,
        Method::PUT if request.uri().path() == crate::files::api::ARCHIVE_PATH => u64::MAX,
        _ => MAX_BODY_BYTES as u64,
    };
    if length <= limit {
        return next.run(request).await;
    }
    let message = format!("request body: {length} bytes are more than the {limit} this route takes");
    ApiError::new(ErrorKind::TooLarge, message).into_response()
}

/// Whether a body goes on to a command as it arrives.
fn is_stdin(path: &str) -> bool {
    path.starts_with("/command/") && path.ends_with("/stdin")
}

fn is_form(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.trim_start().to_ascii_lowercase().starts_with("multipart/form-data"))
}
