//! The access token.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sandkeep_specs::execd::{ACCESS_TOKEN_HEADER, error::TokenRejected};
use subtle::ConstantTimeEq;

use crate::state::AppState;

const REFUSAL: &str = "Unauthorized: invalid or missing header X-EXECD-ACCESS-TOKEN";

/// Lets a request through only with the right token, when one is set.
pub async fn require_token(State(state): State<AppState>, request: Request, next: Next) -> Response {
    state.activity.notice();
    match state.settings.access_token() {
        Some(token) if !presents(request.headers(), token) => {
            (StatusCode::UNAUTHORIZED, Json(TokenRejected { error: REFUSAL.to_owned() })).into_response()
        }
        _ => next.run(request).await,
    }
}

fn presents(headers: &HeaderMap, token: &str) -> bool {
    let mut values = headers.get_all(ACCESS_TOKEN_HEADER).iter();
    match (values.next(), values.next()) {
        (Some(given), None) => bool::from(given.as_bytes().ct_eq(token.as_bytes())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (ACCESS_TOKEN_HEADER.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_exactly_one_right_token_passes() {
        assert!(presents(&headers(&["secret"]), "secret"));
        assert!(!presents(&headers(&[]), "secret"));
        assert!(!presents(&headers(&["secre"]), "secret"));
        assert!(!presents(&headers(&["secrets"]), "secret"));
        assert!(!presents(&headers(&[""]), "secret"));
        assert!(!presents(&headers(&["secret", "other"]), "secret"));
    }
}
