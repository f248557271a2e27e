//! How a registry is told who asks: not at all, by name and password, or by a token that another service gives out.

use std::time::{Duration, Instant};

use http_auth::{ChallengeRef, parser::ChallengeParser};
use reqwest::{
    RequestBuilder, StatusCode, Url,
    header::{HeaderMap, WWW_AUTHENTICATE},
};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{connection::Connection, error::ImageError, types::Credentials};

const MAX_TOKEN: usize = 256 << 10;
/// How long a token is good if nothing is said of it, as the token specification has it.
const LIFETIME: u64 = 60;

/// What is done in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Pull,
    Push,
}

pub(super) struct Login {
    credentials: Option<Credentials>,
    scope: String,
    proof: Mutex<Option<Proof>>,
}

/// What a registry wants to see.
enum Proof {
    Nothing,
    Password,
    Token { text: String, since: Instant, lifetime: Duration },
}

/// Who gives out tokens.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    service: Option<String>,
}

/// Newer services say `access_token`, most say both.
#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
    /// Whatever stands here must not cost the token.
    #[serde(default)]
    expires_in: serde_json::Value,
}

impl Proof {
    fn holds(&self) -> bool {
        match self {
            Self::Token { since, lifetime, .. } => since.elapsed() < *lifetime,
            Self::Nothing | Self::Password => true,
        }
    }
}

impl Login {
    pub(super) fn new(repository: &str, access: Access, credentials: Option<&Credentials>) -> Self {
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let scope = format!("repository:{repository}:{actions}");
        Self { credentials: credentials.cloned(), scope, proof: Mutex::new(None) }
    }

    /// Adds to a request to the registry what it wants to see.
    pub(super) async fn sign(
        &self,
        connection: &Connection,
        request: RequestBuilder,
    ) -> Result<RequestBuilder, ImageError> {
        if let Some(Credentials::Token(token)) = &self.credentials {
            return Ok(request.bearer_auth(token));
        }
        // Requests that come at once wait for one proof.
        let mut proof = self.proof.lock().await;
        if !proof.as_ref().is_some_and(Proof::holds) {
            *proof = Some(self.prove(connection).await?);
        }
        Ok(match (&*proof, &self.credentials) {
            (Some(Proof::Token { text, .. }), _) => request.bearer_auth(text),
            (Some(Proof::Password), Some(Credentials::Basic { username, password })) => {
                request.basic_auth(username, Some(password))
            }
            _ => request,
        })
    }

    async fn prove(&self, connection: &Connection) -> Result<Proof, ImageError> {
        let answer = connection.send(connection.client.get(connection.base.clone())).await?;
        match challenge(answer.headers()) {
            Some(challenge) => self.fetch_token(connection, challenge).await,
            None if answer.headers().contains_key(WWW_AUTHENTICATE) => Ok(Proof::Password),
            None => Ok(Proof::Nothing),
        }
    }

    async fn fetch_token(&self, connection: &Connection, challenge: Challenge) -> Result<Proof, ImageError> {
        let realm = Url::parse(&challenge.realm)
            .map_err(|e| connection.failed(&format!("its token service has no address: {e}")))?;
        let is_clear = realm.scheme() != "https" && connection.base.scheme() == "https";
        let mut request = connection.client.get(realm).query(&[("scope", &self.scope)]);
        if let Some(service) = &challenge.service {
            request = request.query(&[("service", service)]);
        }
        if let Some(Credentials::Basic { username, password }) = &self.credentials {
            if is_clear {
                return Err(connection.failed("its token service would get the password unencrypted"));
            }
            request = request.basic_auth(username, Some(password));
        }
        let since = Instant::now();
        let answer = connection.send(request).await?;
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_client_error() => return Err(connection.unauthorized()),
            status => {
                return Err(connection.failed(&format!("its token service answers {}", status.as_u16())));
            }
        }
        let answer = connection.whole("a token", answer, MAX_TOKEN).await?;
        let granted: Option<Granted> = serde_json::from_slice(&answer).ok();
        let lifetime = granted.as_ref().and_then(|granted| granted.expires_in.as_u64()).unwrap_or(LIFETIME);
        let text = granted.and_then(|granted| granted.token.or(granted.access_token));
        let text = text.ok_or_else(|| connection.failed("its token service sends no token"))?;
        // Half, as a request with it may be under way for some time.
        Ok(Proof::Token { text, since, lifetime: Duration::from_secs(lifetime / 2) })
    }
}

/// The first service named that gives out tokens.
fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let offers = headers.get_all(WWW_AUTHENTICATE).into_iter().filter_map(|value| value.to_str().ok());
    offers.flat_map(ChallengeParser::new).flatten().find_map(|offer| bearer(&offer))
}

fn bearer(offer: &ChallengeRef<'_>) -> Option<Challenge> {
    let parameter = |name: &str| {
        let found = offer.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_unescaped())
    };
    let is_bearer = offer.scheme.eq_ignore_ascii_case("Bearer");
    let realm = parameter("realm").filter(|_| is_bearer)?;
    Some(Challenge { realm, service: parameter("service") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(values: &[&str]) -> Option<Challenge> {
        let values = values.iter().map(|value| (WWW_AUTHENTICATE, value.parse().unwrap()));
        challenge(&values.collect())
    }

    #[test]
    fn a_token_service_is_found_among_all_that_is_offered() {
        let found = Some(Challenge { realm: "https://auth/token".into(), service: Some("r".into()) });
        assert_eq!(offered(&["Bearer realm=\"https://auth/token\",service=\"r\""]), found);
        assert_eq!(offered(&["Basic realm=\"x\", bearer Realm=\"https://auth/token\",service=r"]), found);
        assert_eq!(offered(&["Basic realm=x", "Bearer service=r, realm=\"https://auth/token\""]), found);
        for nothing in [&[][..], &["Basic realm=\"x\""], &["Bearer service=\"r\""], &["\"", "ü"]] {
            assert_eq!(offered(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_token_is_renewed_in_time() {
        let token = |lifetime| Proof::Token { text: "t".into(), since: Instant::now(), lifetime };
        assert!(token(Duration::from_secs(u64::MAX)).holds());
        assert!(!token(Duration::ZERO).holds());
    }
}
