//! Bodies, both ways.

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;

use super::error::ApiError;

/// Largest body of a request.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// A JSON answer; clients of this API read lines, so it ends with one.
#[derive(Debug, Clone)]
pub struct Answer<T>(pub StatusCode, pub T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_string(&self.1) {
            Ok(text) => {
                (self.0, [(header::CONTENT_TYPE, "application/json")], format!("{text}\n")).into_response()
            }
            Err(error) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

/// The whole body of a request, whatever type it claims to have.
pub async fn body(body: Body) -> Result<Bytes, ApiError> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ApiError::bad_request(format!("the body is larger than {MAX_BODY_BYTES} bytes")))
        }
        Err(error) => Err(ApiError::bad_request(format!("the body cannot be read: {error}"))),
    }
}
