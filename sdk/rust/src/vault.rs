//! Secrets that a sandbox's requests get on their way out, and that the sandbox never sees.

use std::fmt;

use reqwest::Method;
use sandkeep_specs::egress::vault::{
    CredentialBindingListResponse, CredentialBindingMetadata, CredentialListResponse, CredentialMatch,
    CredentialMetadata, CredentialVaultState, SubstitutionSurface,
};
use serde::{Deserialize, Serialize};

use crate::transport::Http;
use crate::{Client, Result, Sandbox};

/// Port of a sandbox's egress sidecar.
const SIDECAR_PORT: u16 = 18080;
const VAULT: &str = "credential-vault";

/// The vault of one sandbox, which must have been created with a credential proxy
/// ([`CreateOptions::credential_proxy`](crate::CreateOptions::credential_proxy)).
///
/// Every change counts its revision up. No secret ever comes back out.
#[derive(Debug, Clone)]
pub struct Vault {
    http: Http,
}

/// A named secret on its way into a vault.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Unique in the vault.
    pub name: String,
    source: Source,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    #[serde(default = "inline", rename = "type")]
    kind: String,
    value: String,
}

fn inline() -> String {
    "inline".to_owned()
}

impl Credential {
    /// A secret by name.
    #[must_use]
    pub fn new(name: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { name: name.into(), source: Source { kind: inline(), value: secret.into() } }
    }
}

/// Shows the name alone.
impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credential").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Says which requests get a secret, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Unique in the vault.
    pub name: String,
    /// The requests it is for. Their hosts must be allowed by the sandbox's network policy.
    #[serde(rename = "match")]
    pub matches: CredentialMatch,
    /// How the secret is put in.
    pub auth: Auth,
}

/// How a secret is put into a request. `credential` names it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Auth {
    /// `Authorization: Bearer SECRET`.
    Bearer {
        credential: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        substitutions: Vec<Substitution>,
    },
    /// `Authorization: Basic SECRET`; the secret is encoded already.
    Basic {
        credential: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        substitutions: Vec<Substitution>,
    },
    /// The secret as the header called `name`.
    ApiKey {
        name: String,
        credential: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        substitutions: Vec<Substitution>,
    },
    /// Several headers, each with a secret.
    CustomHeaders {
        headers: Vec<Header>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        substitutions: Vec<Substitution>,
    },
    /// No header: only the marks are replaced.
    Passthrough {
        #[serde(default)]
        substitutions: Vec<Substitution>,
    },
}

/// One header of [`Auth::CustomHeaders`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Name of the header.
    pub name: String,
    /// Name of the secret.
    pub credential: String,
}

/// A mark in requests that is replaced by a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Substitution {
    /// Name of the secret.
    pub credential: String,
    /// The mark, compared letter by letter.
    pub placeholder: String,
    /// Where it is replaced.
    #[serde(rename = "in")]
    pub surfaces: Vec<SubstitutionSurface>,
}

/// What a new vault holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultContents {
    /// Secrets by name.
    #[serde(default)]
    pub credentials: Vec<Credential>,
    /// Which requests get which secret.
    #[serde(default)]
    pub bindings: Vec<Binding>,
}

/// Changes of a vault: all of them are made, or none.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultChanges {
    /// The revision these changes are for; the vault having another one is a conflict (HTTP 409). Nothing: whatever it
    /// is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_revision: Option<i64>,
    /// Of the secrets.
    #[serde(default)]
    pub credentials: Changes<Credential>,
    /// Of the bindings.
    #[serde(default)]
    pub bindings: Changes<Binding>,
}

/// Changes of one kind, made in the order `delete`, `replace`, `add`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes<T> {
    /// New ones.
    #[serde(default = "Vec::new")]
    pub add: Vec<T>,
    /// New contents of ones that exist.
    #[serde(default = "Vec::new")]
    pub replace: Vec<T>,
    /// Names of ones that exist; a secret that a binding uses stays.
    #[serde(default)]
    pub delete: Vec<String>,
}

impl<T> Default for Changes<T> {
    fn default() -> Self {
        Self { add: Vec::new(), replace: Vec::new(), delete: Vec::new() }
    }
}

