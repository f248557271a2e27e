//! Directories as tar streams (extensions).

use axum::Json;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sandkeep_specs::execd::files::{ArchiveContent, ArchiveQuery, ArchiveSummary};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::read::path;
use super::responses::{BadRequest, Common, NotFound};
use crate::api::error::ApiError;
use crate::files::actor::Actor;
use crate::files::archive::{Packer, receive};
use crate::files::body;
use crate::files::error::FileError;
use crate::state::AppState;

/// Routes of archives.
pub(super) fn router() -> OpenApiRouter<AppState> {
    // An archive is unpacked while it arrives, so its size is limited by the disk alone.
    OpenApiRouter::new().routes(routes!(get_archive, put_archive)).layer(DefaultBodyLimit::disable())
}

/// A directory with all that is in it as a tar stream (an extension): owners, modes, times, symbolic and hard links
/// are kept; sockets and extended attributes are not. A failure on the way breaks the connection.
#[utoipa::path(get, path = "/directories/archive", operation_id = "getDirectoryArchive", tag = "Directories",
    params(ArchiveQuery), responses(
    (status = 200, description = "The archive; its names are relative to the directory", body = ArchiveContent,
        content_type = "application/x-tar"),
    BadRequest, NotFound, Common,
))]
async fn get_archive(State(state): State<AppState>, RawQuery(raw): RawQuery) -> Result<Response, ApiError> {
    let actor = Actor::own();
    let root = path(&state, &actor, raw.as_deref())?;
    let packed = actor.run(move || {
        let packer = Packer::new(&root)?;
        body::start(Actor::own(), packer).map_err(|error| FileError::io(&root, error))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-tar")], packed.await?).into_response())
}

/// Unpacks a tar stream into a directory, which is made if it is missing (an extension). Existing files are replaced
/// one by one, others stay. Owners are kept when execd is root. Names that are absolute or lead out of the directory,
/// by `..` or through a link, are refused; what was unpacked before a failure stays.
#[utoipa::path(put, path = "/directories/archive", operation_id = "putDirectoryArchive", tag = "Directories",
    params(ArchiveQuery),
    request_body(content = ArchiveContent, content_type = "application/x-tar"),
    responses((status = 200, description = "All is unpacked", body = ArchiveSummary), BadRequest, Common,
))]
async fn put_archive(
    State(state): State<AppState>,
    RawQuery(raw): RawQuery,
    body: Body,
) -> Result<Json<ArchiveSummary>, ApiError> {
    let root = path(&state, &Actor::own(), raw.as_deref())?;
    Ok(Json(receive(root, body).await?))
}
