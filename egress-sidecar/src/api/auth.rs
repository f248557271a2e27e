//! The access token.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    middleware::Next,
    response::Response,
};
use subtle::ConstantTimeEq;

use super::{error::ApiError, vault::closing};
use crate::state::AppState;

pub(super) const TOKEN_HEADER: &str = "OPENSANDBOX-EGRESS-AUTH";

/// Lets a request through only with the right token, when one is set.
pub(super) async fn require_token(State(state): State<AppState>, request: Request, next: Next) -> Response {
    match state.config.token.as_deref() {
        Some(token) if !presents(request.headers(), token) => {
            closing(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized"))
        }
        _ => next.run(request).await,
    }
}

fn presents(headers: &HeaderMap, token: &str) -> bool {
    let mut values = headers.get_all(TOKEN_HEADER).iter();
    match (values.next(), values.next()) {
        (Some(given), None) => bool::from(given.as_bytes().ct_eq(token.as_bytes())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (TOKEN_HEADER.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_exactly_one_right_token_passes() {
        assert!(presents(&headers(&["secret"]), "secret"));
        for wrong in [&[][..], &["secre"], &["secrets"], &[""], &["secret", "secret"]] {
            assert!(!presents(&headers(wrong), "secret"), "{wrong:?}");
        }
    }
}
