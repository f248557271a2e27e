//! Who may reach a sandbox's ports, and whether they can be reached.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use sandkeep_specs::lifecycle::{API_KEY_HEADER, SECURE_ACCESS_HEADER};

use super::{
    auth::{self, Keys, Refusal},
    error::{ApiError, Code},
    state::ApiState,
    tenancy,
};
use crate::{
    proxy::{EXECD_PORT, EXECD_TOKEN_HEADER},
    sandbox::{Openness, Service, State, Target},
};

/// What a request carries on into the sandbox because its sender proved himself.
pub(super) type Credential = (HeaderName, HeaderValue);

/// What the proxy demands of its callers.
pub struct Gate {
    pub keys: Keys,
    /// Ports that need no proof.
    pub public_ports: Vec<u16>,
}

impl Gate {
    /// Whether the request's key is one that opens this sandbox. With tenants every request needs a key, and sandboxes
    /// of others don't exist; without them, one who has no key may have another proof.
    pub async fn has_key(&self, state: &ApiState, headers: &HeaderMap, id: &str) -> Result<bool, ApiError> {
        match self.keys.identify(headers).await {
            Ok(caller) => tenancy::own_sandbox(state, &caller.scope(), id).map(|()| true),
            Err(refusal) if self.keys.has_tenants() => Err(refusal.into()),
            Err(Refusal::Missing | Refusal::Wrong | Refusal::Unavailable) => Ok(false),
        }
    }

    /// Whether anybody may reach the port.
    pub fn is_public(&self, target: &Target) -> bool {
        match target.openness {
            Openness::Public => true,
            Openness::Secure => false,
            Openness::Default => self.public_ports.contains(&target.address.port()),
        }
    }

    /// Lets a request pass or not. A caller with proof gets execd's token put on the request; one without reaches
    /// execd's port as he came, and execd judges him.
    pub fn admit(
        &self,
        has_key: bool,
        headers: &HeaderMap,
        target: &Target,
    ) -> Result<Option<Credential>, ApiError> {
        match (has_key || has_token(headers, target) == Some(true), target.address.port()) {
            (true, EXECD_PORT) => execd_credential(target).map(Some),
            (true, _) | (false, EXECD_PORT) => Ok(None),
            (false, _) if self.is_public(target) => Ok(None),
            (false, _) => Err(no_proof()),
        }
    }

    /// The same for ways into a sandbox that are never public.
    pub fn admit_proven(&self, has_key: bool, headers: &HeaderMap, target: &Target) -> Result<(), ApiError> {
        (has_key || has_token(headers, target) == Some(true)).then_some(()).ok_or_else(no_proof)
    }
}

fn no_proof() -> ApiError {
    ApiError::new(
        Code::MissingOrInvalidSecureAccess,
        format!(
            "this port needs {API_KEY_HEADER} with the API key, or {SECURE_ACCESS_HEADER} with the token that the \
             sandbox's endpoint names"
        ),
    )
}

/// Whether the request shows the right token; `None` shows none at all.
pub(super) fn has_token(headers: &HeaderMap, target: &Target) -> Option<bool> {
    let token = headers.get(SECURE_ACCESS_HEADER)?;
    Some(auth::same(token.as_bytes(), target.access_token.as_bytes()))
}

/// What execd wants to see.
pub(super) fn execd_credential(target: &Target) -> Result<Credential, ApiError> {
    let name = HeaderName::try_from(EXECD_TOKEN_HEADER).map_err(ApiError::internal)?;
    let mut value = HeaderValue::try_from(&target.execd_token).map_err(ApiError::internal)?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// A port of a sandbox that runs. An ended sandbox's address may belong to another one by now.
pub(super) fn reachable_target(service: &Service, id: &str, port: u16) -> Result<Target, ApiError> {
    let target = service.target(id, port)?;
    if target.reachable {
        return Ok(target);
    }
    match service.get(id)?.status.state {
        State::Pending => {
            let message = format!("sandbox {id} is still starting; try again");
            Err(ApiError::new(Code::BackendConnectionFailed, message))
        }
        state => Err(not_reachable(id, state)),
    }
}

/// A port of a sandbox that runs, will run, or will go on: clients ask for endpoints first and then wait for them to answer.
pub(super) fn announced_target(service: &Service, id: &str, port: u16) -> Result<Target, ApiError> {
    match service.get(id)?.status.state {
        State::Pending | State::Running | State::Paused => Ok(service.target(id, port)?),
        state => Err(not_reachable(id, state)),
    }
}

fn not_reachable(id: &str, state: State) -> ApiError {
    ApiError::new(Code::NotReachable, format!("sandbox {id} is {state}, so none of its ports can be reached"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit_to(
        port: u16,
        openness: Openness,
        has_key: bool,
        sent: &[(&'static str, &'static str)],
    ) -> Result<bool, Code> {
        let gate = Gate { keys: Keys::one(Some("key")), public_ports: vec![8000] };
        let target = Target {
            address: ([10, 0, 0, 7], port).into(),
            run: 0,
            execd_token: "execd".to_owned(),
            access_token: "access".to_owned(),
            egress_token: Some("egress".to_owned()),
            openness,
            reachable: true,
        };
        let headers = sent
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>();
        gate.admit(has_key, &headers, &target)
            .map(|credential| credential.is_some())
            .map_err(|error| error.code)
    }

    fn admit(port: u16, has_key: bool, sent: &[(&'static str, &'static str)]) -> Result<bool, Code> {
        admit_to(port, Openness::Default, has_key, sent)
    }

    #[test]
    fn execds_token_is_only_for_those_who_proved_themselves() {
        assert_eq!(admit(EXECD_PORT, true, &[]), Ok(true));
        assert_eq!(admit(EXECD_PORT, false, &[(SECURE_ACCESS_HEADER, "access")]), Ok(true));
        assert_eq!(admit(EXECD_PORT, false, &[]), Ok(false));
        assert_eq!(admit(EXECD_PORT, false, &[(SECURE_ACCESS_HEADER, "wrong")]), Ok(false));
    }

    #[test]
    fn other_ports_need_a_proof_unless_they_are_public() {
        assert_eq!(admit(3000, true, &[]), Ok(false));
        assert_eq!(admit(3000, false, &[(SECURE_ACCESS_HEADER, "access")]), Ok(false));
        assert_eq!(admit(3000, false, &[]), Err(Code::MissingOrInvalidSecureAccess));
        let wrong = [(SECURE_ACCESS_HEADER, "acces")];
        assert_eq!(admit(3000, false, &wrong), Err(Code::MissingOrInvalidSecureAccess));
        assert_eq!(admit(8000, false, &[]), Ok(false));
    }

    #[test]
    fn a_sandbox_decides_over_its_own_ports() {
        assert_eq!(admit_to(3000, Openness::Public, false, &[]), Ok(false));
        let refused = Err(Code::MissingOrInvalidSecureAccess);
        assert_eq!(admit_to(8000, Openness::Secure, false, &[]), refused);
    }
}
