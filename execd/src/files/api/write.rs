//! Changing files and directories.

use std::collections::BTreeMap;
use std::path::PathBuf;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use sandkeep_specs::execd::files::{
    PathsQuery, Permission, RenameFileItem, ReplaceFileContentItem, ReplaceFileContentResult, ReplaceQuery,
    UploadForm,
};

use super::responses::{BadRequest, Common, NotFound};
use crate::api::error::ApiError;
use crate::api::extract::JsonBody;
use crate::files::actor::Actor;
use crate::files::attributes::Attributes;
use crate::files::error::FileError;
use crate::files::path::resolve_for;
use crate::files::upload::receive;
use crate::files::{changes, query, staged};
use crate::state::AppState;

/// Deletes files; missing ones are passed over.
#[utoipa::path(delete, path = "/files", operation_id = "removeFiles", tag = "Files", params(PathsQuery), responses(
    (status = 200, description = "They are gone"), BadRequest, Common,
))]
pub(in crate::files) async fn remove_files(
    State(state): State<AppState>,
    actor: Actor,
    RawQuery(raw): RawQuery,
) -> Result<(), ApiError> {
    let paths = paths(&state, &actor, raw.as_deref())?;
    Ok(actor.run(move || paths.iter().try_for_each(|path| changes::remove_file(path))).await?)
}

/// Deletes directories with all that is in them; missing ones are passed over.
#[utoipa::path(delete, path = "/directories", operation_id = "removeDirs", tag = "Directories", params(PathsQuery),
    responses((status = 200, description = "They are gone"), BadRequest, Common,
))]
pub(in crate::files) async fn remove_directories(
    State(state): State<AppState>,
    actor: Actor,
    RawQuery(raw): RawQuery,
) -> Result<(), ApiError> {
    let paths = paths(&state, &actor, raw.as_deref())?;
    Ok(actor.run(move || paths.iter().try_for_each(|path| changes::remove_directory(path))).await?)
}

/// Makes directories and those above them. Owner, group and mode are for directories that did not exist.
#[utoipa::path(post, path = "/directories", operation_id = "makeDirs", tag = "Directories",
    request_body = BTreeMap<String, Permission>,
    responses((status = 200, description = "They exist"), BadRequest, Common,
))]
pub(in crate::files) async fn make_directories(
    State(state): State<AppState>,
    actor: Actor,
    JsonBody(wanted): JsonBody<BTreeMap<String, Permission>>,
) -> Result<(), ApiError> {
    for_each(state, actor, wanted, |path, attributes| changes::make_directory(&path, attributes)).await
}

/// Sets owner, group and mode.
#[utoipa::path(post, path = "/files/permissions", operation_id = "chmodFiles", tag = "Files",
    request_body = BTreeMap<String, Permission>,
    responses((status = 200, description = "All are set"), BadRequest, NotFound, Common,
))]
pub(in crate::files) async fn permissions(
    State(state): State<AppState>,
    actor: Actor,
    JsonBody(wanted): JsonBody<BTreeMap<String, Permission>>,
) -> Result<(), ApiError> {
    for_each(state, actor, wanted, |path, attributes| staged::set_attributes(&path, attributes)).await
}

/// Checks every entry first, so that a wrong one changes nothing.
async fn for_each(
    state: AppState,
    actor: Actor,
    wanted: BTreeMap<String, Permission>,
    work: impl Fn(PathBuf, Attributes) -> Result<(), FileError> + Send + 'static,
) -> Result<(), ApiError> {
    let home = actor.clone();
    let done = actor.run(move || {
        let checked = wanted.iter().map(|(path, permission)| {
            let attributes =
                Attributes::parse(permission).map_err(|error| FileError::Invalid(format!("{path}: {error}")));
            Ok((resolve_for(&home, path.as_bytes(), &state.settings)?, attributes?))
        });
        let checked: Vec<_> = checked.collect::<Result<_, FileError>>()?;
        checked.into_iter().try_for_each(|(path, attributes)| work(path, attributes))
    });
    Ok(done.await?)
}

/// Moves files and directories, one after the other.
#[utoipa::path(post, path = "/files/mv", operation_id = "renameFiles", tag = "Files", request_body = Vec<RenameFileItem>,
    responses((status = 200, description = "All are moved"), BadRequest, NotFound, Common,
))]
pub(in crate::files) async fn rename(
    State(state): State<AppState>,
    actor: Actor,
    JsonBody(items): JsonBody<Vec<RenameFileItem>>,
) -> Result<(), ApiError> {
    let path = |text: &str| resolve_for(&actor, text.as_bytes(), &state.settings);
    let moves: Vec<_> = items
        .iter()
        .map(|item| Ok((path(&item.src)?, path(&item.dest)?)))
        .collect::<Result<_, FileError>>()?;
    Ok(actor.run(move || moves.iter().try_for_each(|(from, to)| changes::rename(from, to))).await?)
}

/// Replaces text in files, each one all at once.
#[utoipa::path(post, path = "/files/replace", operation_id = "replaceContent", tag = "Files", params(ReplaceQuery),
    request_body = BTreeMap<String, ReplaceFileContentItem>,
    responses(
        (status = 200, description = "Empty, or with `verbose=true` the number of replacements in each file",
            body = BTreeMap<String, ReplaceFileContentResult>),
        BadRequest, NotFound, Common,
))]
pub(in crate::files) async fn replace(
    State(state): State<AppState>,
    actor: Actor,
    RawQuery(raw): RawQuery,
    JsonBody(items): JsonBody<BTreeMap<String, ReplaceFileContentItem>>,
) -> Result<Response, ApiError> {
    let verbose = query::value(raw.as_deref(), "verbose").as_deref() == Some(b"true");
    let writer = actor.clone();
    let done = actor.run(move || {
        let counts = items.iter().map(|(asked, item)| {
            let path = resolve_for(&writer, asked.as_bytes(), &state.settings)?;
            let replaced_count =
                changes::replace(writer.clone(), &path, item.old.as_bytes(), item.new.as_bytes())?;
            Ok((asked.clone(), ReplaceFileContentResult { replaced_count }))
        });
        counts.collect::<Result<BTreeMap<_, _>, FileError>>()
    });
    let counts = done.await?;
    Ok(if verbose { Json(counts).into_response() } else { ().into_response() })
}

/// Writes files: `metadata` and `file` parts in turn. All are put in place at the end, or none.
#[utoipa::path(post, path = "/files/upload", operation_id = "uploadFile", tag = "Files",
    request_body(content = UploadForm, content_type = "multipart/form-data", encoding(
        ("metadata" = (content_type = "application/json")),
        ("file" = (content_type = "application/octet-stream")),
    )),
    responses((status = 200, description = "All are written"), BadRequest, Common,
))]
pub(in crate::files) async fn upload(
    State(state): State<AppState>,
    actor: Actor,
    headers: HeaderMap,
    body: Body,
) -> Result<(), ApiError> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(receive(actor, state.settings, content_type, body).await?)
}

/// The paths a request names.
fn paths(state: &AppState, actor: &Actor, raw: Option<&str>) -> Result<Vec<PathBuf>, FileError> {
    query::values(raw, "path").iter().map(|path| resolve_for(actor, path, &state.settings)).collect()
}
