//! What the API answers, over a real socket and a runtime in memory.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod http_support;
mod support;

use std::{path::Path, sync::atomic::Ordering, time::Duration};

use http_support::{KEY, KEY_HEADER, Server, error_of, request};
use lifecycle_server::{
    config::Config,
    sandbox::{Filter, PageRequest},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn a_sandbox_from_create_to_delete() {
    let server = Server::start().await;
    let body = request(json!({
        "metadata": {"team": "x"}, "extensions": {"opensandbox.extensions.a": "1", "other": "2"},
    }));
    let response = server.post("/v1/sandboxes", &body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let created: Value = response.json().await.unwrap();
    let id = created["id"].as_str().unwrap();
    assert_eq!(location, format!("/v1/sandboxes/{id}"));
    assert_eq!(created["status"]["state"], "Running");
    assert_eq!(created["metadata"], json!({"team": "x"}));
    assert_eq!(created["entrypoint"], json!(["sleep", "inf"]));
    assert_eq!(created["extensions"], json!({"opensandbox.extensions.a": "1"}));
    assert!(created.get("platform").is_none() && created.get("image").is_none());
    let created_at: chrono::DateTime<chrono::Utc> = created["createdAt"].as_str().unwrap().parse().unwrap();
    let expires_at: chrono::DateTime<chrono::Utc> = created["expiresAt"].as_str().unwrap().parse().unwrap();
    assert_eq!((expires_at - created_at).num_seconds(), 600);

    let got: Value = server.get(&location).send().await.unwrap().json().await.unwrap();
    assert_eq!(got["image"], json!({"uri": "python:3.12"}));
    assert_eq!(got["status"], created["status"]);
    assert!(!got.to_string().contains("null"), "{got}");

    let delete = || server.request(Method::DELETE, &location).send();
    let response = delete().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(response.bytes().await.unwrap().is_empty());
    let (status, code, message) = error_of(delete().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (404, "SANDBOX::NOT_FOUND"));
    assert!(message.contains(id));
    assert!(server.runtime.is_empty());
}

#[tokio::test]
async fn optional_members_are_left_out_and_never_null() {
    let server = Server::start().await;
    let body = request(json!({"timeout": null, "platform": null, "env": null, "snapshotId": null}));
    let created: Value = server.post("/v1/sandboxes", &body).send().await.unwrap().json().await.unwrap();
    for member in ["expiresAt", "metadata", "extensions", "platform"] {
        assert!(created.get(member).is_none(), "{member} in {created}");
    }
}

#[tokio::test]
async fn only_the_key_opens_the_api() {
    let server = Server::start().await;
    for path in
        ["/v1/sandboxes", "/v1/sandboxes/x", "/v1/images", "/v1/health", "/healthz", "/docsx", "/nothing"]
    {
        let (status, code, _) = error_of(server.bare(Method::GET, path).send().await.unwrap()).await;
        assert_eq!((status, code.as_str()), (401, "MISSING_API_KEY"), "{path}");
        let wrong = server.bare(Method::GET, path).header(KEY_HEADER, "guess").send().await.unwrap();
        let (status, code, _) = error_of(wrong).await;
        assert_eq!((status, code.as_str()), (401, "INVALID_API_KEY"), "{path}");
    }
    for path in ["/health", "/version", "/metrics", "/openapi.json", "/openapi/execd.json", "/docs", "/redoc"]
    {
        let response = server.bare(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
    let health: Value = server.bare(Method::GET, "/health").send().await.unwrap().json().await.unwrap();
    assert_eq!(health, json!({"status": "healthy"}));
}

#[tokio::test]
async fn a_server_without_a_key_lets_everybody_in() {
    let config = Config::parse("", Path::new("test.toml"), &|_: &str| None).unwrap();
    let server = Server::start_from(&config).await;
    let response = server.bare(Method::GET, "/v1/sandboxes").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let server = Server::start().await;
    let id_for = async |path: &str, sent: Option<&str>| {
        let mut request = server.bare(Method::GET, path);
        if let Some(sent) = sent {
            request = request.header("x-request-id", sent);
        }
        request.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id_for("/health", Some(" any text ")).await, "any text");
    assert_eq!(id_for("/v1/sandboxes", Some("a-401")).await, "a-401");
    for sent in [None, Some("  ")] {
        let fresh = id_for("/nothing", sent).await;
        assert!(fresh.len() == 32 && fresh.bytes().all(|byte| byte.is_ascii_hexdigit()), "{fresh}");
    }
    let first = id_for("/health", None).await;
    assert_ne!(first, id_for("/health", None).await);
}

#[tokio::test]
async fn other_origins_may_use_the_api_with_credentials() {
    let server = Server::start().await;
    let origin = "https://app.example";
    let preflight = server
        .bare(Method::OPTIONS, "/v1/sandboxes")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "open-sandbox-api-key,content-type")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), StatusCode::OK);
    let headers = preflight.headers();
    assert_eq!(headers["access-control-allow-origin"], origin);
    assert_eq!(headers["access-control-allow-credentials"], "true");
    assert_eq!(headers["access-control-allow-headers"], "open-sandbox-api-key,content-type");
    assert!(headers["access-control-allow-methods"].to_str().unwrap().contains("POST"));

    let refused = server.bare(Method::GET, "/v1/sandboxes").header("origin", origin).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["access-control-allow-origin"], origin);
    assert!(
        refused.headers()["access-control-expose-headers"].to_str().unwrap().contains("OPEN-SANDBOX-ORIGIN")
    );

    let plain = server.get("/health").send().await.unwrap();
    assert!(plain.headers().get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn unknown_paths_and_methods_have_the_contracts_shape() {
    let server = Server::start().await;
    let (status, code, message) = error_of(server.get("/v1/nothing").send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (404, "GENERAL::NOT_FOUND"));
    assert!(message.contains("/v1/nothing"));
    for (method, path, allowed) in [
        (Method::PUT, "/v1/sandboxes", "POST"),
        (Method::PATCH, "/v1/sandboxes/x", "DELETE"),
        (Method::POST, "/health", "GET"),
        (Method::OPTIONS, "/v1/sandboxes/x/proxy/80", "PATCH"),
        (Method::HEAD, "/v1/sandboxes/x/proxy/80", "PATCH"),
    ] {
        let is_head = method == Method::HEAD;
        let response = server.request(method, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allow = response.headers()["allow"].to_str().unwrap().to_owned();
        assert!(allow.contains(allowed), "{path}: {allow}");
        if !is_head {
            assert_eq!(error_of(response).await.1, "GENERAL::METHOD_NOT_ALLOWED");
        }
    }
}

#[tokio::test]
async fn bad_bodies_are_refused_with_what_and_where() {
    let server = Server::start().await;
    let refused = async |content_type: Option<&str>, body: String| {
        let mut request = server.request(Method::POST, "/v1/sandboxes").body(body);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        error_of(request.send().await.unwrap()).await
    };
    let json = Some("application/json");
    for (content_type, body, status, part) in [
        (json, "{".to_owned(), 400, "body: EOF"),
        (json, "nonsense".to_owned(), 400, "line 1 column 2"),
        (json, String::new(), 400, "body: is empty"),
        (json, "[]".to_owned(), 400, "body: must be a JSON object"),
        (json, r#"{"timeout": "soon"}"#.to_owned(), 400, "timeout: "),
        (json, r#"{"timeout": 99999999999999999999999}"#.to_owned(), 400, "timeout: "),
        (json, r#"{"image": {"uri": 5}}"#.to_owned(), 400, "image.uri: "),
        (json, r#"{"env": {"A": ["x"]}}"#.to_owned(), 400, "env.A: "),
        (Some("text/plain"), request(json!({})).to_string(), 400, "Content-Type: "),
        (None, r#"{"image": null}"#.to_owned(), 400, "image: is required"),
        (json, " ".repeat((1 << 20) + 1), 413, "at most 1048576 bytes"),
        (json, request(json!({"metadata": {"k".repeat(300): "v"}})).to_string(), 400, "metadata: key"),
        (json, request(json!({"entrypoint": ["/bin/\u{0}sh"]})).to_string(), 400, "entrypoint[0]: "),
        (
            json,
            request(json!({"resourceLimits": {"memory": "lots"}})).to_string(),
            400,
            "resourceLimits.memory: ",
        ),
        (json, "[".repeat(100_000), 400, "body: "),
        (json, r#"{"env":"#.repeat(100_000), 400, "env: "),
    ] {
        let shown: String = body.chars().take(60).collect();
        let (got, code, message) = refused(content_type, body).await;
        assert_eq!(got, status, "{shown}: {code} {message}");
        assert!(message.contains(part), "{shown}: {message}");
        assert!(message.len() < 600, "{shown}: a message of {} bytes", message.len());
    }
    assert!(server.runtime.is_empty());
}

#[tokio::test]
async fn failures_of_a_create_leave_nothing() {
    let server = Server::start().await;
    let missing = server.post("/v1/sandboxes", &request(json!({"image": {"uri": "missing:1"}})));
    let (status, code, message) = error_of(missing.send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (400, "SANDBOX::IMAGE_PULL_FAILED"));
    assert!(message.contains("missing:1"), "{message}");
    server.runtime.fail_launch.store(true, Ordering::SeqCst);
    let (status, code, _) =
        error_of(server.post("/v1/sandboxes", &request(json!({}))).send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (400, "SANDBOX::START_FAILED"));
    let list: Value = server.get("/v1/sandboxes").send().await.unwrap().json().await.unwrap();
    assert_eq!(list["items"], json!([]));
    assert!(server.runtime.is_empty());
}

#[tokio::test]
async fn a_slow_image_is_answered_pending_and_has_an_endpoint_already() {
    let server = Server::start().await;
    let id = server.create(json!({"image": {"uri": "slow:1"}})).await;
    let path = format!("/v1/sandboxes/{id}");
    let state = async || -> Value { server.get(&path).send().await.unwrap().json().await.unwrap() };
    assert_eq!(state().await["status"]["state"], "Pending");
    let endpoint = server.get(&format!("{path}/endpoints/44772")).send().await.unwrap();
    assert_eq!(endpoint.status(), StatusCode::OK);
    let through = server.get(&format!("{path}/proxy/44772/ping")).send().await.unwrap();
    assert_eq!(error_of(through).await.1, "BACKEND_CONNECTION_FAILED");
    server.images.slow_ones.notify_one();
    for _ in 0..100 {
        if state().await["status"]["state"] == "Running" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still {}", state().await);
}

#[tokio::test]
async fn any_unknown_id_is_simply_not_found() {
    let server = Server::start().await;
    for id in ["not-an-id", "a%00b", "..%2F..", &"x".repeat(5000), "0b5c1c1e-8f53-4ad2-8a52-5f2c1a0f6c11"] {
        for (method, rest) in [(Method::GET, ""), (Method::DELETE, ""), (Method::GET, "/endpoints/80")] {
            let response = server.request(method, &format!("/v1/sandboxes/{id}{rest}")).send().await.unwrap();
            let (status, code, message) = error_of(response).await;
            assert_eq!((status, code.as_str()), (404, "SANDBOX::NOT_FOUND"), "{id}");
            assert!(message.len() < 300);
        }
    }
}

#[tokio::test]
async fn lists_have_pages_and_filters() {
    let server = Server::start().await;
    for number in 0..5 {
        let parity = if number % 2 == 0 { "even" } else { "odd" };
        server.create(json!({"metadata": {"n": number.to_string(), "parity": parity, "a.b/c": "x"}})).await;
    }
    let list = async |query: &str| -> Value {
        let response = server.get(&format!("/v1/sandboxes?{query}")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{query}");
        response.json().await.unwrap()
    };
    let numbers = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap();
        items.iter().map(|item| item["metadata"]["n"].as_str().unwrap().to_owned()).collect()
    };
    let first = list("pageSize=2").await;
    assert_eq!(numbers(&first), ["4", "3"], "newest first");
    assert_eq!(
        first["pagination"],
        json!({"page": 1, "pageSize": 2, "totalItems": 5, "totalPages": 3, "hasNextPage": true})
    );
    assert_eq!(numbers(&list("pageSize=2&page=3").await), ["0"]);
    let past = list("page=99&pageSize=2").await;
    assert_eq!((&past["items"], &past["pagination"]["hasNextPage"]), (&json!([]), &json!(false)));
    assert_eq!(list("").await["pagination"]["pageSize"], 20);
    assert_eq!(numbers(&list("metadata=parity%3Dodd").await), ["3", "1"]);
    assert_eq!(numbers(&list("metadata=parity%3Dodd%26n%3D1").await), ["1"]);
    assert!(numbers(&list("metadata=parity%3Dodd%26parity%3Deven").await).is_empty(), "every pair counts");
    assert_eq!(numbers(&list("metadata=parity%3Dodd%26parity%3Dodd").await), ["3", "1"]);
    assert_eq!(numbers(&list("metadata=a.b%252Fc%3Dx%26n%3D2").await), ["2"]);
    assert_eq!(list("state=rUnning&state=Failed").await["pagination"]["totalItems"], 5);
    assert_eq!(list("state=Nonsense").await["pagination"]["totalItems"], 0);
    for (query, code, part) in [
        ("page=0", "SANDBOX::INVALID_PARAMETER", "page: "),
        ("pageSize=201", "SANDBOX::INVALID_PARAMETER", "pageSize: "),
        ("pageSize=many", "SANDBOX::INVALID_PARAMETER", "pageSize: "),
        ("metadata=plain", "INVALID_METADATA_FORMAT", "metadata: "),
    ] {
        let response = server.get(&format!("/v1/sandboxes?{query}")).send().await.unwrap();
        let (status, got, message) = error_of(response).await;
        assert_eq!((status, got.as_str()), (400, code), "{query}");
        assert!(message.starts_with(part), "{query}: {message}");
    }
}

#[tokio::test]
async fn expiry_can_be_moved_if_there_is_one() {
    let server = Server::start().await;
    let id = server.create(json!({})).await;
    let renew = async |id: &str, at: &str| {
        let path = format!("/v1/sandboxes/{id}/renew-expiration");
        server.post(&path, &json!({"expiresAt": at})).send().await.unwrap()
    };
    for at in ["2099-01-31T12:00:00Z", "2098-01-31T13:00:00+01:00", "2097-01-31T12:00:00"] {
        let response = renew(&id, at).await;
        assert_eq!(response.status(), StatusCode::OK, "{at}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body, json!({"expiresAt": format!("{}-01-31T12:00:00Z", &at[..4])}));
    }
    let (status, code, _) = error_of(renew(&id, "2001-01-01T00:00:00Z").await).await;
    assert_eq!((status, code.as_str()), (400, "SANDBOX::INVALID_EXPIRATION"));
    let (status, _, message) = error_of(renew(&id, "tomorrow").await).await;
    assert!(status == 400 && message.starts_with("expiresAt: "), "{message}");
    assert_eq!(error_of(renew("unknown", "2099-01-31T12:00:00Z").await).await.0, 404);
    let eternal = server.create(json!({"timeout": null})).await;
    assert_eq!(error_of(renew(&eternal, "2099-01-31T12:00:00Z").await).await.0, 409);
}

#[tokio::test]
async fn metadata_is_patched_by_merging() {
    let server = Server::start().await;
    let id = server.create(json!({"metadata": {"a": "1", "b": "2"}})).await;
    let patch = async |body: Value| {
        let path = format!("/v1/sandboxes/{id}/metadata");
        server.request(Method::PATCH, &path).json(&body).send().await.unwrap()
    };
    let patched: Value = patch(json!({"b": null, "c": "3", "absent": null})).await.json().await.unwrap();
    assert_eq!(patched["metadata"], json!({"a": "1", "c": "3"}));
    assert_eq!(patched["id"], id.as_str());
    let unchanged: Value = patch(json!({})).await.json().await.unwrap();
    assert_eq!(unchanged["metadata"], json!({"a": "1", "c": "3"}));
    // Neither at once nor bit by bit can there be more than a create takes.
    let many = |round: u32| -> Value {
        let pair = |n| (format!("{}{round}.{n:04}", "k".repeat(50)), json!("v".repeat(60)));
        Value::Object((0..1000).map(pair).collect())
    };
    assert_eq!(patch(many(1)).await.status(), 200);
    assert_eq!(patch(many(2)).await.status(), 200);
    let (status, code, message) = error_of(patch(many(3)).await).await;
    assert_eq!((status, code.as_str()), (400, "INVALID_METADATA_LABEL"), "{message}");
    assert!(message.starts_with("metadata: "), "{message}");
    let kept: Value = patch(json!({})).await.json().await.unwrap();
    assert_eq!(kept["metadata"].as_object().unwrap().len(), 2002);
    for (body, code) in [
        (json!({"opensandbox.io/x": "1"}), "INVALID_METADATA_LABEL"),
        (json!({"d": "not a label!"}), "INVALID_METADATA_LABEL"),
        (json!({"d": 5}), "SANDBOX::INVALID_PARAMETER"),
        (json!(["a"]), "SANDBOX::INVALID_PARAMETER"),
    ] {
        let (status, got, _) = error_of(patch(body.clone()).await).await;
        assert_eq!((status, got.as_str()), (400, code), "{body}");
    }
}

#[tokio::test]
async fn endpoints_say_where_a_port_is() {
    let server = Server::start().await;
    let id = server.create(json!({})).await;
    let endpoint =
        async |rest: &str| server.get(&format!("/v1/sandboxes/{id}/endpoints/{rest}")).send().await.unwrap();
    let direct: Value = endpoint("8080").await.json().await.unwrap();
    assert_eq!(direct, json!({"endpoint": "127.0.0.1:8080"}));
    let execd: Value = endpoint("44772").await.json().await.unwrap();
    assert!(execd["headers"]["X-EXECD-ACCESS-TOKEN"].as_str().is_some_and(|token| token.len() >= 32));
    let proxied: Value = endpoint("8080?use_server_proxy=true").await.json().await.unwrap();
    assert_eq!(proxied["endpoint"], format!("{}/v1/sandboxes/{id}/proxy/8080", server.address));
    assert!(proxied["headers"]["OpenSandbox-Secure-Access"].as_str().is_some_and(|token| token.len() >= 32));
    for (rest, code) in [
        ("0", "SANDBOX::INVALID_PORT"),
        ("65536", "SANDBOX::INVALID_PORT"),
        ("http", "SANDBOX::INVALID_PORT"),
        ("8080?expires=2000000000", "SANDBOX::API_NOT_SUPPORTED"),
        ("8080?use_server_proxy=maybe", "SANDBOX::INVALID_PARAMETER"),
    ] {
        let (status, got, _) = error_of(endpoint(rest).await).await;
        assert_eq!((status, got.as_str()), (400, code), "{rest}");
    }
    server.runtime.end(&id, Some(1));
    for _ in 0..100 {
        let response = endpoint("8080").await;
        if response.status() == StatusCode::NOT_FOUND {
            assert_eq!(error_of(response).await.1, "SANDBOX::NOT_REACHABLE");
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("an ended sandbox still has an endpoint");
}

#[tokio::test]
async fn an_announced_host_replaces_the_requests_own() {
    let server = Server::start_with("[server]\neip = \"gw.example:9000\"").await;
    let id = server.create(json!({})).await;
    let path = format!("/v1/sandboxes/{id}/endpoints/80?use_server_proxy=true");
    let endpoint: Value = server.get(&path).send().await.unwrap().json().await.unwrap();
    assert_eq!(endpoint["endpoint"], format!("gw.example:9000/v1/sandboxes/{id}/proxy/80"));
}

#[tokio::test]
async fn client_measurements_show_up_in_the_metrics() {
    let server = Server::start().await;
    server.create(json!({})).await;
    let report = async |body: Value| {
        server
            .post("/v1/metrics/events", &body)
            .header("user-agent", "OpenSandbox-Python-SDK/1.1.1")
            .send()
            .await
            .unwrap()
    };
    let event = json!({"eventType": "sandbox.create", "createDurationMs": 7, "success": true, "image": null});
    assert_eq!(report(event).await.status(), StatusCode::NO_CONTENT);
    for (body, part) in [
        (json!({"eventType": "other", "createDurationMs": 7, "success": true}), "eventType: "),
        (
            json!({"eventType": "sandbox.create", "createDurationMs": -7, "success": true}),
            "createDurationMs: ",
        ),
        (json!({"eventType": "sandbox.create", "createDurationMs": 7}), "missing field `success`"),
    ] {
        let (status, _, message) = error_of(report(body.clone()).await).await;
        assert!(status == 400 && message.contains(part), "{body}: {message}");
    }
    let text = server.bare(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    for line in [
        "sandkeep_sandboxes{state=\"Running\"} 1",
        "sandkeep_http_requests_total{method=\"POST\",route=\"/v1/sandboxes\",status=\"202\"} 1",
        "sandkeep_client_create_duration_seconds_count{sdk=\"python\",success=\"true\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn images_are_listed_and_mistakes_with_them_named() {
    let server = Server::start().await;
    let list: Value = server.get("/v1/images").send().await.unwrap().json().await.unwrap();
    assert_eq!(list, json!({"items": []}));
    let unknown =
        server.request(Method::DELETE, "/v1/images/registry.example/team/app:1").send().await.unwrap();
    assert_eq!(error_of(unknown).await.1, "IMAGE::NOT_FOUND");
    for (body, part) in [
        (json!({"uri": " "}), "uri: "),
        (json!({"uri": "UPPER//case"}), "image: "),
        (json!({"uri": "a", "auth": {"password": "p"}}), "auth: "),
        (json!({"uri": "a", "platform": {"os": "linux", "arch": "vax"}}), "platform.arch: "),
    ] {
        let (status, _, message) =
            error_of(server.post("/v1/images/pull", &body).send().await.unwrap()).await;
        assert!(status == 400 && message.starts_with(part), "{body}: {message}");
    }
    let garbage = server.request(Method::POST, "/v1/images/import?name=a:1").body("no archive".repeat(1000));
    assert_eq!(error_of(garbage.send().await.unwrap()).await.0, 400);
}

#[tokio::test]
async fn more_requests_than_allowed_are_refused_at_once() {
    let server = Server::start_with("[server]\nlimit_concurrency = 1").await;
    let slow = server.post("/v1/sandboxes", &request(json!({"image": {"uri": "slow:1"}}))).send();
    let slow = tokio::spawn(slow);
    let one = PageRequest { page: 1, page_size: 1 };
    while server.service.list(&Filter::default(), one).total_items == 0 {
        assert!(!slow.is_finished());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let refused = server.get("/health").send().await.unwrap();
    assert_eq!(error_of(refused).await.0, 503);
    assert_eq!(slow.await.unwrap().unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(server.get("/health").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn the_pages_load_nothing_from_elsewhere() {
    let server = Server::start().await;
    for page in ["/docs", "/docs/", "/redoc"] {
        let response = server.bare(Method::GET, page).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(
            response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'self'")
        );
        let html = response.text().await.unwrap();
        assert!(!html.contains("://"), "{page} names another host");
        for attribute in ["src=\"", "href=\"", "url: \"", "data-document=\""] {
            for rest in html.split(attribute).skip(1) {
                let path = &rest[..rest.find('"').unwrap()];
                let response = server.bare(Method::GET, path).send().await.unwrap();
                assert_eq!(response.status(), StatusCode::OK, "{page} wants {path}");
            }
        }
    }
    let script = "/redoc/redoc.standalone.js";
    let packed = server.bare(Method::GET, script).header("accept-encoding", "br, gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let plain = server.bare(Method::GET, script).send().await.unwrap();
    assert!(plain.headers().get("content-encoding").is_none());
    assert!(plain.text().await.unwrap().contains("Redoc"));
    let (status, ..) = error_of(server.bare(Method::GET, "/docs/none.js").send().await.unwrap()).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn the_document_names_every_operation_once() {
    let server = Server::start().await;
    let document: Value =
        server.bare(Method::GET, "/openapi.json").send().await.unwrap().json().await.unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(!path.contains('*'), "{path}");
        for operation in item.as_object().unwrap().values().filter(|value| value.is_object()) {
            ids.push(operation["operationId"].as_str().unwrap().to_owned());
            let responses = operation["responses"].as_object().unwrap();
            assert!(
                responses.values().all(|response| response["headers"].get("X-Request-ID").is_some()),
                "{path}"
            );
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    assert!(count >= 20, "only {count} operations");
    assert_eq!(document["components"]["securitySchemes"]["apiKeyAuth"]["name"], KEY_HEADER);
    assert!(!document.to_string().contains(KEY));
}
