//! What a path names.

use axum::{
    extract::{FromRequestParts, MatchedPath},
    http::{StatusCode, request::Parts},
};
use percent_encoding::percent_decode_str;

use super::error::ApiError;

/// The only member of a path. Bytes that are no text stand for nothing that exists, and are looked for all the same.
#[derive(Debug)]
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let mut pairs = route.split('/').zip(parts.uri.path().split('/'));
        let value = pairs.find_map(|(name, value)| name.starts_with('{').then_some(value));
        let value = value
            .ok_or_else(|| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the route has no member"))?;
        Ok(Self(percent_decode_str(value).decode_utf8_lossy().into_owned()))
    }
}
