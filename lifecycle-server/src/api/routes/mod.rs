//! One file per resource.

mod diagnostics;
mod endpoints;
mod events;
mod expiration;
mod images;
mod metadata;
mod network_policy;
mod pause;
mod pools;
mod proxy;
mod sandboxes;
mod snapshots;
mod stop;
mod stream;
mod system;
mod templates;
mod tunnel;
mod usage;

use utoipa_axum::router::OpenApiRouter;

use super::state::ApiState;

/// Routes that need the API key.
pub(super) fn protected() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .merge(sandboxes::router())
        .merge(metadata::router())
        .merge(expiration::router())
        .merge(pause::router())
        .merge(network_policy::router())
        .merge(stop::router())
        .merge(endpoints::router())
        .merge(images::router())
        .merge(snapshots::router())
        .merge(pools::router())
        .merge(templates::router())
        .merge(events::router())
        .merge(diagnostics::router())
        .merge(usage::router())
        .merge(stream::router())
}

/// Routes that judge their callers themselves.
pub(super) fn proxied() -> OpenApiRouter<ApiState> {
    proxy::router().merge(tunnel::router())
}

/// Routes for everybody.
pub(super) fn public() -> OpenApiRouter<ApiState> {
    system::router()
}
