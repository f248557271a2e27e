//! The HTTP surface: routes and their document come from the same registration.

pub mod auth;
mod command;
pub mod error;
pub mod extract;
mod fallback;
mod limit;
mod metrics;
mod system;

use axum::{Router, extract::DefaultBodyLimit, middleware};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::AppState;

/// Largest body of a route that does not stream it.
pub const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(title = "execd", description = "Runs inside every sandbox: commands, code and files over HTTP with live output."),
    servers((url = "http://localhost:44772")),
    security(("AccessToken" = [])),
    modifiers(&Security)
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let header = ApiKeyValue::new("X-EXECD-ACCESS-TOKEN");
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(header));
        document.components.get_or_insert_default().add_security_scheme("AccessToken", scheme);
    }
}

/// The routes and their document; building them has no side effects.
pub fn api() -> (Router<AppState>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(system::ping))
        .routes(routes!(system::openapi))
        .merge(command::router())
        .merge(metrics::router())
        .merge(crate::code::api::router())
        .merge(crate::files::api::router())
        .merge(crate::session::api::router())
        .merge(crate::pty::api::router())
        .split_for_parts()
}

/// The complete service: routes, refusals and access control.
pub fn service(state: AppState) -> Router {
    let (routes, document) = api();
    routes
        .method_not_allowed_fallback(fallback::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(state.clone())
        .merge(fallback::unknown(&document))
        .layer(middleware::from_fn(limit::refuse_large_bodies))
        .layer(middleware::from_fn_with_state(state, auth::require_token))
}
