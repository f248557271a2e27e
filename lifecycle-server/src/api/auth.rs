//! Who may use the server.

use axum::{
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse, Response},
};
use sandkeep_specs::lifecycle::API_KEY_HEADER;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::{ApiError, Code};

/// The server's key. Only its digest is kept: equal lengths make the comparison tell nothing about the key.
#[derive(Clone)]
pub struct ApiKey(Option<[u8; 32]>);

/// What a request's headers say about its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The right key, or the server has none.
    Valid,
    Missing,
    Wrong,
}

impl ApiKey {
    /// `None` lets everybody in.
    pub fn new(key: Option<&str>) -> Self {
        Self(key.map(|key| Sha256::digest(key.as_bytes()).into()))
    }

    pub fn judge(&self, headers: &HeaderMap) -> Proof {
        let Some(expected) = &self.0 else { return Proof::Valid };
        match headers.get(API_KEY_HEADER) {
            None => Proof::Missing,
            Some(key) if key.is_empty() => Proof::Missing,
            Some(key) if same(&Sha256::digest(key.as_bytes()), expected) => Proof::Valid,
            Some(_) => Proof::Wrong,
        }
    }
}

/// Compares in a time that doesn't depend on where the two differ.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Lets only those pass who show the key.
pub(super) async fn require(State(key): State<ApiKey>, request: Request, next: Next) -> Response {
    match key.judge(request.headers()) {
        Proof::Valid => next.run(request).await,
        proof => refusal(proof).into_response(),
    }
}

fn refusal(proof: Proof) -> ApiError {
    match proof {
        Proof::Wrong => {
            ApiError::new(Code::InvalidApiKey, format!("{API_KEY_HEADER}: this is not the server's API key"))
        }
        Proof::Missing | Proof::Valid => ApiError::new(
            Code::MissingApiKey,
            format!("{API_KEY_HEADER}: the header with the API key is missing"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(key: Option<&str>, sent: Option<&'static str>) -> Proof {
        let headers = sent.map(|sent| (API_KEY_HEADER.parse().unwrap(), sent.parse().unwrap()));
        ApiKey::new(key).judge(&HeaderMap::from_iter(headers))
    }

    #[test]
    fn only_the_exact_key_is_valid() {
        assert_eq!(judge(Some("secret"), Some("secret")), Proof::Valid);
        for sent in ["Secret", "secret ", "secre", "secrets", "secret,secret"] {
            assert_eq!(judge(Some("secret"), Some(sent)), Proof::Wrong, "{sent}");
        }
        assert_eq!(judge(Some("secret"), None), Proof::Missing);
        assert_eq!(judge(Some("secret"), Some("")), Proof::Missing);
    }

    #[test]
    fn a_server_without_a_key_lets_everybody_in() {
        assert_eq!(judge(None, None), Proof::Valid);
        assert_eq!(judge(None, Some("anything")), Proof::Valid);
    }
}
