//! The HTTP surface: routes and their document come from the same registration.

pub mod auth;
mod command;
pub mod error;
pub mod extract;
mod fallback;
mod limit;
mod metrics;
mod strict;
mod system;
mod trace;

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware,
};
use tower::ServiceExt;
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
        .merge(crate::isolated::api::router())
        .merge(crate::session::api::router())
        .merge(crate::pty::api::router())
        .merge(crate::proxy::api::router())
        .merge(crate::daemon::standby::router())
        .split_for_parts()
}

/// The complete service: routes, refusals and access control.
///
/// Liveness is answered at once. All other routes, whose document takes a millisecond to make, are built when the
/// returned function is called or one of them is asked for.
pub fn service(state: AppState) -> (Router, impl FnOnce()) {
    let rest = Arc::new(OnceLock::new());
    let build = {
        let (rest, state) = (Arc::clone(&rest), state.clone());
        move || drop(rest.get_or_init(|| all_routes(state)).clone())
    };
    let (liveness, _) = OpenApiRouter::new().routes(routes!(system::ping)).split_for_parts();
    let rest_state = state.clone();
    let router = liveness
        .method_not_allowed_fallback(fallback::wrong_method)
        .fallback(move |request: Request| {
            let routes = rest.get_or_init(|| all_routes(rest_state.clone())).clone();
            routes.oneshot(request)
        })
        .layer(middleware::from_fn(limit::refuse_large_bodies))
        .layer(middleware::from_fn_with_state(state, auth::require_token))
        .layer(middleware::from_fn(trace::name_requests));
    (router, build)
}

fn all_routes(state: AppState) -> Router {
    let (routes, document) = api();
    routes
        .method_not_allowed_fallback(fallback::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(state)
        .merge(fallback::unknown(&document))
}
