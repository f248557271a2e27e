//! Extractors whose refusals have the contract's error shape.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, MatchedPath, Query, Request},
    http::{StatusCode, request::Parts},
};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::{
    error::{ApiError, ErrorKind},
    strict,
};

/// A client must have sent a JSON body within this time.
pub(super) const BODY_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// A JSON body. Only its first value is read, whatever the content type says.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = read_body(request, state).await?;
        parse_json(&bytes).map(Self)
    }
}

/// Reads a whole body, bounded in size and time.
pub async fn read_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    let read = tokio::time::timeout(BODY_READ_TIMEOUT, Bytes::from_request(request, state)).await;
    let read = read.map_err(|_| {
        let seconds = BODY_READ_TIMEOUT.as_secs();
        ApiError::new(ErrorKind::Timeout, format!("the request body did not arrive within {seconds} s"))
    })?;
    read.map_err(|refused| {
        let kind = match refused.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
            _ => ErrorKind::InvalidRequest,
        };
        ApiError::new(kind, format!("request body: {}", refused.body_text()))
    })
}

/// Reads the first JSON value of a body.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    strict::from_json(&mut reader).map_err(|error| ApiError::invalid(format!("request body: {error}")))
}

/// Query parameters.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let refused = match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => return Ok(Self(params)),
            Err(refused) => refused.body_text(),
        };
        let kind =
            if refused.contains("missing field") { ErrorKind::MissingQuery } else { ErrorKind::InvalidQuery };
        Err(ApiError::new(
            kind,
            format!("query: {}", refused.trim_start_matches("Failed to deserialize query string: ")),
        ))
    }
}

/// All members of a path in their order. Bytes that are no text stand for nothing that exists, and are looked for all
/// the same.
#[derive(Debug, PartialEq, Eq)]
pub struct Path<T>(pub T);

/// The members of a path, with their names.
pub(crate) fn path_members(parts: &Parts) -> Vec<(String, String)> {
    let Some(route) = parts.extensions.get::<MatchedPath>() else { return Vec::new() };
    let pairs = route.as_str().split('/').zip(parts.uri.path().split('/'));
    let named = pairs.filter_map(|(name, value)| Some((name.strip_prefix('{')?.strip_suffix('}')?, value)));
    named.map(|(name, value)| (name.to_owned(), unescaped(value))).collect()
}

fn unescaped(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl<S: Send + Sync> FromRequestParts<S> for Path<String> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let only = path_members(parts).pop().map(|(_, value)| Self(value));
        only.ok_or_else(|| ApiError::runtime("the route has no member"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Path<(String, String)> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match <[_; 2]>::try_from(path_members(parts)) {
            Ok([(_, first), (_, second)]) => Ok(Self((first, second))),
            Err(_) => Err(ApiError::runtime("the route has not two members")),
        }
    }
}

#[cfg(test)]
mod tests {
    use sandkeep_specs::execd::command::RunCommandRequest;

    use super::*;

    #[test]
    fn only_the_first_json_value_is_read() {
        let request: RunCommandRequest = parse_json(br#"{"command":"ls","unknown":1} trailing"#).unwrap();
        assert_eq!(request.command.as_deref(), Some("ls"));
    }

    #[test]
    fn an_array_is_no_object() {
        use sandkeep_specs::execd::files::RenameFileItem;
        assert!(parse_json::<RunCommandRequest>(br#"["ls"]"#).is_err());
        assert!(parse_json::<Vec<RenameFileItem>>(br#"[["a","b"]]"#).is_err());
        let items = parse_json::<Vec<RenameFileItem>>(br#"[{"src":"a","dest":"b"}]"#).unwrap();
        assert_eq!(items[0].dest, "b");
        let request: RunCommandRequest =
            parse_json(br#"{"argv":["a"],"envs":{"A":"b"},"uid":7,"cwd":null,"extra":[1,{"x":[]}]}"#)
                .unwrap();
        assert_eq!((request.argv.unwrap().len(), request.uid, request.envs.unwrap().len()), (1, Some(7), 1));
    }

    #[test]
    fn a_wrong_type_names_the_place() {
        let error = parse_json::<RunCommandRequest>(br#"{"command": 7}"#).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidRequest);
        assert!(
            error.message.contains("invalid type") && error.message.contains("column"),
            "{}",
            error.message
        );
    }
}
