//! Pools: sandboxes started before they are asked for.

use axum::{Json as JsonBody, extract::State, http::StatusCode};
use sandkeep_specs::lifecycle::{
    CreatePoolRequest, ErrorResponse, ListPoolsResponse, PoolResponse, UpdatePoolRequest,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{
    auth::Caller,
    error::ApiError,
    extract::{Json, PathMember},
    map,
    state::ApiState,
    validate,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default().routes(routes!(create_pool, list_pools)).routes(routes!(
        get_pool,
        update_pool,
        delete_pool
    ))
}

/// Create a pool
///
/// Keeps started sandboxes ready to be handed over to creates that name the pool in `extensions.poolRef`. The template's
/// only container says what they are: image, command and args (run from the start; a create's own entrypoint runs beside
/// it and is what the sandbox ends with), env, resource limits, working directory, user, readiness probe. Members of the
/// template that have no meaning for a sandbox are refused by name.
#[utoipa::path(
    post,
    path = "/v1/pools",
    tag = "Pools",
    request_body(content = CreatePoolRequest, example = json!({
        "name": "python",
        "template": {"spec": {"containers": [{"name": "sandbox", "image": "sandkeep/base:latest"}]}},
        "capacitySpec": {"bufferMax": 4, "bufferMin": 2, "poolMax": 100, "poolMin": 0},
    })),
    responses(
        (status = 201, description = "The pool; it fills in the background.", body = PoolResponse),
        (status = 400, description = "A member is wrong or cannot be mapped; the message names it.", body = ErrorResponse),
        (status = 409, description = "There is a pool of that name.", body = ErrorResponse),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorResponse),
        (status = 501, description = "Some servers have no pools; this one never answers so.", body = ErrorResponse),
    ),
)]
async fn create_pool(
    State(state): State<ApiState>,
    caller: Caller,
    Json(request): Json<CreatePoolRequest>,
) -> Result<(StatusCode, JsonBody<PoolResponse>), ApiError> {
    let pool = validate::pool(request)?.owned_by(caller.owner(), &state.rules.default_limits);
    let pool = state.service.create_pool(pool).await?;
    Ok((StatusCode::CREATED, JsonBody(map::pool(&pool))))
}

/// List pools
#[utoipa::path(
    get,
    path = "/v1/pools",
    tag = "Pools",
    responses(
        (status = 200, description = "Every pool, by name.", body = ListPoolsResponse),
        (status = 501, description = "Some servers have no pools; this one never answers so.", body = ErrorResponse),
    ),
)]
async fn list_pools(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<JsonBody<ListPoolsResponse>, ApiError> {
    let pools = state.service.all_pools(&caller.scope()).await?;
    Ok(JsonBody(ListPoolsResponse { items: pools.iter().map(map::pool).collect() }))
}

/// Get a pool
#[utoipa::path(
    get,
    path = "/v1/pools/{poolName}",
    tag = "Pools",
    params(("poolName" = String, Path, description = "Name of the pool.")),
    responses(
        (status = 200, description = "The pool as it is now.", body = PoolResponse),
        (status = 404, description = "There is no such pool.", body = ErrorResponse),
        (status = 501, description = "Some servers have no pools; this one never answers so.", body = ErrorResponse),
    ),
)]
async fn get_pool(
    State(state): State<ApiState>,
    caller: Caller,
    PathMember(name): PathMember,
) -> Result<JsonBody<PoolResponse>, ApiError> {
    Ok(JsonBody(map::pool(&state.service.pool(&caller.scope(), &name)?)))
}

/// Change a pool's capacity
///
/// Members are started and ended accordingly in the background; sandboxes that were handed over go on.
#[utoipa::path(
    put,
    path = "/v1/pools/{poolName}",
    tag = "Pools",
    params(("poolName" = String, Path, description = "Name of the pool.")),
    request_body(content = UpdatePoolRequest, example = json!({
        "capacitySpec": {"bufferMax": 8, "bufferMin": 4, "poolMax": 100, "poolMin": 0},
    })),
    responses(
        (status = 200, description = "The pool with its new capacity.", body = PoolResponse),
        (status = 400, description = "A member is wrong; the message names it.", body = ErrorResponse),
        (status = 404, description = "There is no such pool.", body = ErrorResponse),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorResponse),
        (status = 501, description = "Some servers have no pools; this one never answers so.", body = ErrorResponse),
    ),
)]
async fn update_pool(
    State(state): State<ApiState>,
    caller: Caller,
    PathMember(name): PathMember,
    Json(request): Json<UpdatePoolRequest>,
) -> Result<JsonBody<PoolResponse>, ApiError> {
    let capacity = validate::pool_capacity(request.capacity_spec)?;
    Ok(JsonBody(map::pool(&state.service.resize_pool(caller.owner(), &name, capacity).await?)))
}

/// Delete a pool
///
/// Ends the members that nobody owns. Sandboxes that were handed over go on.
#[utoipa::path(
    delete,
    path = "/v1/pools/{poolName}",
    tag = "Pools",
    params(("poolName" = String, Path, description = "Name of the pool.")),
    responses(
        (status = 204, description = "The pool is gone."),
        (status = 404, description = "There is no such pool.", body = ErrorResponse),
        (status = 501, description = "Some servers have no pools; this one never answers so.", body = ErrorResponse),
    ),
)]
async fn delete_pool(
    State(state): State<ApiState>,
    caller: Caller,
    PathMember(name): PathMember,
) -> Result<StatusCode, ApiError> {
    state.service.delete_pool(&caller.scope(), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
