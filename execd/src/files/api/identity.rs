//! The same operations with the rights of a user and group that the path names.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequestParts, RawQuery, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use sandkeep_specs::execd::error::ErrorBody;
use sandkeep_specs::execd::files::{
    DownloadQuery, FileContent, FileInfo, IdentityPath, ListQuery, PathsQuery, Permission, RenameFileItem,
    ReplaceFileContentItem, ReplaceFileContentResult, ReplaceQuery, SearchQuery, UploadForm,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::responses::{BadRequest, Common, NotFound};
use super::{read, write};
use crate::api::error::ApiError;
use crate::api::extract::{JsonBody, path_members};
use crate::files::actor::Actor;
use crate::files::error::FileError;
use crate::state::AppState;

/// Routes of files and directories under an identity.
pub(super) fn router() -> OpenApiRouter<AppState> {
    let uploads = OpenApiRouter::new().routes(routes!(upload)).layer(DefaultBodyLimit::disable());
    OpenApiRouter::new()
        .routes(routes!(info))
        .routes(routes!(search))
        .routes(routes!(download))
        .routes(routes!(list))
        .routes(routes!(remove_files))
        .routes(routes!(permissions))
        .routes(routes!(rename))
        .routes(routes!(replace))
        .routes(routes!(make_directories, remove_directories))
        .merge(uploads)
}

/// The identity of the path; on routes without one, execd itself.
impl FromRequestParts<AppState> for Actor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        let mut numbers = [None, None];
        for (name, value) in path_members(parts) {
            let number = match &*name {
                "uid" => &mut numbers[0],
                "gid" => &mut numbers[1],
                _ => continue,
            };
            // The largest number means "none" to the kernel.
            let given = value.parse().ok().filter(|id| *id != u32::MAX);
            *number = Some(given.ok_or_else(|| {
                let largest = u32::MAX - 1;
                ApiError::invalid(format!("{name}: {value:?} is not a whole number from 0 to {largest}"))
            })?);
        }
        let [Some(uid), Some(gid)] = numbers else { return Ok(Self::own()) };
        let looked_up = tokio::task::spawn_blocking(move || Self::identity(uid, gid)).await;
        Ok(looked_up.map_err(|error| FileError::Io(format!("looking up an identity failed: {error}")))?)
    }
}

/// What is known of files, as far as the identity may look.
#[utoipa::path(get, path = "/v1/filesystem/{uid}/{gid}/files/info", operation_id = "identityGetFilesInfo",
    tag = "Files as a user", params(IdentityPath, PathsQuery), responses(
    (status = 200, description = "One entry a path", body = BTreeMap<String, FileInfo>), BadRequest, NotFound, Common,
))]
async fn info(state: State<AppState>, actor: Actor, query: RawQuery) -> Result<Response, ApiError> {
    read::info(state, actor, query).await
}

/// Files below a directory whose base name matches a glob; directories closed to the identity are passed over.
#[utoipa::path(get, path = "/v1/filesystem/{uid}/{gid}/files/search", operation_id = "identitySearchFiles",
    tag = "Files as a user", params(IdentityPath, SearchQuery), responses(
    (status = 200, description = "Everything that matches and is not a directory", body = Vec<FileInfo>),
    BadRequest, NotFound, Common,
))]
async fn search(state: State<AppState>, actor: Actor, query: RawQuery) -> Result<Response, ApiError> {
    read::search(state, actor, query).await
}

/// Entries of a directory, down to a depth.
#[utoipa::path(get, path = "/v1/filesystem/{uid}/{gid}/directories/list", operation_id = "identityListDirectory",
    tag = "Files as a user", params(IdentityPath, ListQuery), responses(
    (status = 200, description = "Parents before children, in order of their names", body = Vec<FileInfo>),
    BadRequest, NotFound, Common,
))]
async fn list(state: State<AppState>, actor: Actor, query: RawQuery) -> Result<Response, ApiError> {
    read::list(state, actor, query).await
}

/// The content of a file that the identity may read: all of it, a range of bytes, or a range of lines.
#[utoipa::path(get, path = "/v1/filesystem/{uid}/{gid}/files/download", operation_id = "identityDownloadFile",
    tag = "Files as a user", params(
        IdentityPath,
        DownloadQuery,
        ("Range" = Option<String>, Header, description = "`bytes=first-last`; only the first range is served"),
    ), responses(
        (status = 200, description = "The file, or the lines asked for", content(
            (FileContent = "application/octet-stream"),
            (String = "text/plain"),
        ), headers(
            ("Content-Disposition" = String, description = "Name to save the file under"),
            ("Content-Length" = u64, description = "Bytes that follow"),
            ("ETag" = String, description = "Changes whenever the file does"),
            ("Last-Modified" = String, description = "When the file last changed"),
        )),
        (status = 206, description = "The range asked for", body = FileContent, content_type = "application/octet-stream", headers(
            ("Content-Range" = String, description = "Where the bytes lie"),
            ("Content-Length" = u64, description = "Bytes that follow"),
        )),
        (status = 304, description = "The client's copy is current"),
        (status = 412, description = "The file is not in the state the client expects"),
        (status = 416, description = "The range lies outside the file, or (as plain text) is none", content(
            (ErrorBody = "application/json"),
            (String = "text/plain"),
        )),
        BadRequest, NotFound, Common,
))]
async fn download(
    state: State<AppState>,
    actor: Actor,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    read::download(state, actor, query, headers).await
}

