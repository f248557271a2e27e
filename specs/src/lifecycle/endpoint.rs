use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Header that carries the API key.
pub const API_KEY_HEADER: &str = "OPEN-SANDBOX-API-KEY";
/// Header that carries a sandbox's own access token to the proxy.
pub const SECURE_ACCESS_HEADER: &str = "OpenSandbox-Secure-Access";
/// Header that tells the gateway which port of which sandbox is meant.
pub const INGRESS_HEADER: &str = "OpenSandbox-Ingress-To";
/// What opens the API of a sandbox's egress sidecar.
pub const EGRESS_AUTH_HEADER: &str = "OPENSANDBOX-EGRESS-AUTH";
/// Header whose value `skip` keeps a proxied request from renewing the sandbox.
pub const ACCESS_RENEW_HEADER: &str = "OpenSandbox-Access-Renew";

/// Where a port of a sandbox is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Endpoint {
    /// Host, port and path without a scheme.
    #[schema(example = "10.231.0.5:44772")]
    pub endpoint: String,
    /// Headers every request to the endpoint must carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub headers: Option<BTreeMap<String, String>>,
}
