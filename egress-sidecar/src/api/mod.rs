//! The HTTP surface: routes and their document come from the same registration.

mod audit;
mod auth;
pub mod error;
mod path;
mod policy;
mod reply;
mod system;
mod vault;

use axum::{Router, http::StatusCode, middleware};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::error::ApiError;
pub(crate) use self::vault::OwnSocket;
pub use self::{
    reply::{Answer, MAX_BODY_BYTES, body},
    vault::INTERCEPTION,
};
use crate::state::AppState;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "egress-sidecar",
        description = "Outbound rules of one network namespace, and the credentials lent to it."
    ),
    servers((url = "http://localhost:18080")),
    security(("EgressToken" = []), ()),
    modifiers(&Security)
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(auth::TOKEN_HEADER)));
        document.components.get_or_insert_default().add_security_scheme("EgressToken", scheme);
    }
}

/// Routes anybody may call.
fn open() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(system::healthz)).merge(vault::active())
}

/// Routes that need the token.
fn protected() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().merge(policy::router()).merge(vault::protected()).routes(routes!(audit::read))
}

/// The document of all routes.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    OpenApiRouter::with_openapi(Document::openapi()).merge(open()).merge(protected()).into_openapi()
}

/// The complete service.
pub fn service(state: AppState) -> Router {
    let (protected, _) = protected().split_for_parts();
    let (open, _) = open().split_for_parts();
    // On routes only: what does not exist is not there for anybody, token or not.
    let protected = protected
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(state.clone(), auth::require_token));
    open.method_not_allowed_fallback(wrong_method).merge(protected).fallback(not_found).with_state(state)
}

/// What the vault's own socket serves.
pub fn active_service(state: AppState) -> Router {
    let (active, _) = vault::active().split_for_parts();
    active.method_not_allowed_fallback(wrong_method).fallback(not_found).with_state(state)
}

async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
}

async fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "404 page not found")
}