/// Deletes files; missing ones are passed over.
#[utoipa::path(delete, path = "/v1/filesystem/{uid}/{gid}/files", operation_id = "identityRemoveFiles",
    tag = "Files as a user", params(IdentityPath, PathsQuery), responses(
    (status = 200, description = "They are gone"), BadRequest, Common,
))]
async fn remove_files(state: State<AppState>, actor: Actor, query: RawQuery) -> Result<(), ApiError> {
    write::remove_files(state, actor, query).await
}

/// Deletes directories with all that is in them; missing ones are passed over.
#[utoipa::path(delete, path = "/v1/filesystem/{uid}/{gid}/directories", operation_id = "identityRemoveDirs",
    tag = "Files as a user", params(IdentityPath, PathsQuery), responses(
    (status = 200, description = "They are gone"), BadRequest, Common,
))]
async fn remove_directories(state: State<AppState>, actor: Actor, query: RawQuery) -> Result<(), ApiError> {
    write::remove_directories(state, actor, query).await
}

/// Makes directories and those above them; they belong to the identity unless another owner is given and allowed.
#[utoipa::path(post, path = "/v1/filesystem/{uid}/{gid}/directories", operation_id = "identityMakeDirs",
    tag = "Files as a user", params(IdentityPath), request_body = BTreeMap<String, Permission>, responses(
    (status = 200, description = "They exist"), BadRequest, Common,
))]
async fn make_directories(
    state: State<AppState>,
    actor: Actor,
    body: JsonBody<BTreeMap<String, Permission>>,
) -> Result<(), ApiError> {
    write::make_directories(state, actor, body).await
}

/// Sets owner, group and mode where the identity may.
#[utoipa::path(post, path = "/v1/filesystem/{uid}/{gid}/files/permissions", operation_id = "identityChmodFiles",
    tag = "Files as a user", params(IdentityPath), request_body = BTreeMap<String, Permission>, responses(
    (status = 200, description = "All are set"), BadRequest, NotFound, Common,
))]
async fn permissions(
    state: State<AppState>,
    actor: Actor,
    body: JsonBody<BTreeMap<String, Permission>>,
) -> Result<(), ApiError> {
    write::permissions(state, actor, body).await
}

/// Moves files and directories, one after the other.
#[utoipa::path(post, path = "/v1/filesystem/{uid}/{gid}/files/mv", operation_id = "identityRenameFiles",
    tag = "Files as a user", params(IdentityPath), request_body = Vec<RenameFileItem>, responses(
    (status = 200, description = "All are moved"), BadRequest, NotFound, Common,
))]
async fn rename(
    state: State<AppState>,
    actor: Actor,
    body: JsonBody<Vec<RenameFileItem>>,
) -> Result<(), ApiError> {
    write::rename(state, actor, body).await
}

/// Replaces text in files that the identity may write, each one all at once.
#[utoipa::path(post, path = "/v1/filesystem/{uid}/{gid}/files/replace", operation_id = "identityReplaceContent",
    tag = "Files as a user", params(IdentityPath, ReplaceQuery),
    request_body = BTreeMap<String, ReplaceFileContentItem>,
    responses(
        (status = 200, description = "Empty, or with `verbose=true` the number of replacements in each file",
            body = BTreeMap<String, ReplaceFileContentResult>),
        BadRequest, NotFound, Common,
))]
async fn replace(
    state: State<AppState>,
    actor: Actor,
    query: RawQuery,
    body: JsonBody<BTreeMap<String, ReplaceFileContentItem>>,
) -> Result<Response, ApiError> {
    write::replace(state, actor, query, body).await
}

/// Writes files as the identity: `metadata` and `file` parts in turn. All are put in place at the end, or none.
#[utoipa::path(post, path = "/v1/filesystem/{uid}/{gid}/files/upload", operation_id = "identityUploadFile",
    tag = "Files as a user", params(IdentityPath),
    request_body(content = UploadForm, content_type = "multipart/form-data", encoding(
        ("metadata" = (content_type = "application/json")),
        ("file" = (content_type = "application/octet-stream")),
    )),
    responses((status = 200, description = "All are written"), BadRequest, Common,
))]
async fn upload(
    state: State<AppState>,
    actor: Actor,
    headers: HeaderMap,
    body: Body,
) -> Result<(), ApiError> {
    write::upload(state, actor, headers, body).await
}