impl Client {
    /// The vault of a sandbox, at the sandbox's own address or through the server.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox or it does not run.
    pub async fn vault(&self, id: &str, through_server: bool) -> Result<Vault> {
        Ok(Vault { http: self.sidecar(id, through_server).await? })
    }

    /// What guards a sandbox's network.
    pub(crate) async fn sidecar(&self, id: &str, through_server: bool) -> Result<Http> {
        let endpoint = self.endpoint(id, SIDECAR_PORT, through_server).await?;
        self.connect(&endpoint, through_server)
    }
}

impl Sandbox {
    /// The sandbox's vault.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox or it does not run.
    pub async fn vault(&self) -> Result<Vault> {
        self.client.vault(self.id(), self.is_through_server()).await
    }
}

impl Vault {
    /// What is in the vault, without its secrets.
    ///
    /// # Errors
    ///
    /// 404 while there is no vault.
    pub async fn get(&self) -> Result<CredentialVaultState> {
        self.http.json("the vault", self.http.get(&[VAULT])).await
    }

    /// Makes the vault; its bindings are in force when this answers.
    ///
    /// # Errors
    ///
    /// 400 names what is wrong, 409 if there is a vault already, 412 says what the sidecar lacks, 426 if the way there is
    /// neither TLS nor on this machine.
    pub async fn create(&self, contents: &VaultContents) -> Result<CredentialVaultState> {
        self.http.json("the vault", self.http.post(&[VAULT]).json(contents)).await
    }

    /// Changes the vault, and answers what it is then.
    ///
    /// # Errors
    ///
    /// 400 names what is wrong, 404 if there is no vault, 409 if it has another revision than expected, 426 if the
    /// way there is neither TLS nor on this machine.
    pub async fn change(&self, changes: &VaultChanges) -> Result<CredentialVaultState> {
        self.http.json("the vault", self.http.request(Method::PATCH, &[VAULT]).json(changes)).await
    }

    /// Forgets the vault. Connections that carried one of its secrets are cut.
    ///
    /// # Errors
    ///
    /// 404 if there is no vault.
    pub async fn delete(&self) -> Result<()> {
        self.http.done(self.http.delete(&[VAULT])).await
    }

    /// The secrets' names.
    ///
    /// # Errors
    ///
    /// 404 if there is no vault.
    pub async fn credentials(&self) -> Result<CredentialListResponse> {
        self.http.json("the credentials", self.http.get(&[VAULT, "credentials"])).await
    }

    /// What may be known of a secret.
    ///
    /// # Errors
    ///
    /// 404 if there is no vault, or no such secret.
    pub async fn credential(&self, name: &str) -> Result<CredentialMetadata> {
        self.http.json("the credential", self.http.get(&[VAULT, "credentials", name])).await
    }

    /// The bindings.
    ///
    /// # Errors
    ///
    /// 404 if there is no vault.
    pub async fn bindings(&self) -> Result<CredentialBindingListResponse> {
        self.http.json("the bindings", self.http.get(&[VAULT, "bindings"])).await
    }

    /// What may be known of a binding.
    ///
    /// # Errors
    ///
    /// 404 if there is no vault, or no such binding.
    pub async fn binding(&self, name: &str) -> Result<CredentialBindingMetadata> {
        self.http.json("the binding", self.http.get(&[VAULT, "bindings", name])).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_contract_s_shape_and_debug_output_has_no_secret() {
        let contents = VaultContents {
            credentials: vec![Credential::new("token", "very-secret")],
            bindings: vec![Binding {
                name: "api".into(),
                matches: serde_json::from_value(serde_json::json!({ "hosts": ["a.example"] })).unwrap(),
                auth: Auth::ApiKey {
                    name: "x-key".into(),
                    credential: "token".into(),
                    substitutions: Vec::new(),
                },
            }],
        };
        let json = serde_json::to_value(&contents).unwrap();
        assert_eq!(
            json["credentials"][0]["source"],
            serde_json::json!({"type": "inline", "value": "very-secret"})
        );
        let auth = serde_json::json!({"type": "apiKey", "name": "x-key", "credential": "token"});
        assert_eq!(json["bindings"][0]["auth"], auth);
        assert!(!format!("{contents:?}").contains("very-secret"));
        let changes = VaultChanges { expected_revision: Some(3), ..VaultChanges::default() };
        assert_eq!(serde_json::to_value(&changes).unwrap()["expectedRevision"], 3);
    }
}
