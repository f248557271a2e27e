//! JSON bodies.

use std::time::Duration;

use axum::{
    extract::{FromRequest, OptionalFromRequest, Request},
    http::{
        HeaderMap,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::api::error::{ApiError, Code};

/// Largest JSON body; no request of the contract comes near it.
const MAX_BODY: usize = 1 << 20;
/// A body that small has arrived by then, or its sender is stalling.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body read as `T`.
#[derive(Debug)]
pub(crate) struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        check_content_type(request.headers())?;
        let bytes = read(request).await?;
        decode(&bytes).map(Json)
    }
}

/// A JSON body that is an array.
#[derive(Debug)]
pub(crate) struct JsonList<T>(pub Vec<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonList<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        check_content_type(request.headers())?;
        parse(&read(request).await?).map(JsonList)
    }
}

/// Nothing at all is `None`.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Option<Self>, ApiError> {
        let headers = request.headers().clone();
        let bytes = read(request).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        check_content_type(&headers)?;
        decode(&bytes).map(Json).map(Some)
    }
}

/// No content type at all is taken as JSON.
fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence =
        value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        Ok(())
    } else {
        Err(ApiError::invalid("Content-Type", format_args!("must be application/json, is {value:?}")))
    }
}

/// The body of a request that has a JSON document, whatever it says.
pub(in crate::api) async fn read(request: Request) -> Result<Bytes, ApiError> {
    let declared =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(ApiError::invalid("body", format_args!("could not be read: {error}"))),
        Err(_) => Err(ApiError::new(
            Code::RequestTimeout,
            format!("body: did not arrive within {} seconds", BODY_TIMEOUT.as_secs()),
        )),
    }
}

fn too_large() -> ApiError {
    ApiError::new(Code::PayloadTooLarge, format!("body: must be at most {MAX_BODY} bytes"))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // The decoder would take an array for an object without names.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::invalid("body", "must be a JSON object, is an array"));
    }
    parse(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.is_empty() {
        return Err(ApiError::invalid("body", "is empty; a JSON document is expected"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        // "." is the document itself; a syntax error has no member worth naming either.
        let place = if path == "." || inner.is_syntax() || inner.is_eof() { "body".to_owned() } else { path };
        ApiError::invalid(place, inner)
    })?;
    deserializer.end().map_err(|error| ApiError::invalid("body", error))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use sandkeep_specs::lifecycle::CreateSandboxRequest;

    use super::*;

    fn refusal(body: &str) -> String {
        decode::<CreateSandboxRequest>(body.as_bytes()).map(drop).unwrap_err().message
    }

    #[test]
    fn a_wrong_type_names_its_member() {
        for (body, start) in [
            (r#"{"timeout": "soon"}"#, "timeout: "),
            (r#"{"image": {"uri": 5}}"#, "image.uri: "),
            (r#"{"entrypoint": ["a", 1]}"#, "entrypoint[1]: "),
            (r#"{"env": {"A": 1}}"#, "env.A: "),
            (r#"{"lifecycle": {"postStop": {}}}"#, "lifecycle.postStop: "),
            ("[]", "body: "),
            ("", "body: is empty"),
            ("{", "body: EOF"),
            (r#"{"timeout": 60} x"#, "body: trailing"),
            (r#"{"timeout": 60,}"#, "body: "),
        ] {
            let message = refusal(body);
            assert!(message.starts_with(start), "{body}: {message}");
        }
    }

    #[test]
    fn syntax_errors_say_where() {
        assert!(
            refusal("{\n  \"timeout\": 6O\n}").contains("line 2 column"),
            "{}",
            refusal("{\n  \"timeout\": 6O\n}")
        );
    }

    #[test]
    fn content_types() {
        let accepted = |value: &'static str| {
            check_content_type(&HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())])).is_ok()
        };
        assert!(accepted("application/json") && accepted("application/JSON; charset=utf-8"));
        assert!(accepted("application/merge-patch+json"));
        assert!(!accepted("text/plain") && !accepted("application/x-www-form-urlencoded") && !accepted(""));
        assert!(check_content_type(&HeaderMap::new()).is_ok());
    }

    #[tokio::test]
    async fn a_large_body_is_refused_declared_or_not() {
        let declared = Request::builder().header(CONTENT_LENGTH, "2147483648").body(Body::empty()).unwrap();
        assert_eq!(read(declared).await.unwrap_err().code, Code::PayloadTooLarge);
        let undeclared = Request::new(Body::from(vec![b' '; MAX_BODY + 1]));
        assert_eq!(read(undeclared).await.unwrap_err().code, Code::PayloadTooLarge);
        assert_eq!(read(Request::new(Body::from(vec![b' '; MAX_BODY]))).await.unwrap().len(), MAX_BODY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_body_is_given_up() {
        let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(read(Request::new(body)).await.unwrap_err().code, Code::RequestTimeout);
    }
}
