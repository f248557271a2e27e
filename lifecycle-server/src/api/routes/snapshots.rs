//! Snapshots of sandboxes.

use axum::{
    Json as JsonBody,
    extract::State,
    http::{HeaderName, StatusCode, header::LOCATION},
};
use sandkeep_specs::lifecycle::{
    CreateSnapshotRequest, ErrorResponse, ListSnapshotsResponse, PaginationInfo, Snapshot,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::sandboxes::{DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE};
use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        extract::{Json, Query, SandboxId, SnapshotId},
        map,
        state::ApiState,
        validate,
    },
    sandbox::PageRequest,
    snapshot::Filter,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(create_snapshot))
        .routes(routes!(list_snapshots))
        .routes(routes!(get_snapshot, delete_snapshot))
}

/// Snapshot a sandbox
///
/// Keeps the sandbox's files as an image of its own: everything that was written since the sandbox began, on top of the
/// image it began from. A running sandbox stands still while its files are copied and then goes on. Memory, mounted
/// volumes and the request's environment are no part of a snapshot. The snapshot is `Creating` until its image is there.
#[utoipa::path(
    post,
    path = "/v1/sandboxes/{sandboxId}/snapshots",
    tag = "Snapshots",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    request_body(content = Option<CreateSnapshotRequest>, example = json!({"name": "after-set-up"})),
    responses(
        (status = 202, description = "The snapshot will be made.", body = Snapshot,
            headers(("Location" = String, description = "Path of the snapshot."))),
        (status = 400, description = "A member is wrong; the message names it.", body = ErrorResponse),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
        (status = 409, description = "The sandbox has no files now, or too many snapshots are being made.", body = ErrorResponse),
        (status = 501, description = "This server's runtime cannot make snapshots.", body = ErrorResponse),
    ),
)]
async fn create_snapshot(
    State(state): State<ApiState>,
    caller: Caller,
    SandboxId(sandbox): SandboxId,
    request: Option<Json<CreateSnapshotRequest>>,
) -> Result<(StatusCode, [(HeaderName, String); 1], JsonBody<Snapshot>), ApiError> {
    let request = request.map(|Json(request)| request).unwrap_or_default();
    let snapshot =
        state.snapshots.create(caller.owner(), &sandbox, validate::snapshot_name(request)?).await?;
    let location = format!("/v1/snapshots/{}", snapshot.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], JsonBody(map::snapshot(&snapshot))))
}

/// List snapshots
///
/// Newest first. Filters are combined with AND.
#[utoipa::path(
    get,
    path = "/v1/snapshots",
    tag = "Snapshots",
    params(
        ("sandboxId" = Option<String>, Query, description = "Snapshots of this sandbox only."),
        ("name" = Option<String>, Query, description = "Snapshots of exactly this name only."),
        ("state" = Option<Vec<String>>, Query, style = Form, explode, description = "Any of these states; may repeat.",
            example = json!(["Ready"])),
        ("page" = Option<u32>, Query, description = "Number of the page.", minimum = 1),
        ("pageSize" = Option<u32>, Query, description = "Snapshots on a page.", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page of snapshots; a page past the end is empty.", body = ListSnapshotsResponse),
        (status = 400, description = "A parameter is wrong; the message names it.", body = ErrorResponse),
        (status = 501, description = "This server's runtime cannot make snapshots.", body = ErrorResponse),
    ),
)]
async fn list_snapshots(
    State(state): State<ApiState>,
    caller: Caller,
    query: Query,
) -> Result<JsonBody<ListSnapshotsResponse>, ApiError> {
    let page = query.number("page", 1..=u32::MAX, 1)?;
    let page_size = query.number("pageSize", 1..=MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE)?;
    let filter = Filter {
        scope: caller.scope(),
        sandbox_id: query.one("sandboxId").map(str::to_owned),
        name: query.one("name").map(str::to_owned),
        states: query.all("state").map(str::to_owned).collect(),
    };
    let request = PageRequest { page: page as usize, page_size: page_size as usize };
    let found = state.snapshots.list(&filter, request).await?;
    Ok(JsonBody(ListSnapshotsResponse {
        items: found.items.iter().map(map::snapshot).collect(),
        pagination: PaginationInfo::new(page.into(), page_size.into(), found.total_items),
    }))
}

/// Get a snapshot
#[utoipa::path(
    get,
    path = "/v1/snapshots/{snapshotId}",
    tag = "Snapshots",
    params(("snapshotId" = String, Path, description = "Identifier of the snapshot.")),
    responses(
        (status = 200, description = "The snapshot as it is now.", body = Snapshot),
        (status = 404, description = "There is no such snapshot.", body = ErrorResponse),
        (status = 409, description = "The snapshot cannot be told of now.", body = ErrorResponse),
        (status = 501, description = "This server's runtime cannot make snapshots.", body = ErrorResponse),
    ),
)]
async fn get_snapshot(
    State(state): State<ApiState>,
    caller: Caller,
    SnapshotId(id): SnapshotId,
) -> Result<JsonBody<Snapshot>, ApiError> {
    Ok(JsonBody(map::snapshot(&state.snapshots.get(&caller.scope(), &id).await?)))
}

/// Delete a snapshot
///
/// Its image goes with it, except layers that other images share. One that a sandbox was started from stays until that
/// sandbox is gone.
#[utoipa::path(
    delete,
    path = "/v1/snapshots/{snapshotId}",
    tag = "Snapshots",
    params(("snapshotId" = String, Path, description = "Identifier of the snapshot.")),
    responses(
        (status = 204, description = "The snapshot is gone."),
        (status = 404, description = "There is no such snapshot.", body = ErrorResponse),
        (status = 409, description = "It is being made, or a sandbox uses it.", body = ErrorResponse),
        (status = 501, description = "This server's runtime cannot make snapshots.", body = ErrorResponse),
    ),
)]
async fn delete_snapshot(
    State(state): State<ApiState>,
    caller: Caller,
    SnapshotId(id): SnapshotId,
) -> Result<StatusCode, ApiError> {
    state.snapshots.delete(&caller.scope(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
