//! Several tenants on one server: what is not one's own does not exist.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod http_support;
mod support;

use std::time::Duration;

use futures_util::StreamExt;
use http_support::{KEY_HEADER, Server, error_of, request};
use lifecycle_server::config::Config;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

const TENANTS: &str = "[[tenants]]\nname = \"A\"\nnamespace = \"a\"\napi_keys = [\"key-a\"]\nquota = { sandboxes = 2, \
                       memory = \"1Gi\" }\n[[tenants]]\nname = \"B\"\nnamespace = \"b\"\napi_keys = [\"key-b\"]\n";

struct Two {
    server: Server,
    file: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

impl Two {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tenants.toml");
        std::fs::write(&file, TENANTS).unwrap();
        let text = format!("[tenants]\npath = \"{}\"\n[native]\ndefault_memory = \"256Mi\"", file.display());
        let config = Config::parse(&text, std::path::Path::new("test.toml"), &|_: &str| None).unwrap();
        Self { server: Server::start_from(&config).await, file, _dir: dir }
    }

    fn as_(&self, key: &str, method: Method, path: &str) -> RequestBuilder {
        self.server.bare(method, path).header(KEY_HEADER, key)
    }

    async fn create(&self, key: &str, patch: Value) -> Response {
        self.as_(key, Method::POST, "/v1/sandboxes").json(&request(patch)).send().await.unwrap()
    }

    async fn id(&self, key: &str) -> String {
        let created: Value = self.create(key, json!({})).await.json().await.unwrap();
        created["id"].as_str().unwrap().to_owned()
    }

    async fn code(&self, key: &str, method: Method, path: &str) -> (u16, String) {
        let (status, code, _) = error_of(self.as_(key, method, path).send().await.unwrap()).await;
        (status, code)
    }

