//! The Credential Vault. Whoever changes it shows that he may, over a way nobody else reads.

use std::net::{IpAddr, SocketAddr};

use axum::{
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use sandkeep_specs::egress::vault::{
    ActiveSnapshot, CredentialBindingListResponse, CredentialBindingMetadata, CredentialListResponse,
    CredentialMetadata, CredentialVaultCreateRequest, CredentialVaultMutationRequest, CredentialVaultState,
};
use serde::de::DeserializeOwned;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, body, error::ApiError, path::Name};
use crate::{config::Mode, state::AppState, vault::VaultError};

/// The part of the sidecar that reads HTTPS, as `/healthz` names it.
pub const INTERCEPTION: &str = "interception";

/// Says that a connection is the vault's own socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnSocket;

/// Routes that need the token.
pub(super) fn protected() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create, read, change, delete))
        .routes(routes!(list_credentials))
        .routes(routes!(read_credential))
        .routes(routes!(list_bindings))
        .routes(routes!(read_binding))
}

/// What is in force, which only the vault's own socket tells.
pub(super) fn active() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(read_active))
}

type Reply<T> = Result<Answer<T>, ApiError>;

fn ok<T>(answer: Result<T, VaultError>) -> Reply<T> {
    Ok(Answer(StatusCode::OK, answer?))
}

/// Make a vault
///
/// Its bindings are in force when this answers. Hosts must be allowed by the policy.
#[utoipa::path(
    post, path = "/credential-vault", operation_id = "createCredentialVault",
    request_body = CredentialVaultCreateRequest,
    responses(
        (status = 201, description = "The vault, without its secrets", body = CredentialVaultState),
        (status = 400, description = "What is wrong with the request", body = String, content_type = "text/plain"),
        (status = 401, description = "Wrong token", body = String, content_type = "text/plain"),
        (status = 409, description = "There is a vault already", body = String, content_type = "text/plain"),
        (status = 412, description = "What the sidecar lacks to keep secrets", body = String, content_type = "text/plain"),
        (status = 426, description = "Neither TLS nor a local caller", body = String, content_type = "text/plain"),
    )
)]
async fn create(
    State(state): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    request: Body,
) -> Response {
    let made = async {
        admit(&state, peer.ip(), &headers)?;
        let request: CredentialVaultCreateRequest = read_json(request).await?;
        let made = state.vault.create(request, &|host| state.gate.covers(host))?;
        Ok::<_, ApiError>(Answer(StatusCode::CREATED, made))
    };
    closing(made.await)
}

/// Read what is in the vault, without its secrets
#[utoipa::path(
    get, path = "/credential-vault", operation_id = "getCredentialVault",
    responses(
        (status = 200, description = "The vault", body = CredentialVaultState),
        (status = 401, description = "Wrong token", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no vault", body = String, content_type = "text/plain"),
    )
)]
async fn read(State(state): State<AppState>) -> Reply<CredentialVaultState> {
    ok(state.vault.state())
}

/// Change the vault
///
/// All changes are made or none; requests that are under way go on with what they began with.
#[utoipa::path(
    patch, path = "/credential-vault", operation_id = "patchCredentialVault",
    request_body = CredentialVaultMutationRequest,
    responses(
        (status = 200, description = "The vault after the change", body = CredentialVaultState),
        (status = 400, description = "What is wrong with the request", body = String, content_type = "text/plain"),
        (status = 401, description = "Wrong token", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no vault", body = String, content_type = "text/plain"),
        (status = 409, description = "The vault has another revision", body = String, content_type = "text/plain"),
        (status = 412, description = "What the sidecar lacks to keep secrets", body = String, content_type = "text/plain"),
        (status = 426, description = "Neither TLS nor a local caller", body = String, content_type = "text/plain"),
    )
)]
async fn change(
    State(state): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    request: Body,
) -> Response {
    let changed = async {
        admit(&state, peer.ip(), &headers)?;
        let request: CredentialVaultMutationRequest = read_json(request).await?;
        let changed = state.vault.change(request, &|host| state.gate.covers(host))?;
        Ok::<_, ApiError>(Answer(StatusCode::OK, changed))
    };
    closing(changed.await)
}

