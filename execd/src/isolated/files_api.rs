//! Files of isolated sessions: the routes of the sandbox's own files, served by the session's agent.

use axum::{
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::Uri,
    response::Response,
};
use sandkeep_specs::execd::{
    error::ErrorBody,
    files::{
        DownloadQuery, FileContent, FileInfo, ListQuery, PathsQuery, Permission, RenameFileItem,
        ReplaceFileContentItem, ReplaceFileContentResult, ReplaceQuery, SearchQuery, UploadForm,
    },
};
use utoipa::IntoResponses;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{IsolatedError, api::Common};
use crate::{
    api::{error::ApiError, extract::Path},
    state::AppState,
};

/// The request is wrong or goes against how the session is mounted.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
enum BadRequest {
    /// The request is wrong; the message says what and where
    #[response(status = 400)]
    Body(ErrorBody),
    /// The session may not change that
    #[response(status = 403)]
    Forbidden(ErrorBody),
}

/// Something is missing.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
enum NotFound {
    /// There is no such session, file or directory, or the session has ended
    #[response(status = 404)]
    Body(ErrorBody),
}

/// Routes of the files of isolated sessions.
pub(super) fn router() -> OpenApiRouter<AppState> {
    // An upload is written while it arrives, so its size is limited by the disk alone.
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

/// Has the session's agent answer a request.
async fn pass_on(state: &AppState, id: &str, mut request: Request) -> Result<Response, ApiError> {
    let session = state.isolated.get(id).await?;
    *request.uri_mut() = inside(request.uri())?;
    Ok(session.send(request).await?.map(Body::new))
}

/// What follows the session's id in a path, with the query.
fn inside(uri: &Uri) -> Result<Uri, IsolatedError> {
    let whole = uri.path_and_query().map_or("", |whole| whole.as_str());
    let rest =
        whole.strip_prefix("/v1/isolated/session/").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    let rest = rest.and_then(|rest| rest.parse().ok());
    rest.ok_or_else(|| IsolatedError::Invalid(format!("{whole:?} names nothing in a session")))
}

/// What is known of files of a session, by the path as it was asked for.
#[utoipa::path(get, path = "/v1/isolated/session/{sessionId}/files/info", operation_id = "isolatedGetFilesInfo",
    tag = "Isolated", params(
        ("sessionId" = Uuid, Path, description = "The session's id"),
        PathsQuery,
    ), responses(
    (status = 200, description = "One entry a path", body = BTreeMap<String, FileInfo>), BadRequest, NotFound, Common,
))]
async fn info(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    pass_on(&state, &id, request).await
}

/// Files of a session at any depth below a directory whose base name matches a glob.
#[utoipa::path(get, path = "/v1/isolated/session/{sessionId}/files/search", operation_id = "isolatedSearchFiles",
    tag = "Isolated", params(
        ("sessionId" = Uuid, Path, description = "The session's id"),
        SearchQuery,
    ), responses(
    (status = 200, description = "Everything that matches and is not a directory", body = Vec<FileInfo>), BadRequest, NotFound, Common,
))]
async fn search(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    pass_on(&state, &id, request).await
}

/// A file's content in a session: all of it, a range of bytes, or a range of lines.
#[utoipa::path(get, path = "/v1/isolated/session/{sessionId}/files/download", operation_id = "isolatedDownloadFile",
    tag = "Isolated", params(
        ("sessionId" = Uuid, Path, description = "The session's id"),
        DownloadQuery,
        ("Range" = Option<String>, Header, description = "`bytes=first-last`; only the first range is served"),
    ), responses(
    (status = 200, description = "The file, or the lines asked for", content(
        (FileContent = "application/octet-stream"),
        (String = "text/plain"),
    )),
    (status = 206, description = "The range asked for", body = FileContent, content_type = "application/octet-stream"),
    (status = 416, description = "The range lies outside the file, or is none", body = ErrorBody), BadRequest, NotFound, Common,
))]
async fn download(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    pass_on(&state, &id, request).await
}

/// Deletes files of a session; missing ones are passed over.
#[utoipa::path(delete, path = "/v1/isolated/session/{sessionId}/files", operation_id = "isolatedRemoveFiles",
    tag = "Isolated", params(
        ("sessionId" = Uuid, Path, description = "The session's id"),
        PathsQuery,
    ), responses(
    (status = 200, description = "They are gone"), BadRequest, NotFound, Common,
))]
async fn remove_files(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    pass_on(&state, &id, request).await
}

