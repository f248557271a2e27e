//! Templates: what sandboxes are made of, under an id.

use axum::{Json as JsonBody, extract::State, http::StatusCode};
use sandkeep_specs::lifecycle::{
    CreateFsbTemplateRequest, ErrorResponse, FsbTemplate, ListFsbTemplatesResponse, PaginationInfo,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        extract::{Json, PathMember, Query},
        map,
        state::ApiState,
        validate,
    },
    sandbox::TemplateFilter,
};

const DEFAULT_PAGE_SIZE: u32 = 20;
const MAX_PAGE_SIZE: u32 = 200;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(create_template, list_templates))
        .routes(routes!(get_template, delete_template))
}

/// Create a template
///
/// Builds it in the background: the image is fetched, and one sandbox is started from it and must become ready. A create
/// that names a template which succeeded needs nothing but a timeout.
#[utoipa::path(
    post,
    path = "/v1/templates",
    tag = "Templates",
    request_body(content = CreateFsbTemplateRequest, example = json!({
        "image": "sandkeep/base:latest",
        "publish": "team/python",
        "readiness": {"probe": "cmd://python3 -c 1"},
    })),
    responses(
        (status = 201, description = "The template; it is being built.", body = FsbTemplate),
        (status = 400, description = "A member is wrong; the message names it.", body = ErrorResponse),
        (status = 409, description = "Some servers keep names unique; this one never answers so.", body = ErrorResponse),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorResponse),
        (status = 503, description = "The server is stopping.", body = ErrorResponse),
        (status = 501, description = "Some servers have no templates; this one never answers so.", body = ErrorResponse),
    ),
)]
async fn create_template(
    State(state): State<ApiState>,
    caller: Caller,
    Json(request): Json<CreateFsbTemplateRequest>,
) -> Result<(StatusCode, JsonBody<FsbTemplate>), ApiError> {
    let template =
        validate::template(request)?.owned_by(caller.owner().as_ref(), &state.rules.default_limits);
    let template = state.service.create_template(caller.owner(), template).await?;
    Ok((StatusCode::CREATED, JsonBody(map::template(&template))))
}

/// List templates
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/templates",
    tag = "Templates",
    params(
        ("metadata" = Option<String>, Query, style = Form,
            description = "Pairs that must all match, themselves written as a query: `project=demo&stage=test`, \
                           percent-encoded once more."),
        ("page" = Option<u32>, Query, description = "Number of the page.", minimum = 1),
        ("pageSize" = Option<u32>, Query, description = "Templates on a page.", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page of templates; a page past the end is empty.", body = ListFsbTemplatesResponse),
        (status = 400, description = "A parameter is wrong; the message names it.", body = ErrorResponse),
        (status = 501, description = "Some servers have no templates; this one never answers so.", body = ErrorResponse),
    ),
)]
async fn list_templates(
    State(state): State<ApiState>,
    caller: Caller,
    query: Query,
) -> Result<JsonBody<ListFsbTemplatesResponse>, ApiError> {
    let page = query.number("page", 1..=u32::MAX, 1)?;
    let page_size = query.number("pageSize", 1..=MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE)?;
    // Segments that are no pairs, and pairs without a value, are not looked at.
    let pairs = form_urlencoded::parse(query.one("metadata").unwrap_or_default().as_bytes()).into_owned();
    let metadata = pairs.filter(|(_, value)| !value.is_empty()).collect();
    let filter = TemplateFilter { scope: caller.scope(), metadata };
    let found = state.service.all_templates(&filter, page as usize, page_size as usize).await?;
    Ok(JsonBody(ListFsbTemplatesResponse {
        items: found.items.iter().map(|template| map::template(template)).collect(),
        pagination: PaginationInfo::new(page.into(), page_size.into(), found.total_items as u64),
    }))
}

/// Get a template
#[utoipa::path(
    get,
    path = "/v1/templates/{templateId}",
    tag = "Templates",
    params(("templateId" = String, Path, description = "Identifier of the template.")),
    responses(
        (status = 200, description = "The template as it is now.", body = FsbTemplate),
        (status = 404, description = "There is no such template.", body = ErrorResponse),
        (status = 501, description = "Some servers have no templates; this one never answers so.", body = ErrorResponse),
    ),
)]
async fn get_template(
    State(state): State<ApiState>,
    caller: Caller,
    PathMember(id): PathMember,
) -> Result<JsonBody<FsbTemplate>, ApiError> {
    Ok(JsonBody(map::template(&*state.service.template(&caller.scope(), &id)?)))
}

/// Delete a template
///
/// A build under way ends. Sandboxes that came from it go on.
#[utoipa::path(
    delete,
    path = "/v1/templates/{templateId}",
    tag = "Templates",
    params(("templateId" = String, Path, description = "Identifier of the template.")),
    responses(
        (status = 204, description = "The template is gone."),
        (status = 404, description = "There is no such template.", body = ErrorResponse),
        (status = 501, description = "Some servers have no templates; this one never answers so.", body = ErrorResponse),
    ),
)]
async fn delete_template(
    State(state): State<ApiState>,
    caller: Caller,
    PathMember(id): PathMember,
) -> Result<StatusCode, ApiError> {
    state.service.delete_template(&caller.scope(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
