//! The OpenAPI document of this server.

use sandkeep_specs::lifecycle::{API_KEY_HEADER, ErrorResponse};
use utoipa::{
    OpenApi, PartialSchema, ToSchema,
    openapi::{
        Content, Header, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, ServerBuilder,
        path::{Operation, PathItem},
        schema::Type,
        security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use super::{routes, state::ApiState};

const SECURITY_SCHEME: &str = "apiKeyAuth";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sandkeep lifecycle server",
        description = "Creates, finds, renews and removes sandboxes, and forwards requests into them."
    ),
    tags(
        (name = "Sandboxes", description = "Isolated places to run code in."),
        (name = "Snapshots", description = "What sandboxes have written, kept to start others from."),
        (name = "Proxy", description = "Requests forwarded into a sandbox."),
        (name = "Images", description = "What sandboxes start from. An extension of the common contract."),
        (name = "Metrics", description = "What clients measure."),
        (name = "System", description = "The server itself."),
    )
)]
struct Base;

/// All routes, by what they ask of their callers, and the document of them all.
pub(super) struct Surface {
    pub(super) protected: axum::Router<ApiState>,
    pub(super) proxied: axum::Router<ApiState>,
    pub(super) public: axum::Router<ApiState>,
    pub(super) document: utoipa::openapi::OpenApi,
}

pub(super) fn surface() -> Surface {
    let (protected, mut document) =
        OpenApiRouter::with_openapi(Base::openapi()).merge(routes::protected()).split_for_parts();
    let (proxied, of_proxied) = routes::proxied().split_for_parts();
    let (public, of_public) = routes::public().split_for_parts();
    document.merge(of_proxied);
    document.merge(of_public);
    complete(&mut document);
    Surface { protected, proxied, public, document }
}

/// The document alone, as it is exported and served.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    surface().document
}

/// What is true of every operation is said once, here.
fn complete(document: &mut utoipa::openapi::OpenApi) {
    document.servers = Some(vec![ServerBuilder::new().url("/").build()]);
    document.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(SECURITY_SCHEME, [])]);
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        SECURITY_SCHEME,
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
            API_KEY_HEADER,
            "The server's API key.",
        ))),
    );
    components.schemas.insert(ErrorResponse::name().into_owned(), ErrorResponse::schema());
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths
        .into_iter()
        .map(|(path, mut item)| {
            for operation in operations(&mut item) {
                complete_operation(operation);
            }
            // The router marks a parameter that spans segments with a star; the document has no such notion.
            (path.replace("{*", "{"), item)
        })
        .collect();
}

fn complete_operation(operation: &mut Operation) {
    let is_public = operation.security.is_some();
    let responses = &mut operation.responses.responses;
    if !is_public {
        let mut add = |status: &str, description: &str| {
            responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(error(description)));
        };
        add("401", "The API key is missing or wrong.");
        add("403", "The caller may not do this.");
        add("500", "The server failed; its log says why.");
    }
    for response in responses.values_mut() {
        if let RefOr::T(response) = response {
            response.headers.insert("X-Request-ID".to_owned(), RefOr::T(request_id()));
        }
    }
}

fn error(description: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name(ErrorResponse::name())));
    ResponseBuilder::new().description(description).content("application/json", content).build()
}

fn request_id() -> Header {
    Header::new(
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The request's own X-Request-ID, or a new one."))
            .build(),
    )
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.options,
        &mut item.head,
        &mut item.patch,
        &mut item.trace,
    ]
    .into_iter()
    .flatten()
}
