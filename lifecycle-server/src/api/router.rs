//! Everything the server answers, put together.

use axum::{
    Router,
    extract::{OriginalUri, Request},
    handler::Handler,
    http::Method,
    middleware::{from_fn, from_fn_with_state},
};

use super::{
    auth, docs,
    document::{Surface, surface},
    error::{ApiError, Code},
    gateway,
    layers::{self, Limit},
    read_only, relay,
    state::ApiState,
    tenancy,
};

/// The server as a service. What a request passes, outside in: id and log, limit, CORS, browsers' key, key.
pub fn router(state: ApiState) -> Router {
    let Surface { protected, proxied, public, document } = surface();
    let key = from_fn_with_state(state.keys.clone(), auth::require);
    let relay = from_fn_with_state(state.clone(), relay::relay);
    let router = protected
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(from_fn_with_state(state.clone(), tenancy::keep_apart))
        .route_layer(from_fn_with_state(state.clone(), read_only::guard))
        .route_layer(relay.clone())
        .route_layer(key.clone())
        .merge(proxied.method_not_allowed_fallback(method_not_allowed).route_layer(relay))
        .merge(public.method_not_allowed_fallback(method_not_allowed))
        .merge(docs::router(&document).method_not_allowed_fallback(method_not_allowed))
        // Without the key nobody learns which paths exist.
        .fallback(not_found.layer(key))
        .layer(from_fn(layers::browser_key))
        .layer(from_fn(layers::cors))
        .layer(from_fn_with_state(Limit::new(state.limit_concurrency), layers::limit))
        .layer(from_fn_with_state(state.telemetry.clone(), layers::observe))
        .with_state(state.clone());
    match &state.gateway {
        // With a listener of its own, only what other servers' gateways pass on comes in here.
        Some(gateway) if gateway.listen.is_none() || state.relay.is_some() => {
            let divert = gateway::Divert::new(gateway.clone(), state.clone());
            router.layer(from_fn_with_state(divert, gateway::divert))
        }
        _ => router,
    }
}

/// The gateway alone, when it has a listener of its own.
pub fn gateway_router(state: ApiState) -> Option<Router> {
    let has_listener = state.gateway.as_ref().is_some_and(|gateway| gateway.listen.is_some());
    has_listener.then(|| gateway::router(state))
}

async fn not_found(OriginalUri(uri): OriginalUri, _request: Request) -> ApiError {
    let shown: String = uri.path().chars().take(200).collect();
    ApiError::new(Code::RouteNotFound, format!("there is nothing at {shown}"))
}

async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> ApiError {
    let shown: String = uri.path().chars().take(200).collect();
    ApiError::new(
        Code::MethodNotAllowed,
        format!("{method} is not a method of {shown}; see the Allow header"),
    )
}
