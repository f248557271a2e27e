//! The proxy's part of the document: the same operation for every method, with and without a path.

use utoipa::openapi::{
    Content, HttpMethod, OpenApi, OpenApiBuilder, PathItem, Paths, Ref, Required, Response, ResponseBuilder,
    extensions::ExtensionsBuilder,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::{ObjectBuilder, Type},
};

const DESCRIPTION: &str = "Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. \
     `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is \
     everything after it.";

/// Method, name and whether requests of the kind have a body.
const METHODS: [(HttpMethod, &str, bool); 7] = [
    (HttpMethod::Get, "Get", false),
    (HttpMethod::Post, "Post", true),
    (HttpMethod::Put, "Put", true),
    (HttpMethod::Patch, "Patch", true),
    (HttpMethod::Delete, "Delete", true),
    (HttpMethod::Head, "Head", false),
    (HttpMethod::Options, "Options", false),
];

/// The document's part.
pub(super) fn openapi() -> OpenApi {
    let mut paths = Paths::new();
    for (path, suffix, names) in
        [("/proxy/{port}", "", &["port"][..]), ("/proxy/{port}/{path}", "Path", &["port", "path"])]
    {
        let mut item = PathItem::default();
        for (method, name, has_body) in METHODS {
            let id = format!("localProxy{name}{suffix}");
            let operation = operation(id, names, method == HttpMethod::Get, has_body);
            item.merge_operations(PathItem::new(method, operation));
        }
        paths.paths.insert(path.to_owned(), item);
    }
    OpenApiBuilder::new().paths(paths).build()
}

fn operation(id: String, names: &[&str], websocket: bool, has_body: bool) -> Operation {
    let anything = || Content::builder().build();
    let mut operation = OperationBuilder::new()
        .tag("Proxy")
        .operation_id(Some(id))
        .summary(Some("Forwards a request to a port of the sandbox"))
        .description(Some(DESCRIPTION))
        .response("default", described("What the program answered").content("*/*", anything()))
        .response("400", text("The port is not a number from 1 to 65535"))
        .response("401", refused())
        .response("502", text("Nothing accepts connections there, or it broke off"))
        .response("504", text("The program did not answer in time"));
    for name in names {
        operation = operation.parameter(parameter(name));
    }
    if has_body {
        let body = RequestBodyBuilder::new().required(Some(Required::False)).content("*/*", anything());
        operation = operation.request_body(Some(body.build()));
    }
    if websocket {
        operation = operation.extensions(Some(ExtensionsBuilder::new().add("x-websocket", true).build()));
    }
    operation.build()
}

fn parameter(name: &str) -> Parameter {
    let description = match name {
        "port" => "Port of the program, 1 to 65535",
        _ => "Path to ask the program for; may hold slashes",
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .build()
}

fn described(description: &str) -> ResponseBuilder {
    ResponseBuilder::new().description(description)
}

fn text(description: &str) -> Response {
    let schema = ObjectBuilder::new().schema_type(Type::String).build();
    described(description).content("text/plain", Content::builder().schema(Some(schema)).build()).build()
}

fn refused() -> Response {
    let schema = Ref::from_schema_name("TokenRejected");
    let content = Content::builder().schema(Some(schema)).build();
    described("Token refused").content("application/json", content).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_there_under_its_own_name() {
        let document = serde_json::to_value(openapi()).unwrap();
        let mut ids = Vec::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                ids.push(operation["operationId"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(ids.len(), 14);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 14);
        assert_eq!(document["paths"]["/proxy/{port}"]["get"]["x-websocket"], true);
    }
}
