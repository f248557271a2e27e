//! The document of execd, made usable from this server's pages.

use serde_json::{Value, json};

use crate::proxy::EXECD_PORT;

/// As exported by execd's own router.
const YAML: &str = include_str!("../../../specs/openapi/execd.yaml");

/// Requests tried out on the page go to a sandbox's execd through the proxy, so the API key opens it.
pub(super) fn through_the_proxy() -> Value {
    // Committed with the sources and read by a test.
    let mut document: Value = yaml_serde::from_str(YAML).unwrap_or_default();
    document["servers"] = json!([{
        "url": format!("/v1/sandboxes/{{sandboxId}}/proxy/{EXECD_PORT}"),
        "description": "A sandbox's execd, through this server",
        "variables": {"sandboxId": {"default": "SANDBOX-ID", "description": "Identifier of a running sandbox"}},
    }]);
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_served_through_the_proxy() {
        let document = through_the_proxy();
        assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
        assert_eq!(document["servers"][0]["url"], "/v1/sandboxes/{sandboxId}/proxy/44772");
    }
}
