//! The documents and the pages that show them, all from the binary.

use std::{
    io::Read,
    sync::{Arc, LazyLock},
};

use axum::{
    Router,
    body::Bytes,
    http::{
        HeaderMap, HeaderName,
        header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{Html, IntoResponse, Response},
    routing::get,
};
use flate2::read::GzDecoder;
use utoipa::openapi::OpenApi;

use super::{
    document::diagnostics_document,
    error::{ApiError, Code},
    execd_document,
    extract::PathMember,
    state::ApiState,
};

const DOCS_PAGE: &str = include_str!("../../assets/docs.html");
const REDOC_PAGE: &str = include_str!("../../assets/redoc.html");
const REDOC_SCRIPT: &[u8] = include_bytes!("../../assets/redoc/redoc.standalone.js.gz");
/// Nothing comes from another host; requests tried out may go to any.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
                           img-src 'self' data:; worker-src 'self' blob:; connect-src *; frame-ancestors 'none'";
const JSON: &str = "application/json";
const SCRIPT: &str = "text/javascript; charset=utf-8";
/// The files change only with the server.
const CACHE: (HeaderName, &str) = (CACHE_CONTROL, "public, max-age=3600");

pub(super) fn router(document: &OpenApi) -> Router<ApiState> {
    // The text takes a hundredth of what the document takes.
    let text = serde_json::to_vec(document).map(Bytes::from).unwrap_or_default();
    let diagnostics = serde_json::to_vec(&diagnostics_document()).map(Bytes::from).unwrap_or_default();
    Router::new()
        .route("/openapi/diagnostics.json", get(|| async { ([(CONTENT_TYPE, JSON)], diagnostics) }))
        .route("/openapi.json", get(|| async { ([(CONTENT_TYPE, JSON)], text) }))
        .route("/openapi/execd.json", get(|| async { ([(CONTENT_TYPE, JSON)], EXECD_DOCUMENT.clone()) }))
        .route("/docs", get(|| page(DOCS_PAGE)))
        .route("/docs/", get(|| page(DOCS_PAGE)))
        .route("/docs/{file}", get(swagger_file))
        .route("/redoc", get(|| page(REDOC_PAGE)))
        .route("/redoc/redoc.standalone.js", get(redoc_script))
}

static EXECD_DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| execd_document::through_the_proxy().to_string().into());

async fn page(html: &'static str) -> Response {
    ([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(html)).into_response()
}

async fn swagger_file(PathMember(name): PathMember, headers: HeaderMap) -> Result<Response, ApiError> {
    let file = utoipa_swagger_ui::serve(&name, Arc::default()).map_err(ApiError::internal)?;
    let file = file.ok_or_else(|| {
        let shown: String = name.chars().take(100).collect();
        ApiError::new(Code::RouteNotFound, format!("there is nothing at /docs/{shown}"))
    })?;
    let content_type = [(CONTENT_TYPE, file.content_type)];
    if file.gzpipped {
        return Ok((content_type, gzipped(file.bytes.into_owned().into(), &headers)?).into_response());
    }
    Ok((content_type, [CACHE], file.bytes.into_owned()).into_response())
}

async fn redoc_script(headers: HeaderMap) -> Result<Response, ApiError> {
    Ok(([(CONTENT_TYPE, SCRIPT)], gzipped(Bytes::from_static(REDOC_SCRIPT), &headers)?).into_response())
}

/// As it is for those who take gzip, unpacked for the others.
fn gzipped(bytes: Bytes, headers: &HeaderMap) -> Result<Response, ApiError> {
    let takes_gzip = headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|coding| coding.trim().split(';').next() == Some("gzip")));
    if takes_gzip {
        return Ok(([CACHE, (CONTENT_ENCODING, "gzip")], bytes).into_response());
    }
    let mut plain = Vec::new();
    GzDecoder::new(&bytes[..]).read_to_end(&mut plain).map_err(ApiError::internal)?;
    Ok(([CACHE], plain).into_response())
}