    async fn listed(&self, key: &str) -> Vec<String> {
        let list: Value =
            self.as_(key, Method::GET, "/v1/sandboxes").send().await.unwrap().json().await.unwrap();
        list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_foreign_sandbox_does_not_exist() {
    let two = Two::start().await;
    let (of_a, of_b) = (two.id("key-a").await, two.id("key-b").await);
    assert_eq!((two.listed("key-a").await, two.listed("key-b").await), (vec![of_a.clone()], vec![of_b]));
    for (method, path) in [
        (Method::GET, ""),
        (Method::DELETE, ""),
        (Method::PATCH, "/metadata"),
        (Method::POST, "/renew-expiration"),
        (Method::GET, "/endpoints/80"),
        (Method::GET, "/proxy/80"),
        (Method::POST, "/proxy/80/x"),
    ] {
        let path = format!("/v1/sandboxes/{of_a}{path}");
        let (status, code) = two.code("key-b", method.clone(), &path).await;
        assert_eq!((status, code.as_str()), (404, "SANDBOX::NOT_FOUND"), "{method} {path}");
        let unknown = path.replace(&of_a, "unknown");
        assert_eq!(two.code("key-b", method, &unknown).await, (status, code), "{path} tells that it exists");
    }
    let own = two.as_("key-a", Method::GET, &format!("/v1/sandboxes/{of_a}")).send().await.unwrap();
    assert_eq!(own.status(), 200);
}

#[tokio::test]
async fn every_request_needs_a_tenants_key_the_proxy_included() {
    let two = Two::start().await;
    let id = two.id("key-a").await;
    for path in ["/v1/sandboxes".to_owned(), format!("/v1/sandboxes/{id}/proxy/80")] {
        let missing = error_of(two.server.bare(Method::GET, &path).send().await.unwrap()).await;
        assert_eq!((missing.0, missing.1.as_str()), (401, "MISSING_API_KEY"), "{path}");
        assert_eq!(
            two.code("key-c", Method::GET, &path).await,
            (401, "INVALID_API_KEY".to_owned()),
            "{path}"
        );
    }
    for (patch, unknown) in [
        (json!({"image": null, "snapshotId": "s"}), "SNAPSHOT::NOT_FOUND"),
        (json!({"extensions": {"poolRef": "p"}}), "SANDBOX::POOL_NOT_FOUND"),
    ] {
        let (status, code, _) = error_of(two.create("key-a", patch).await).await;
        assert_eq!((status, code.as_str()), (404, unknown));
    }
    // Images belong to the host, and a list of them would tell what others use.
    assert_eq!(two.code("key-a", Method::GET, "/v1/images").await.0, 403);
}

/// The code a WebSocket through the proxy is closed with right after its handshake.
async fn closed_with(server: &Server, id: &str, key: Option<&str>) -> u16 {
    let url = format!("ws://{}/v1/sandboxes/{id}/proxy/80", server.address);
    let mut request = url.into_client_request().unwrap();
    if let Some(key) = key {
        request.headers_mut().insert(KEY_HEADER, key.parse().unwrap());
    }
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    match tokio::time::timeout(Duration::from_secs(10), socket.next()).await.unwrap() {
        Some(Ok(Message::Close(Some(frame)))) => frame.code.into(),
        other => panic!("expected a close frame, got {other:?}"),
    }
}

#[tokio::test]
async fn a_websocket_is_told_by_a_code_that_its_key_is_wrong() {
    let two = Two::start().await;
    let id = two.id("key-a").await;
    assert_eq!(closed_with(&two.server, &id, None).await, 1008);
    assert_eq!(closed_with(&two.server, &id, Some("key-c")).await, 1008);
    assert_eq!(closed_with(&two.server, &id, Some("key-b")).await, 1011, "a foreign sandbox does not exist");
}

#[tokio::test]
async fn a_service_that_fails_is_no_wrong_key() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!("[tenants]\nprovider = \"http\"\nendpoint = \"http://{nobody}/who\"");
    let config = Config::parse(&text, std::path::Path::new("test.toml"), &|_: &str| None).unwrap();
    let server = Server::start_from(&config).await;
    let response = server.bare(Method::GET, "/v1/sandboxes").header(KEY_HEADER, "key").send().await.unwrap();
    let (status, code, message) = error_of(response).await;
    assert_eq!((status, code.as_str()), (503, "TENANT_PROVIDER_UNAVAILABLE"));
    assert!(!message.contains(&nobody.to_string()), "callers learn nothing of the service: {message}");
    assert_eq!(closed_with(&server, "any", Some("key")).await, 1011);
}

#[tokio::test]
async fn a_quota_bounds_all_sandboxes_of_a_tenant_together() {
    let two = Two::start().await;
    let id = two.id("key-a").await;
    let too_much = two.create("key-a", json!({"resourceLimits": {"memory": "800Mi"}})).await;
    let (status, code, message) = error_of(too_much).await;
    assert_eq!((status, code.as_str()), (403, "SANDBOX::QUOTA_EXCEEDED"));
    assert!(message.contains("memory"), "{message}");
    // Eight at once compete for the one place that is left.
    let mut creates: Vec<_> = Vec::new();
    for _ in 0..8 {
        creates.push(two.create("key-a", json!({"resourceLimits": {"memory": "768Mi"}})));
    }
    let statuses = futures_util::future::join_all(creates).await;
    let made = statuses.iter().filter(|response| response.status() == 202).count();
    assert_eq!(made, 1, "{statuses:?}");
    // Others have their own room, and what ends gives its back.
    assert_eq!(two.create("key-b", json!({})).await.status(), 202);
    two.as_("key-a", Method::DELETE, &format!("/v1/sandboxes/{id}")).send().await.unwrap();
    assert_eq!(two.create("key-a", json!({})).await.status(), 202);
}

#[tokio::test]
async fn a_changed_file_counts_within_seconds() {
    let two = Two::start().await;
    let id = two.id("key-a").await;
    let path = format!("/v1/sandboxes/{id}");
    let becomes = async |key: &str, status: u16| {
        for _ in 0..200 {
            if two.as_(key, Method::GET, &path).send().await.unwrap().status() == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{key} is not answered {status}");
    };
    std::fs::write(&two.file, TENANTS.replace("key-a", "key-new")).unwrap();
    becomes("key-new", 200).await;
    becomes("key-a", 401).await;
    std::fs::write(&two.file, "broken [").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    becomes("key-new", 200).await;
    std::fs::remove_file(&two.file).unwrap();
    becomes("key-new", 401).await;
}
