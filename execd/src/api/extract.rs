//! Extractors whose refusals have the contract's error shape.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{StatusCode, request::Parts},
};
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
