//! The Credential Vault: secrets that are added to requests after they have left the sandbox.
//!
//! A secret comes in and is never given out again, so [`SecretText`] can neither be printed nor serialised.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A secret on its way in. There is no way to print it or to send it on by accident.
#[derive(Deserialize)]
pub struct SecretText(String);

impl SecretText {
    /// The secret itself.
    #[must_use]
    pub fn into_inner(self) -> String {
        self.0
    }
}

/// Contents of a new vault.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialVaultCreateRequest {
    /// Secrets by name.
    pub credentials: Vec<Credential>,
    /// Which requests get which secret.
    pub bindings: Vec<CredentialBinding>,
}

/// Changes of a vault: all of them are made, or none.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialVaultMutationRequest {
    /// The revision the caller has seen; another one is a conflict. Absent: whatever it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_revision: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialMutationSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bindings: Option<CredentialBindingMutationSet>,
}

/// Changes of the secrets: first `delete`, then `replace`, then `add`.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialMutationSet {
    /// New ones.
    #[serde(default)]
    pub add: Vec<Credential>,
    /// Ones that exist.
    #[serde(default)]
    pub replace: Vec<Credential>,
    /// Names of ones that exist and that no binding uses any more.
    #[serde(default)]
    pub delete: Vec<String>,
}

/// Changes of the bindings: first `delete`, then `replace`, then `add`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialBindingMutationSet {
    /// New ones.
    #[serde(default)]
    pub add: Vec<CredentialBinding>,
    /// Ones that exist.
    #[serde(default)]
    pub replace: Vec<CredentialBinding>,
    /// Names of ones that exist.
    #[serde(default)]
    pub delete: Vec<String>,
}

/// A named secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Unique in the vault; blanks around it are cut off.
    pub name: String,
    pub source: InlineCredentialSource,
}

/// A secret sent with the request.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InlineCredentialSource {
    #[serde(default, rename = "type")]
    #[schema(required = true)]
    pub source_type: CredentialSourceType,
    /// The secret itself, which is never returned.
    #[schema(value_type = String, write_only)]
    pub value: SecretText,
}

/// Where a secret comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CredentialSourceType {
    /// Sent with the request; also meant by an empty string.
    #[default]
    #[serde(alias = "")]
    Inline,
}

/// Says which requests get a secret, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialBinding {
    /// Unique in the vault; blanks around it are cut off.
    pub name: String,
    #[serde(rename = "match")]
    pub matches: CredentialMatch,
    pub auth: CredentialAuth,
}

/// The requests a binding is for: all of scheme, host, method and path must fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialMatch {
    /// `https` or `http`.
    #[serde(default)]
    #[schema(default = json!(["https"]))]
    pub schemes: Vec<CredentialScheme>,
    /// Ignored, as the port follows the scheme; other values than 80 and 443 are refused.
    #[serde(default)]
    #[schema(default = json!([443]))]
    pub ports: Vec<i64>,
    /// Full domain names, or `*.` and one for all names below it.
    pub hosts: Vec<String>,
    /// HTTP methods.
    #[serde(default)]
    #[schema(default = json!(["GET", "POST", "PUT", "PATCH", "DELETE"]))]
    pub methods: Vec<String>,
    /// Paths without a query; with a `*` at the end everything that begins so.
    #[serde(default)]
    #[schema(default = json!(["/*"]))]
    pub paths: Vec<String>,
}

/// Scheme of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CredentialScheme {
    Https,
    Http,
}

/// How a secret is put into a request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum CredentialAuth {
    Bearer(BearerCredentialAuth),
    Basic(BasicCredentialAuth),
    ApiKey(ApiKeyCredentialAuth),
    CustomHeaders(CustomHeadersCredentialAuth),
    Passthrough(PassthroughCredentialAuth),
}

/// `Authorization: Bearer SECRET`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BearerCredentialAuth {
    /// Name of the secret.
    pub credential: String,
    #[serde(default)]
    pub substitutions: Vec<CredentialSubstitution>,
}

