//! The OpenAPI document of this server.

use std::collections::BTreeSet;

use sandkeep_specs::lifecycle::{API_KEY_HEADER, ErrorResponse};
use utoipa::{
    OpenApi, PartialSchema, ToSchema,
    openapi::{
        Content, Header, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, ServerBuilder,
        path::{Operation, ParameterIn, PathItem},
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
        (name = "Diagnostics", description = "What sandboxes print and what happens to them."),
        (name = "Events", description = "What happens, as it happens. An extension of the common contract."),
        (name = "Pools", description = "Sandboxes started before they are asked for."),
        (name = "Templates", description = "What sandboxes are made of, under an id."),
        (name = "Metrics", description = "What sandboxes use and clients measure."),
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

/// The tag of the operations that have a document of their own as well.
const DIAGNOSTICS: &str = "Diagnostics";

/// The Diagnostics API on its own: the same operations, and of the types only those they name.
#[must_use]
pub fn diagnostics_document() -> utoipa::openapi::OpenApi {
    let mut document = document();
    document.info.title = "Sandkeep diagnostics".to_owned();
    document.info.description = Some("What sandboxes print and what happens to them.".to_owned());
    document.tags.iter_mut().for_each(|tags| tags.retain(|tag| tag.name == DIAGNOSTICS));
    document.paths.paths.retain(|_, item| {
        operations(item).all(|operation| operation.tags.iter().flatten().any(|tag| tag == DIAGNOSTICS))
    });
    if let Some(components) = &mut document.components {
        let paths = serde_json::to_string(&document.paths).unwrap_or_default();
        let texts: Vec<(String, String)> = components
            .schemas
            .iter()
            .map(|(name, schema)| (name.clone(), serde_json::to_string(schema).unwrap_or_default()))
            .collect();
        let mut named: Vec<&str> = vec![&paths];
        let mut known = BTreeSet::new();
        while let Some(text) = named.pop() {
            for (name, schema) in &texts {
                if text.contains(&format!("\"#/components/schemas/{name}\"")) && known.insert(name.clone()) {
                    named.push(schema);
                }
            }
        }
        components.schemas.retain(|name, _| known.contains(name));
    }
    document
}

/// Statuses of refusals that may pass by themselves.
const RETRIED: [&str; 2] = ["429", "503"];

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
            let mut read = item.get.take();
            read.iter_mut().for_each(|operation| complete_operation(operation, false));
            operations(&mut item).for_each(|operation| complete_operation(operation, true));
            item.get = read;
            // The router marks a parameter that spans segments with a star; the document has no such notion.
            (path.replace("{*", "{"), item)
        })
        .collect();
}

fn complete_operation(operation: &mut Operation, changes: bool) {
    let needs_key = operation.security.is_none();
    let has_members = operation.parameters.iter().flatten().any(
        |parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path),
    );
    let has_json = operation
        .request_body
        .as_ref()
        .is_some_and(|body| matches!(body, RefOr::T(body) if body.content.contains_key("application/json")));
    let responses = &mut operation.responses.responses;
    // What is forwarded may answer anything; its document says so.
    if !responses.contains_key("default") {
        let mut add = |status: &str, description: &str| {
            responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(error(description)));
        };
        if needs_key {
            add("401", "The API key is missing or wrong.");
            add("403", "The caller may not do this.");
        }
        if has_members || has_json {
            add("400", "The request cannot be read; the message says what is wrong and where.");
        }
        if has_json {
            add("408", "The body did not arrive in time.");
            add("413", "The body is too large.");
        }
        if changes {
            add("429", "The host has no room for it.");
        }
        add("500", "The server failed; its log says why.");
        add("503", "The server, or what it needs for this, cannot do it now.");
    }
    for (status, response) in responses.iter_mut() {
        if let RefOr::T(response) = response {
            response.headers.insert("X-Request-ID".to_owned(), RefOr::T(request_id()));
            if RETRIED.contains(&status.as_str()) {
                response.headers.insert("Retry-After".to_owned(), RefOr::T(retry_after()));
            }
            if let Some(header) = response.headers.get_mut("Deprecation") {
                *header = RefOr::T(deprecation());
            }
        }
    }
}

fn error(description: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name(ErrorResponse::name())));
    ResponseBuilder::new().description(description).content("application/json", content).build()
}

fn retry_after() -> Header {
    Header::new(
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .description(Some("Seconds to wait. Absent where waiting alone helps nobody."))
            .build(),
    )
}

fn request_id() -> Header {
    Header::new(
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The request's own X-Request-ID, or a new one."))
            .build(),
    )
}

/// The macros of routes know no headers with a single value.
fn deprecation() -> Header {
    Header::new(
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(["true"]))
            .description(Some("Present on plain text that was not asked for by scope."))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::error::{ApiError, Code};

    /// What any operation with a key, that changes something, or that has a JSON body, may be refused with, by parts of
    /// the server that know no operations; and where that is written down.
    #[test]
    fn refusals_of_any_operation_are_documented_on_every_operation() {
        use Code::*;
        let everywhere = [Internal, TooManyRequests];
        let with_key = [
            MissingApiKey,
            InvalidApiKey,
            TenantProviderUnavailable,
            Forbidden,
            StoreUnavailable,
            ReadOnly,
            ServerAway,
            ShuttingDown,
        ];
        let with_body = [InvalidParameter, PayloadTooLarge, RequestTimeout];
        let document = serde_json::to_value(document()).unwrap();
        let mut seen = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let responses = &operation["responses"];
                if !responses["default"].is_null() {
                    continue;
                }
                let mut expected = everywhere.to_vec();
                if operation.get("security").is_none() {
                    expected.extend(with_key);
                }
                if !operation["requestBody"]["content"]["application/json"].is_null() {
                    expected.extend(with_body);
                }
                if method != "get" {
                    expected.push(CapacityExhausted);
                }
                for code in expected {
                    let status = ApiError::new(code, "").status();
                    let response = &responses[status.as_str()];
                    let has_header = !response["headers"]["Retry-After"].is_null();
                    assert!(!response.is_null(), "{method} {path}: {code:?} is not documented");
                    assert_eq!(has_header, RETRIED.contains(&status.as_str()), "{method} {path} {status}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 400, "{seen}");
    }

    #[test]
    fn the_diagnostics_document_is_a_whole_of_its_own() {
        let document = diagnostics_document();
        assert_eq!(document.paths.paths.len(), 4);
        let schemas: Vec<String> = document.components.as_ref().unwrap().schemas.keys().cloned().collect();
        assert_eq!(
            schemas,
            ["DiagnosticContentResponse", "DiagnosticDelivery", "DiagnosticKind", "ErrorResponse"]
        );
        let text = serde_json::to_string(&document).unwrap();
        let named = text.matches("#/components/schemas/").count();
        let found: usize =
            schemas.iter().map(|name| text.matches(&format!("/schemas/{name}\"")).count()).sum();
        assert_eq!(named, found);
    }
}
