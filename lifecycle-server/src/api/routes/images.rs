//! The images on this server: an extension of the common contract.

use std::time::Duration;

use axum::{
    Json as JsonBody,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures_util::{TryStreamExt, stream::poll_fn};
use sandkeep_specs::lifecycle::{
    ErrorResponse, ImportImagesResponse, ListImagesResponse, PullImageRequest, PushImageRequest,
    PushImageResponse, StoredImage,
};
use tokio_util::io::StreamReader;
use tower_http::timeout::TimeoutBody;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        error::{ApiError, Code},
        extract::{Json, PathMember, Query},
        map,
        state::ApiState,
        validate,
    },
    image::{ImageError, ProgressSink},
    library::{self, image_platform, registry_credentials},
};

/// An upload that stands still for so long is given up.
const UPLOAD_STALL: Duration = Duration::from_secs(60);

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(list_images))
        .routes(routes!(pull_image))
        .routes(routes!(push_image))
        .routes(routes!(export_image))
        .routes(routes!(import_images))
        .routes(routes!(delete_image))
}

/// List images
#[utoipa::path(
    get,
    path = "/v1/images",
    tag = "Images",
    responses((status = 200, description = "Every image that is unpacked here.", body = ListImagesResponse)),
)]
async fn list_images(State(state): State<ApiState>) -> Result<JsonBody<ListImagesResponse>, ApiError> {
    let images = state.images.list().await?;
    Ok(JsonBody(ListImagesResponse { items: images.iter().map(map::image).collect() }))
}

/// Pull an image
///
/// Fetches it from its registry, even if one of that name is here already. Answers when it is unpacked; what is here of
/// it is not fetched again.
#[utoipa::path(
    post,
    path = "/v1/images/pull",
    tag = "Images",
    request_body = PullImageRequest,
    responses(
        (status = 200, description = "The image is here.", body = StoredImage),
        (status = 400, description = "The reference is malformed, or the registry's image cannot be used.", body = ErrorResponse),
        (status = 404, description = "The registry has no such image, tag or platform.", body = ErrorResponse),
        (status = 429, description = "The disk has no room for it.", body = ErrorResponse),
        (status = 503, description = "The registry cannot be reached.", body = ErrorResponse),
        (status = 504, description = "The registry stopped answering.", body = ErrorResponse),
    ),
)]
async fn pull_image(
    State(state): State<ApiState>,
    Json(request): Json<PullImageRequest>,
) -> Result<JsonBody<StoredImage>, ApiError> {
    let wanted = validate::pull(&request, &state.rules)?;
    let credentials = wanted.credentials.as_ref().map(registry_credentials);
    let platform = wanted.platform.as_ref().map(image_platform);
    let image =
        state.images.pull(&wanted.reference, credentials, platform, None, ProgressSink::none()).await?;
    Ok(JsonBody(map::image(&image)))
}

/// Push an image
///
/// Sends it to a registry; what the registry has is not sent again. Answers when it is there. Layers are packed anew, so
/// that the image may have another id there: the digests it lists are those of what was sent.
#[utoipa::path(
    post,
    path = "/v1/images/push",
    tag = "Images",
    request_body = PushImageRequest,
    responses(
        (status = 200, description = "The image is in the registry.", body = PushImageResponse),
        (status = 400, description = "A reference is malformed, or the registry refuses the image.", body = ErrorResponse),
        (status = 404, description = "There is no such image here.", body = ErrorResponse),
        (status = 429, description = "The disk has no room for a layer on its way.", body = ErrorResponse),
        (status = 503, description = "The registry cannot be reached.", body = ErrorResponse),
        (status = 504, description = "The registry stopped answering.", body = ErrorResponse),
    ),
)]
async fn push_image(
    State(state): State<ApiState>,
    Json(request): Json<PushImageRequest>,
) -> Result<JsonBody<PushImageResponse>, ApiError> {
    let wanted = validate::push(&request)?;
    let credentials = wanted.credentials.as_ref().map(registry_credentials);
    let target = wanted.target.as_deref();
    let pushed = state.images.push(&wanted.reference, target, credentials, ProgressSink::none()).await?;
    Ok(JsonBody(PushImageResponse { reference: pushed }))
}

/// Export an image
///
/// The body is an OCI layout as tar that is a docker archive as well. It is made while it is sent: an answer that breaks
/// off is no archive.
#[utoipa::path(
    get,
    path = "/v1/images/export",
    tag = "Images",
    params(("reference" = String, Query, description = "Name, digest or id.")),
    responses(
        (status = 200, description = "The archive.", content_type = "application/x-tar"),
        (status = 400, description = "The reference is missing or malformed.", body = ErrorResponse),
        (status = 404, description = "There is no such image here.", body = ErrorResponse),
    ),
)]
async fn export_image(State(state): State<ApiState>, query: Query) -> Result<Response, ApiError> {
    let reference = query.one("reference").ok_or_else(|| ApiError::invalid("reference", "is required"))?;
    let mut pieces = state.images.export_stream(reference).await?;
    let body = Body::from_stream(poll_fn(move |context| pieces.poll_recv(context)));
    Ok(([(CONTENT_TYPE, "application/x-tar")], body).into_response())
}

/// Import images
///
/// The body is a docker archive or an OCI layout as tar, plain or compressed with gzip or zstd.
#[utoipa::path(
    post,
    path = "/v1/images/import",
    tag = "Images",
    params(("name" = Option<Vec<String>>, Query, style = Form, explode,
        description = "Names instead of those in the archive, which must then hold a single image; may repeat.")),
    request_body(content_type = "application/x-tar", description = "The archive."),
    responses(
        (status = 200, description = "The images of the archive.", body = ImportImagesResponse),
        (status = 400, description = "The archive or a name cannot be used.", body = ErrorResponse),
        (status = 429, description = "The disk has no room for it.", body = ErrorResponse),
    ),
)]
async fn import_images(
    State(state): State<ApiState>,
    query: Query,
    request: Request,
) -> Result<JsonBody<ImportImagesResponse>, ApiError> {
    let names: Vec<String> = query.all("name").map(str::to_owned).collect();
    let body = Body::new(TimeoutBody::new(UPLOAD_STALL, request.into_body()));
    let archive = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    let images = state.images.import_stream(Box::pin(archive), &names).await?;
    Ok(JsonBody(ImportImagesResponse { items: images.iter().map(map::image).collect() }))
}

/// Delete an image
///
/// Takes the name away, and the image with its last name. An image that a sandbox uses stays.
#[utoipa::path(
    delete,
    path = "/v1/images/{*reference}",
    tag = "Images",
    params(("reference" = String, Path, description = "Name, digest or id; slashes need no escaping.")),
    responses(
        (status = 204, description = "The name is gone."),
        (status = 400, description = "The reference is malformed.", body = ErrorResponse),
        (status = 404, description = "There is no such image here.", body = ErrorResponse),
        (status = 409, description = "A sandbox uses the image.", body = ErrorResponse),
    ),
)]
async fn delete_image(
    State(state): State<ApiState>,
    PathMember(reference): PathMember,
) -> Result<StatusCode, ApiError> {
    state.images.remove(&reference).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<ImageError> for ApiError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::NotFound(message) => Self::new(Code::ImageNotFound, message),
            ImageError::InUse(message) => Self::new(Code::ImageInUse, message),
            other => library::problem(other).into(),
        }
    }
}
