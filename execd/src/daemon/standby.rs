//! A sandbox that was started before anybody asked for it, and its hand-over to whoever does.
//!
//! The owner brings a token, an environment and a program. From then on the token used so far opens nothing, and
//! every new process, the owner's program first, has the owner's environment.

use std::{collections::BTreeMap, ffi::OsString, net::Ipv4Addr, sync::Arc, time::Duration};

use axum::{extract::State, http::StatusCode};
use sandkeep_specs::execd::{
    ACCESS_TOKEN_HEADER,
    error::{ErrorBody, TokenRejected},
    handover::HandOverRequest,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, watch},
    time::timeout,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::init::Entrypoint;
use crate::{
    api::{
        error::{ApiError, ErrorKind},
        extract::JsonBody,
    },
    process::Program,
    settings::{Owner, Settings},
    state::AppState,
};

/// Variable that holds the access token for programs in the sandbox.
const TOKEN_VARIABLE: &str = "EXECD_ACCESS_TOKEN";

/// A program that no image has.
const NOWHERE: &str = ".execd-rehearsal";
const REHEARSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Where an owner's program goes once it runs.
#[derive(Debug, Clone)]
pub struct Standby {
    programs: mpsc::Sender<Entrypoint>,
    /// Told when there is an owner.
    owned: watch::Sender<bool>,
}

impl Standby {
    /// Waits for the owner.
    pub(super) async fn handed_over(&self) {
        // There is a sender: this.
        let _ = self.owned.subscribe().wait_for(|owned| *owned).await;
    }
}

/// The owner's program, when there is one.
pub(super) struct Owners(Option<mpsc::Receiver<Entrypoint>>);

/// The two ends; the first is dropped by a daemon that does not stand by.
pub(super) fn open() -> (Standby, Owners) {
    // There is one owner at most.
    let (sender, receiver) = mpsc::channel(1);
    (Standby { programs: sender, owned: watch::Sender::new(false) }, Owners(Some(receiver)))
}

impl Owners {
    /// Waits for the owner's program, for ever if there will be none.
    pub(super) async fn next(&mut self) -> Entrypoint {
        if let Some(receiver) = &mut self.0
            && let Some(entrypoint) = receiver.recv().await
        {
            return entrypoint;
        }
        self.0 = None;
        std::future::pending().await
    }
}

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(hand_over))
}

/// Hands a sandbox that stands by over to its owner (an extension).
///
/// Works once, and only where execd was started with `--standby`. The access token of this request is the last to open
/// anything: afterwards the one in the body does. Answers when the program runs.
#[utoipa::path(post, path = "/handover", operation_id = "handOver", tag = "System",
    request_body = HandOverRequest, responses(
    (status = 204, description = "It belongs to the owner now"),
    (status = 400, description = "The request is not acceptable, or the program cannot be started", body = ErrorBody),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 409, description = "It has an owner already, or never stood by for one", body = ErrorBody),
))]
async fn hand_over(
    State(state): State<AppState>,
    JsonBody(request): JsonBody<HandOverRequest>,
) -> Result<StatusCode, ApiError> {
    let not_standing_by = |message: &str| ApiError::new(ErrorKind::Conflict, message);
    let Some(standby) = &state.standby else {
        return Err(not_standing_by("this sandbox does not stand by for an owner"));
    };
    let program = take(&state.settings, request)?
        .ok_or_else(|| not_standing_by("this sandbox has an owner already"))?;
    standby.owned.send_replace(true);
    if !program.argv.is_empty() {
        let running = Entrypoint::start(&program).map_err(|(_, message)| ApiError::invalid(message))?;
        standby.programs.send(running).await.map_err(|_| ApiError::runtime("execd is ending"))?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Makes the request's sender the owner; `None` if there is one.
fn take(settings: &Arc<Settings>, request: HandOverRequest) -> Result<Option<Program>, ApiError> {
    let HandOverRequest { access_token, env: added, entrypoint } = request;
    if access_token.is_empty() {
        return Err(ApiError::invalid("access_token: must not be empty"));
    }
    let is_sound = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
    if let Some((name, _)) = added.iter().find(|(name, value)| !is_sound(name) || value.contains('\0')) {
        return Err(ApiError::invalid(format!(
            "env: {name:?} cannot be the name of a variable or have this value"
        )));
    }
    let mut env: BTreeMap<OsString, OsString> = settings.env.clone();
    env.extend(added.into_iter().map(|(name, value)| (name.into(), value.into())));
    env.insert(TOKEN_VARIABLE.into(), access_token.clone().into());
    let program = Program {
        argv: entrypoint.into_iter().map(OsString::from).collect(),
        env: env.clone(),
        cwd: settings.cwd.clone(),
        identity: settings.identity.clone(),
    };
    Ok(settings.owner.set(Owner { access_token, env }).is_ok().then_some(program))
}

/// Goes the way of a hand-over, up to its owner, before the real one comes: code and directories that are met for the
/// first time take longer than all the rest. It is refused, and the program is one that is nowhere.
pub(super) async fn rehearse(port: u16, settings: &Settings) {
    let body = r#"{"access_token":""}"#;
    let token = settings.access_token().unwrap_or_default();
    let request = format!(
        "POST /handover HTTP/1.1\r\nhost: localhost\r\n{ACCESS_TOKEN_HEADER}: {token}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let talk = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_end(&mut Vec::new()).await
    };
    // It only costs the owner time if this does not succeed.
    let _ = timeout(REHEARSAL_TIMEOUT, talk).await;
    let _ = Entrypoint::start(&Program {
        argv: vec![NOWHERE.into()],
        env: settings.env.clone(),
        cwd: settings.cwd.clone(),
        identity: settings.identity.clone(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Arc<Settings> {
        let env = BTreeMap::from([("A".into(), "pool".into()), ("B".into(), "pool".into())]);
        let access_token = Some("pool".to_owned());
        let owner = Default::default();
        Arc::new(Settings { access_token, env_file: None, identity: None, cwd: "/".into(), env, owner })
    }

    fn request(token: &str, name: &str) -> HandOverRequest {
        let env = BTreeMap::from([(name.to_owned(), "owner".to_owned())]);
        HandOverRequest { access_token: token.to_owned(), env, entrypoint: vec!["true".to_owned()] }
    }

    #[test]
    fn the_first_owner_takes_token_and_environment() {
        let settings = settings();
        assert_eq!(settings.access_token(), Some("pool"));
        let program = take(&settings, request("first", "B")).unwrap().unwrap();
        assert_eq!(program.argv, ["true"]);
        assert_eq!(&program.env, settings.env());
        let value = |name: &str| settings.env().get(std::ffi::OsStr::new(name)).cloned();
        assert_eq!(value("A"), Some("pool".into()));
        assert_eq!(value("B"), Some("owner".into()));
        assert_eq!(value(TOKEN_VARIABLE), Some("first".into()));
        assert_eq!(settings.access_token(), Some("first"));
        assert!(take(&settings, request("second", "B")).unwrap().is_none());
        assert_eq!(settings.access_token(), Some("first"));
    }

    #[test]
    fn a_wrong_request_changes_nothing() {
        let settings = settings();
        for (token, name) in [("", "A"), ("t", ""), ("t", "A=B"), ("t", "A\0")] {
            assert!(take(&settings, request(token, name)).is_err(), "{token:?} {name:?}");
        }
        assert_eq!(settings.access_token(), Some("pool"));
    }
}
