//! Watching directories (an extension).

use axum::extract::{RawQuery, State};
use axum::response::Response;
use sandkeep_specs::execd::error::ErrorBody;
use sandkeep_specs::execd::files::{WatchEvent, WatchQuery};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::read::path;
use super::responses::{BadRequest, Common, NotFound};
use crate::api::error::ApiError;
use crate::files::actor::Actor;
use crate::files::{query, watch};
use crate::state::AppState;
use crate::stream;

/// Routes of watches.
pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(watch_directory))
}

/// Changes in a directory as they happen, one `data:` event each (an extension). All that changes after the answer's
/// head has come is told; the stream ends when the directory itself is deleted or moved.
#[utoipa::path(get, path = "/directories/watch", operation_id = "watchDirectory", tag = "Directories",
    params(WatchQuery), responses(
    (status = 200, description = "Changes", body = WatchEvent, content_type = "text/event-stream"),
    (status = 429, description = "A limit on watches is reached; the message names it", body = ErrorBody),
    BadRequest, NotFound, Common,
))]
async fn watch_directory(
    State(state): State<AppState>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let root = path(&state, &Actor::own(), raw.as_deref())?;
    let recursive = match query::value(raw.as_deref(), "recursive").unwrap_or_default().as_slice() {
        b"true" => true,
        b"" | b"false" => false,
        _ => return Err(ApiError::invalid("recursive: must be true or false")),
    };
    Ok(stream::response(watch::start(root, recursive).await?))
}
