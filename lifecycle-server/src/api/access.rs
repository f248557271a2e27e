//! Who may reach a sandbox's ports, and whether they can be reached.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use sandkeep_specs::lifecycle::{API_KEY_HEADER, SECURE_ACCESS_HEADER};

use super::{
    auth::{self, ApiKey, Proof},
    error::{ApiError, Code},
};
use crate::{
    proxy::{EXECD_PORT, EXECD_TOKEN_HEADER},
    sandbox::{Service, State, Target},
};

/// What the proxy demands of its callers.
pub struct Gate {
    pub key: ApiKey,
    /// Ports that need no proof.
    pub public_ports: Vec<u16>,
}

impl Gate {
    /// Lets a request pass or not. A caller with proof gets execd's token put on the request; one without reaches
    /// execd's port as he came, and execd judges him.
    pub fn admit(
        &self,
        headers: &HeaderMap,
        target: &Target,
        port: u16,
    ) -> Result<Option<(HeaderName, HeaderValue)>, ApiError> {
        let key = self.key.judge(headers);
        let has_token = headers
            .get(SECURE_ACCESS_HEADER)
            .is_some_and(|token| auth::same(token.as_bytes(), target.access_token.as_bytes()));
        let is_proven = key == Proof::Valid || has_token;
        match (is_proven, port) {
            (true, EXECD_PORT) => execd_credential(target).map(Some),
            (true, _) | (false, EXECD_PORT) => Ok(None),
            (false, port) if self.public_ports.contains(&port) => Ok(None),
            (false, _) => Err(ApiError::new(
                Code::MissingOrInvalidSecureAccess,
                format!(
                    "this port needs {API_KEY_HEADER} with the API key, or {SECURE_ACCESS_HEADER} with the token that \
                     the sandbox's endpoint names"
                ),
            )),
        }
    }
}

fn execd_credential(target: &Target) -> Result<(HeaderName, HeaderValue), ApiError> {
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

    fn admit(port: u16, sent: &[(&'static str, &'static str)]) -> Result<bool, Code> {
        let gate = Gate { key: ApiKey::new(Some("key")), public_ports: vec![8000] };
        let target = Target {
            address: ([10, 0, 0, 7], port).into(),
            execd_token: "execd".to_owned(),
            access_token: "access".to_owned(),
            reachable: true,
        };
        let headers = sent
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>();
        gate.admit(&headers, &target, port).map(|credential| credential.is_some()).map_err(|error| error.code)
    }

    #[test]
    fn execds_token_is_only_for_those_who_proved_themselves() {
        assert_eq!(admit(EXECD_PORT, &[(API_KEY_HEADER, "key")]), Ok(true));
        assert_eq!(admit(EXECD_PORT, &[(SECURE_ACCESS_HEADER, "access")]), Ok(true));
        assert_eq!(admit(EXECD_PORT, &[]), Ok(false));
        assert_eq!(
            admit(EXECD_PORT, &[(API_KEY_HEADER, "wrong"), (SECURE_ACCESS_HEADER, "wrong")]),
            Ok(false)
        );
    }

    #[test]
    fn other_ports_need_a_proof_unless_they_are_public() {
        assert_eq!(admit(3000, &[(API_KEY_HEADER, "key")]), Ok(false));
        assert_eq!(admit(3000, &[(SECURE_ACCESS_HEADER, "access")]), Ok(false));
        assert_eq!(admit(3000, &[]), Err(Code::MissingOrInvalidSecureAccess));
        assert_eq!(admit(3000, &[(SECURE_ACCESS_HEADER, "acces")]), Err(Code::MissingOrInvalidSecureAccess));
        assert_eq!(admit(8000, &[]), Ok(false));
    }
}
