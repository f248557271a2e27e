//! The header that makes a repeated request known.

use axum::{extract::FromRequestParts, http::request::Parts};
use sandkeep_specs::lifecycle::{CreateSandboxRequest, IDEMPOTENCY_HEADER};

use crate::{
    api::error::ApiError,
    sandbox::{self, Scope},
};

const MAX_LENGTH: usize = 255;

/// The request's `Idempotency-Key`, if it has one.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey(pub Option<Key>);

/// A sound key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// The key together with what it must always come with.
    pub(crate) fn of(
        self,
        request: &CreateSandboxRequest,
        scope: &Scope,
    ) -> Result<sandbox::IdempotencyKey, ApiError> {
        // Written anew, so that neither the order of members nor blanks between them count.
        let content = serde_json::to_vec(request).map_err(ApiError::internal)?;
        let (owner, fingerprint) = (scope.to_string(), sandbox::fingerprint(&content));
        Ok(sandbox::IdempotencyKey { owner, key: self.0, fingerprint })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_HEADER).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        let key = value.as_bytes().trim_ascii();
        let is_sound = (1..=MAX_LENGTH).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
        if values.next().is_some() || !is_sound {
            let problem = format!("must be one text of 1 to {MAX_LENGTH} visible ASCII characters");
            return Err(ApiError::invalid(IDEMPOTENCY_HEADER, problem));
        }
        Ok(Self(Some(Key(String::from_utf8_lossy(key).into_owned()))))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn read(values: &[&[u8]]) -> Result<Option<String>, ApiError> {
        let mut request = Request::builder();
        for value in values {
            request = request.header("idempotency-key", *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        IdempotencyKey::from_request_parts(&mut parts, &()).await.map(|key| key.0.map(|key| key.0))
    }

    #[tokio::test]
    async fn keys_are_visible_ascii() {
        assert_eq!(read(&[]).await.unwrap(), None);
        assert_eq!(read(&[b" a-1 "]).await.unwrap().as_deref(), Some("a-1"));
        assert!(read(&[&[b'x'; 255]]).await.is_ok());
        let bad: [&[&[u8]]; 6] = [&[b""], &[b" "], &[b"a b"], &[b"\xff"], &[&[b'x'; 256]], &[b"a", b"b"]];
        for bad in bad {
            assert!(read(bad).await.unwrap_err().message.starts_with("Idempotency-Key: "), "{bad:?}");
        }
    }

    #[test]
    fn only_what_is_asked_for_counts() {
        let of = |text: &str| {
            Key("k".to_owned()).of(&serde_json::from_str(text).unwrap(), &Scope::All).unwrap().fingerprint
        };
        let one = of(r#"{"timeout": 60, "env": {"A": "1", "B": "2"}}"#);
        assert_eq!(one, of(r#"{ "env":{"B":"2","A":"1"},"timeout":60 }"#));
        assert_ne!(one, of(r#"{"timeout": 61, "env": {"A": "1", "B": "2"}}"#));
    }
}