/// `Authorization: Basic SECRET`; the secret is encoded already.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicCredentialAuth {
    /// Name of the secret.
    pub credential: String,
    #[serde(default)]
    pub substitutions: Vec<CredentialSubstitution>,
}

/// The secret as a header.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyCredentialAuth {
    /// Name of the header.
    #[schema(pattern = "^[A-Za-z0-9!#$%&'*+\\-.^_`|~]+$")]
    pub name: String,
    /// Name of the secret.
    pub credential: String,
    #[serde(default)]
    pub substitutions: Vec<CredentialSubstitution>,
}

/// Several headers, each with a secret.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomHeadersCredentialAuth {
    #[schema(min_items = 1)]
    pub headers: Vec<CustomHeaderEntry>,
    #[serde(default)]
    pub substitutions: Vec<CredentialSubstitution>,
}

/// No header: only what the sandbox has marked is replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PassthroughCredentialAuth {
    #[serde(default)]
    pub substitutions: Vec<CredentialSubstitution>,
}

/// One header of [`CustomHeadersCredentialAuth`].
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomHeaderEntry {
    /// Name of the header.
    #[schema(pattern = "^[A-Za-z0-9!#$%&'*+\\-.^_`|~]+$")]
    pub name: String,
    /// Name of the secret.
    pub credential: String,
}

/// A mark in the request that is replaced by a secret, encoded as its place wants it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialSubstitution {
    /// Name of the secret.
    pub credential: String,
    /// The mark, compared letter by letter.
    pub placeholder: String,
    /// Where it is replaced. Compressed and multipart bodies are left as they are.
    #[serde(rename = "in")]
    pub surfaces: Vec<SubstitutionSurface>,
}

/// A part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubstitutionSurface {
    Body,
    Header,
    Path,
    Query,
}

/// What is in the vault, without any secret. Sorted by name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CredentialVaultState {
    /// Counts up with every change, beginning at 1.
    pub revision: i64,
    pub credentials: Vec<CredentialMetadata>,
    pub bindings: Vec<CredentialBindingMetadata>,
}

/// The secrets' names. Sorted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CredentialListResponse {
    /// The vault's.
    pub revision: i64,
    pub credentials: Vec<CredentialMetadata>,
}

/// The bindings. Sorted by name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CredentialBindingListResponse {
    /// The vault's.
    pub revision: i64,
    pub bindings: Vec<CredentialBindingMetadata>,
}

/// What may be known of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialMetadata {
    pub name: String,
    /// `inline`.
    pub source_type: String,
    /// The vault's revision when it was last changed.
    pub revision: i64,
}

/// What may be known of a binding: not which secret it uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialBindingMetadata {
    pub name: String,
    /// The vault's.
    pub revision: i64,
    #[serde(rename = "match")]
    #[schema(required = false)]
    pub matches: CredentialMatch,
    #[schema(required = false)]
    pub auth: CredentialAuthMetadata,
}

/// What may be known of how a binding puts its secret in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialAuthMetadata {
    /// `bearer`, `basic`, `apiKey`, `customHeaders` or `passthrough`.
    #[serde(rename = "type")]
    pub auth_type: String,
    /// Name of the header, of an `apiKey` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
}

/// What is in force, with the secrets. Only on the sidecar's own unix socket.
#[derive(Serialize, ToSchema)]
pub struct ActiveSnapshot {
    pub revision: i64,
    pub bindings: Vec<ActiveBinding>,
    /// Texts that are taken out of answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub redactions: Vec<String>,
}

/// A binding with the headers it sets.
#[derive(Serialize, ToSchema)]
pub struct ActiveBinding {
    pub name: String,
    #[serde(rename = "match")]
    pub matches: CredentialMatch,
    pub headers: Vec<ActiveHeader>,
}

/// A header that is set.
#[derive(Serialize, ToSchema)]
pub struct ActiveHeader {
    pub name: String,
    pub value: String,
}
