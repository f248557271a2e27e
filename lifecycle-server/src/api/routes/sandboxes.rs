//! Create, list, get and delete sandboxes.

use axum::{
    Json as JsonBody,
    extract::State,
    http::{HeaderName, StatusCode, header::LOCATION},
    response::IntoResponse,
};
use sandkeep_specs::lifecycle::{
    CreateSandboxRequest, CreateSandboxResponse, ErrorResponse, ListSandboxesResponse, Sandbox,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        extract::{IdempotencyKey, Json, Query, SandboxId},
        map,
        state::ApiState,
        validate,
    },
    otel,
    sandbox::{CreateSpec, Filter, PageRequest},
};

pub(super) const DEFAULT_PAGE_SIZE: u32 = 20;
pub(super) const MAX_PAGE_SIZE: u32 = 200;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(create_sandbox, list_sandboxes))
        .routes(routes!(get_sandbox, delete_sandbox))
}

/// Create a sandbox
///
/// Starts a sandbox from an image, a snapshot or a template, or takes one from a pool (`extensions.poolRef`). The answer
/// comes when the sandbox is usable, or with state `Pending` when its image
/// takes long to fetch.
#[utoipa::path(
    post,
    path = "/v1/sandboxes",
    tag = "Sandboxes",
    params(("Idempotency-Key" = Option<String>, Header,
        description = "1 to 255 visible ASCII characters. A request repeated with its key within a day is answered with \
                       the sandbox the first one made, also while that is still under way. An extension.")),
    request_body(content = CreateSandboxRequest, example = json!({
        "image": {"uri": "sandkeep/base:latest"},
        "entrypoint": ["sleep", "infinity"],
        "resourceLimits": {"cpu": "1", "memory": "512Mi"},
        "timeout": 600,
        "metadata": {"project": "demo"},
    })),
    responses(
        (status = 202, description = "The sandbox was accepted.", body = CreateSandboxResponse,
            headers(("Location" = String, description = "Path of the sandbox."))),
        (status = 400, description = "A member is wrong or not available here; the message names it.", body = ErrorResponse),
        (status = 403, description = "The tenant's quota is used up, or the caller may not do this.", body = ErrorResponse),
        (status = 404, description = "Something the request refers to does not exist.", body = ErrorResponse),
        (status = 409, description = "The sandbox was deleted before it had started, the snapshot is not ready, or the key belongs to another request.", body = ErrorResponse),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorResponse),
        (status = 429, description = "This host has no room for another sandbox now.", body = ErrorResponse,
            headers(("Retry-After" = u32, description = "Seconds to wait."))),
        (status = 503, description = "The registry cannot be reached, or the server is stopping.", body = ErrorResponse),
        (status = 504, description = "The registry did not answer in time.", body = ErrorResponse),
    ),
)]
async fn create_sandbox(
    State(state): State<ApiState>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Json(request): Json<CreateSandboxRequest>,
) -> Result<(StatusCode, [(HeaderName, String); 1], JsonBody<CreateSandboxResponse>), ApiError> {
    let key = key.map(|key| key.of(&request, &caller.scope())).transpose()?;
    let spec = validate::create(request, &state.rules)?.owned_by(caller.owner(), &state.rules.default_limits);
    let record = state.snapshots.create_sandbox(CreateSpec { key, ..spec }).await?;
    otel::about(&record.id);
    let location = format!("/v1/sandboxes/{}", record.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], JsonBody(map::created(&record))))
}

/// List sandboxes
///
/// Newest first. Filters are combined with AND.
#[utoipa::path(
    get,
    path = "/v1/sandboxes",
    tag = "Sandboxes",
    params(
        ("state" = Option<Vec<String>>, Query, style = Form, explode, description = "Any of these states; may repeat.",
            example = json!(["Running"])),
        ("metadata" = Option<String>, Query, style = Form,
            description = "Pairs that must all match, themselves written as a query: `project=demo&stage=test`, \
                           percent-encoded once more."),
        ("page" = Option<u32>, Query, description = "Number of the page.", minimum = 1),
        ("pageSize" = Option<u32>, Query, description = "Sandboxes on a page.", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page of sandboxes; a page past the end is empty.", body = ListSandboxesResponse),
        (status = 400, description = "A parameter is wrong; the message names it.", body = ErrorResponse),
    ),
)]
async fn list_sandboxes(
    State(state): State<ApiState>,
    caller: Caller,
    query: Query,
) -> Result<JsonBody<ListSandboxesResponse>, ApiError> {
    let page = query.number("page", 1..=u32::MAX, 1)? as usize;
    let page_size = query.number("pageSize", 1..=MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE)? as usize;
    let filter = Filter {
        states: query.all("state").map(str::to_owned).collect(),
        metadata: validate::metadata_filter(query.one("metadata").unwrap_or_default())?,
        scope: caller.scope(),
    };
    Ok(JsonBody(map::page(&state.service.list_all(&filter, PageRequest { page, page_size }).await?)))
}

/// Get a sandbox
#[utoipa::path(
    get,
    path = "/v1/sandboxes/{sandboxId}",
    tag = "Sandboxes",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    responses(
        (status = 200, description = "The sandbox as it is now.", body = Sandbox),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
    ),
)]
async fn get_sandbox(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
) -> Result<JsonBody<Sandbox>, ApiError> {
    Ok(JsonBody(map::sandbox(&*state.service.get(&id)?)))
}

/// Delete a sandbox
///
/// Kills everything in it at once. Its record is gone when this answers.
#[utoipa::path(
    delete,
    path = "/v1/sandboxes/{sandboxId}",
    tag = "Sandboxes",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    responses(
        (status = 204, description = "The sandbox is gone."),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
        (status = 409, description = "The sandbox is being deleted already.", body = ErrorResponse),
    ),
)]
async fn delete_sandbox(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
) -> Result<impl IntoResponse, ApiError> {
    state.service.delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
