//! HTTP surface of bash sessions.

use axum::{
    Json,
    extract::{Request, State},
    response::Response,
};
use sandkeep_specs::execd::{
    error::{ErrorBody, TokenRejected},
    event::ServerStreamEvent,
    session::{CreateSessionRequest, CreateSessionResponse, RunInSessionRequest},
};
use serde::de::DeserializeOwned;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::SessionError;
use crate::{
    api::{
        error::{ApiError, ErrorKind},
        extract::{JsonBody, Path, parse_json, read_body},
    },
    state::AppState,
    stream,
};

/// Routes of bash sessions.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create_session))
        .routes(routes!(run_in_session))
        .routes(routes!(delete_session))
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        let kind = match &error {
            SessionError::Invalid(_) => ErrorKind::InvalidRequest,
            SessionError::Unknown(_) => ErrorKind::ContextNotFound,
            SessionError::TooMany(..) | SessionError::QueueFull(_) => ErrorKind::Busy,
            SessionError::Attached(_) => ErrorKind::AlreadyConnected,
            SessionError::System(_) => ErrorKind::Runtime,
        };
        Self::new(kind, error.to_string())
    }
}

/// A JSON body that may be absent.
pub(crate) async fn optional_body<T: DeserializeOwned + Default>(
    request: Request,
    state: &AppState,
) -> Result<T, ApiError> {
    let bytes = read_body(request, state).await?;
    if bytes.trim_ascii().is_empty() { Ok(T::default()) } else { parse_json(&bytes) }
}

/// Makes a session: one live shell whose directory, variables, functions and options last from run to run.
#[utoipa::path(post, path = "/session", operation_id = "createSession", tag = "Session",
    request_body = Option<CreateSessionRequest>, responses(
    (status = 200, description = "The session", body = CreateSessionResponse),
    (status = 400, description = "The request is not acceptable", body = ErrorBody),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 429, description = "Too many sessions", body = ErrorBody),
    (status = 500, description = "The system refused", body = ErrorBody),
))]
async fn create_session(
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<CreateSessionResponse>, ApiError> {
    let request: CreateSessionRequest = optional_body(request, &state).await?;
    let session_id = state.sessions.create(&request)?;
    Ok(Json(CreateSessionResponse { session_id }))
}

/// Runs text in a session and streams its output.
///
/// The stream is as for commands, except that the text of `init` is the session's id. Runs of one session wait for
/// each other. When the client leaves, or the time limit is reached, all that the run started is killed; the shell
/// keeps its state as it is then. An event of type `status` says so if a shell's state was lost.
#[utoipa::path(post, path = "/session/{sessionId}/run", operation_id = "runInSession", tag = "Session",
    params(("sessionId" = String, Path, description = "The session's id")),
    request_body = RunInSessionRequest, responses(
    (status = 200, description = "The run's events", content_type = "text/event-stream", body = ServerStreamEvent),
    (status = 400, description = "The request is not acceptable", body = ErrorBody),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 404, description = "No such session", body = ErrorBody),
    (status = 429, description = "Too many runs are waiting", body = ErrorBody),
    (status = 500, description = "The system refused", body = ErrorBody),
))]
async fn run_in_session(
    State(state): State<AppState>,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<RunInSessionRequest>,
) -> Result<Response, ApiError> {
    Ok(stream::response(state.sessions.run(&id, &request).await?))
}

/// Deletes a session and kills everything it started.
#[utoipa::path(delete, path = "/session/{sessionId}", operation_id = "deleteSession", tag = "Session",
    params(("sessionId" = String, Path, description = "The session's id")), responses(
    (status = 200, description = "It is gone"),
    (status = 400, description = "The id is not acceptable", body = ErrorBody),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 404, description = "No such session", body = ErrorBody),
    (status = 500, description = "The system refused", body = ErrorBody),
))]
async fn delete_session(State(state): State<AppState>, Path(id): Path<String>) -> Result<(), ApiError> {
    Ok(state.sessions.delete(&id).await?)
}