/// Forget the vault
///
/// Connections that have carried one of its secrets are cut.
#[utoipa::path(
    delete, path = "/credential-vault", operation_id = "deleteCredentialVault",
    responses(
        (status = 204, description = "Its secrets are gone"),
        (status = 401, description = "Wrong token", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no vault", body = String, content_type = "text/plain"),
        (status = 412, description = "What the sidecar lacks to keep secrets", body = String, content_type = "text/plain"),
        (status = 426, description = "Neither TLS nor a local caller", body = String, content_type = "text/plain"),
    )
)]
async fn delete(
    State(state): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    admit(&state, peer.ip(), &headers)?;
    state.vault.delete()?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the secrets' names
#[utoipa::path(
    get, path = "/credential-vault/credentials", operation_id = "listCredentials",
    responses(
        (status = 200, description = "Sorted by name", body = CredentialListResponse),
        (status = 401, description = "Wrong token", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no vault", body = String, content_type = "text/plain"),
    )
)]
async fn list_credentials(State(state): State<AppState>) -> Reply<CredentialListResponse> {
    ok(state.vault.credentials())
}

/// Read what may be known of a secret
#[utoipa::path(
    get, path = "/credential-vault/credentials/{credential_name}", operation_id = "getCredential",
    params(("credential_name" = String, Path, description = "Name of the secret")),
    responses(
        (status = 200, description = "All but the secret itself", body = CredentialMetadata),
        (status = 401, description = "Wrong token", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no vault, or no such secret", body = String, content_type = "text/plain"),
    )
)]
async fn read_credential(State(state): State<AppState>, Name(name): Name) -> Reply<CredentialMetadata> {
    ok(state.vault.credential(&name))
}

/// List the bindings
#[utoipa::path(
    get, path = "/credential-vault/bindings", operation_id = "listCredentialBindings",
    responses(
        (status = 200, description = "Sorted by name", body = CredentialBindingListResponse),
        (status = 401, description = "Wrong token", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no vault", body = String, content_type = "text/plain"),
    )
)]
async fn list_bindings(State(state): State<AppState>) -> Reply<CredentialBindingListResponse> {
    ok(state.vault.bindings())
}

/// Read what may be known of a binding
#[utoipa::path(
    get, path = "/credential-vault/bindings/{binding_name}", operation_id = "getCredentialBinding",
    params(("binding_name" = String, Path, description = "Name of the binding")),
    responses(
        (status = 200, description = "All but the secret it uses", body = CredentialBindingMetadata),
        (status = 401, description = "Wrong token", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no vault, or no such binding", body = String, content_type = "text/plain"),
    )
)]
async fn read_binding(State(state): State<AppState>, Name(name): Name) -> Reply<CredentialBindingMetadata> {
    ok(state.vault.binding(&name))
}

/// Read what is in force, with the secrets
///
/// Only on the vault's own unix socket, whose file only the sidecar's user can open. Everywhere else it is forbidden,
/// whoever asks.
#[utoipa::path(
    get, path = "/credential-vault/_active", operation_id = "getActiveVault", security(),
    extensions(("x-transport" = json!("unix-socket"))),
    responses(
        (status = 200, description = "Bindings with the headers they set", body = ActiveSnapshot),
        (status = 403, description = "This is not the vault's socket", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no vault", body = String, content_type = "text/plain"),
    )
)]
async fn read_active(
    State(state): State<AppState>,
    own: Option<axum::Extension<OwnSocket>>,
) -> Result<Response, ApiError> {
    if own.is_none() {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden"));
    }
    let active = state.vault.active().ok_or(VaultError::NotFound)?;
    Ok(closing(Answer(StatusCode::OK, active.snapshot())))
}