/// Sets owner, group and mode of files of a session.
#[utoipa::path(post, path = "/v1/isolated/session/{sessionId}/files/permissions", operation_id = "isolatedChmodFiles",
    tag = "Isolated", params(
        ("sessionId" = Uuid, Path, description = "The session's id"),
    ),
    request_body = BTreeMap<String, Permission>, responses(
    (status = 200, description = "They are set"), BadRequest, NotFound, Common,
))]
async fn permissions(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    pass_on(&state, &id, request).await
}

/// Moves files and directories of a session.
#[utoipa::path(post, path = "/v1/isolated/session/{sessionId}/files/mv", operation_id = "isolatedRenameFiles",
    tag = "Isolated", params(
        ("sessionId" = Uuid, Path, description = "The session's id"),
    ),
    request_body = Vec<RenameFileItem>, responses(
    (status = 200, description = "They are moved"), BadRequest, NotFound, Common,
))]
async fn rename(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    pass_on(&state, &id, request).await
}

/// Replaces text in files of a session.
#[utoipa::path(post, path = "/v1/isolated/session/{sessionId}/files/replace", operation_id = "isolatedReplaceContent",
    tag = "Isolated", params(
        ("sessionId" = Uuid, Path, description = "The session's id"),
        ReplaceQuery,
    ),
    request_body = BTreeMap<String, ReplaceFileContentItem>, responses(
    (status = 200, description = "Done; the counts if asked for", body = BTreeMap<String, ReplaceFileContentResult>), BadRequest, NotFound, Common,
))]
async fn replace(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    pass_on(&state, &id, request).await
}

/// Writes files of a session; each appears whole or not at all.
#[utoipa::path(post, path = "/v1/isolated/session/{sessionId}/files/upload", operation_id = "isolatedUploadFile",
    tag = "Isolated", params(
        ("sessionId" = Uuid, Path, description = "The session's id"),
    ),
    request_body(content = UploadForm, content_type = "multipart/form-data", encoding(
        ("metadata" = (content_type = "application/json")),
        ("file" = (content_type = "application/octet-stream")),
    )), responses(
    (status = 200, description = "They are written"), BadRequest, NotFound, Common,
))]
async fn upload(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    pass_on(&state, &id, request).await
}

/// Entries of a session's directory, down to a depth.
#[utoipa::path(get, path = "/v1/isolated/session/{sessionId}/directories/list", operation_id = "isolatedListDirectory",
    tag = "Isolated", params(
        ("sessionId" = Uuid, Path, description = "The session's id"),
        ListQuery,
    ), responses(
    (status = 200, description = "Parents before children, in order of their names", body = Vec<FileInfo>), BadRequest, NotFound, Common,
))]
async fn list(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    pass_on(&state, &id, request).await
}

/// Makes directories of a session and those above them.
#[utoipa::path(post, path = "/v1/isolated/session/{sessionId}/directories", operation_id = "isolatedMakeDirs",
    tag = "Isolated", params(
        ("sessionId" = Uuid, Path, description = "The session's id"),
    ),
    request_body = BTreeMap<String, Permission>, responses(
    (status = 200, description = "They exist"), BadRequest, NotFound, Common,
))]
async fn make_directories(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    pass_on(&state, &id, request).await
}

/// Deletes directories of a session with all that is in them; missing ones are passed over.
#[utoipa::path(delete, path = "/v1/isolated/session/{sessionId}/directories", operation_id = "isolatedRemoveDirs",
    tag = "Isolated", params(
        ("sessionId" = Uuid, Path, description = "The session's id"),
        PathsQuery,
    ), responses(
    (status = 200, description = "They are gone"), BadRequest, NotFound, Common,
))]
async fn remove_directories(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    pass_on(&state, &id, request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_the_session() {
        let inside = |uri: &str| inside(&uri.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(
            inside("/v1/isolated/session/x/files/info?path=/a%20b").unwrap(),
            "/files/info?path=/a%20b"
        );
        assert_eq!(inside("/v1/isolated/session/x/directories").unwrap(), "/directories");
        assert!(inside("/v1/isolated/session/x").is_err());
    }
}
