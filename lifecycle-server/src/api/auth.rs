//! Who may use the server.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sandkeep_specs::lifecycle::API_KEY_HEADER;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;

use super::error::{ApiError, Code};
use crate::{
    sandbox::{Owner, Scope},
    tenant::{LookupError, Tenant, Tenants},
};

/// Whose keys are valid. Cheap to clone.
#[derive(Clone)]
pub struct Keys(Kind);

#[derive(Clone)]
enum Kind {
    /// Only a digest is kept: equal lengths make the comparison tell nothing about the key.
    One([u8; 32]),
    Tenants(Tenants),
    /// Everybody is let in.
    Open,
}

/// Somebody who proved himself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller(Option<Arc<Tenant>>);

/// Why a request's sender is nobody known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Missing,
    Wrong,
    /// The tenants cannot be looked up now.
    Unavailable,
}

impl Keys {
    /// `None` lets everybody in.
    pub fn one(key: Option<&str>) -> Self {
        Self(key.map_or(Kind::Open, |key| Kind::One(Sha256::digest(key.as_bytes()).into())))
    }

    pub fn of_tenants(tenants: Tenants) -> Self {
        Self(Kind::Tenants(tenants))
    }

    pub fn has_tenants(&self) -> bool {
        matches!(self.0, Kind::Tenants(_))
    }

    /// Who sent the request.
    pub async fn identify(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        if matches!(self.0, Kind::Open) {
            return Ok(Caller::default());
        }
        let key = headers.get(API_KEY_HEADER).filter(|key| !key.is_empty()).ok_or(Refusal::Missing)?;
        match &self.0 {
            Kind::Open => Ok(Caller::default()),
            Kind::One(expected) if same(&Sha256::digest(key.as_bytes()), expected) => Ok(Caller::default()),
            Kind::One(_) => Err(Refusal::Wrong),
            Kind::Tenants(tenants) => match tenants.find(key.as_bytes()).await {
                Ok(tenant) => Ok(Caller(Some(tenant))),
                Err(LookupError::Unknown) => Err(Refusal::Wrong),
                Err(LookupError::Unavailable(_)) => Err(Refusal::Unavailable),
            },
        }
    }
}

impl Caller {
    /// What the caller sees.
    pub fn scope(&self) -> Scope {
        self.0.as_ref().map_or(Scope::All, |tenant| tenant.scope())
    }

    /// To whom belongs what the caller makes.
    pub fn owner(&self) -> Option<Owner> {
        self.0.as_ref().map(|tenant| tenant.owner())
    }
}

/// In handlers of protected routes: [`require`] was there before.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        // Without it nobody looked: to go on would be to show everything to everybody.
        parts.extensions.get().cloned().ok_or_else(|| ApiError::internal("a route without a caller"))
    }
}

/// Compares in a time that doesn't depend on where the two differ.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Lets only those pass who show a key, and says who it is.
pub(super) async fn require(State(keys): State<Keys>, mut request: Request, next: Next) -> Response {
    match keys.identify(request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => ApiError::from(refusal).into_response(),
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => Self::new(
                Code::MissingApiKey,
                format!("{API_KEY_HEADER}: the header with the API key is missing"),
            ),
            Refusal::Wrong => {
                Self::new(Code::InvalidApiKey, format!("{API_KEY_HEADER}: this is not a valid API key"))
            }
            Refusal::Unavailable => Self::new(
                Code::TenantProviderUnavailable,
                "whose API key this is cannot be found out now; try again",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn identify(key: Option<&str>, sent: Option<&'static str>) -> Result<Caller, Refusal> {
        let headers = sent.map(|sent| (API_KEY_HEADER.parse().unwrap(), sent.parse().unwrap()));
        Keys::one(key).identify(&HeaderMap::from_iter(headers)).await
    }

    #[tokio::test]
    async fn only_the_exact_key_is_valid() {
        assert!(identify(Some("secret"), Some("secret")).await.is_ok());
        for sent in ["Secret", "secret ", "secre", "secrets", "secret,secret"] {
            assert_eq!(identify(Some("secret"), Some(sent)).await, Err(Refusal::Wrong), "{sent}");
        }
        assert_eq!(identify(Some("secret"), None).await, Err(Refusal::Missing));
        assert_eq!(identify(Some("secret"), Some("")).await, Err(Refusal::Missing));
    }

    #[tokio::test]
    async fn a_server_without_a_key_lets_everybody_in() {
        assert!(identify(None, None).await.is_ok());
        assert!(identify(None, Some("anything")).await.is_ok());
    }
}