/// Whether a secret can be kept here at all, and was or will be sent over a way nobody else reads.
fn admit(state: &AppState, peer: IpAddr, headers: &HeaderMap) -> Result<(), ApiError> {
    let (config, lacks) = (&state.config, |what| ApiError::new(StatusCode::PRECONDITION_FAILED, what));
    let settings = &config.intercept;
    if config.token.is_none() {
        return Err(lacks("the credential vault needs an API token"));
    }
    if !settings.enabled {
        return Err(lacks("the credential vault needs transparent interception (MITMPROXY_TRANSPARENT)"));
    }
    if settings.ssl_insecure {
        return Err(lacks("the credential vault needs verified upstreams (no MITMPROXY_SSL_INSECURE)"));
    }
    if config.mode != Mode::DnsNft {
        return Err(lacks("the credential vault needs the mode dns+nft"));
    }
    if state.health.is_broken(INTERCEPTION) {
        return Err(lacks("mitmproxy not ready"));
    }
    let peer = peer.to_canonical();
    let is_private = peer.is_loopback() || !settings.vault_require_tls || {
        let said =
            headers.get("x-forwarded-proto").map(|said| said.as_bytes().eq_ignore_ascii_case(b"https"));
        settings.vault_trusted_proxies.iter().any(|block| block.contains(peer)) && said.unwrap_or(true)
    };
    match is_private {
        true => Ok(()),
        false => {
            Err(ApiError::new(StatusCode::UPGRADE_REQUIRED, "the credential vault is changed over TLS only"))
        }
    }
}

/// Reads a body that may hold secrets: what is told of a mistake never quotes it.
async fn read_json<T: DeserializeOwned>(request: Body) -> Result<T, ApiError> {
    let text = body(request).await?;
    // The reader would also take an array for an object with members left out.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::bad_request("the body is not a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(&text);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { String::new() } else { format!("{path}: ") };
        format!("{place}{}", without_values(error.inner()))
    });
    let value = read.map_err(ApiError::bad_request)?;
    reader.end().map_err(|error| ApiError::bad_request(without_values(&error)))?;
    Ok(value)
}

/// The message of an error, where it speaks of names only.
fn without_values(error: &serde_json::Error) -> String {
    const OF_NAMES: [&str; 3] = ["missing field", "unknown field", "duplicate field"];
    let text = error.to_string();
    let place = format!("at line {} column {}", error.line(), error.column());
    if OF_NAMES.iter().any(|start| text.starts_with(start)) {
        return text;
    }
    match error.classify() {
        serde_json::error::Category::Data => format!("a value is not of the kind it has to be, {place}"),
        _ => format!("the body is not JSON, {place}"),
    }
}

/// An answer after which the connection ends: its buffers have held a secret, or what was refused unread.
pub(super) fn closing(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        let status = match error {
            VaultError::Invalid(_) => StatusCode::BAD_REQUEST,
            VaultError::NotFound | VaultError::NoSuchCredential(_) | VaultError::NoSuchBinding(_) => {
                StatusCode::NOT_FOUND
            }
            VaultError::Exists | VaultError::Revision { .. } => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(text: &'static str) -> String {
        match read_json::<CredentialVaultCreateRequest>(Body::from(text)).await {
            Ok(_) => panic!("{text} was accepted"),
            Err(error) => error.message,
        }
    }

    #[tokio::test]
    async fn mistakes_are_told_without_what_was_sent() {
        for text in [
            r#"{"credentials": [{"name": "n", "source": "s3cret-value"}], "bindings": []}"#,
            r#"{"credentials": [{"name": "n", "source": {"type": "s3cret-value", "value": "x"}}], "bindings": []}"#,
            r#"{"credentials": ["s3cret-value"], "bindings": []}"#,
            r#"{"credentials": [{"name": "n", "source": {"value": "s3cret-value"}}], "bindings": [}"#,
            r#"{"credentials": [], "bindings": []} s3cret-value"#,
        ] {
            let message = refused(text).await;
            assert!(!message.contains("s3cret") && message.contains("column"), "{message}");
        }
        let message =
            refused(r#"{"credentials": [{"name": "n", "source": {"type": "inline"}}], "bindings": []}"#)
                .await;
        assert!(message.starts_with("credentials[0].source: missing field `value`"), "{message}");
        assert!(
            refused(r#"{"credentials": [], "bindings": [], "x": 1}"#).await.contains("unknown field `x`")
        );
    }
}
