//! HTTP surface of isolated sessions.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sandkeep_specs::execd::{
    ISOLATED_CURSOR_HEADER,
    error::{ErrorBody, TokenRejected},
    event::ServerStreamEvent,
    files::FileContent,
    isolated::{
        CapabilitiesResponse, CreateIsolatedSessionRequest, IsolatedBackgroundRunResponse,
        IsolatedCommitResponse, IsolatedCreateSessionResponse, IsolatedRunRequest, IsolatedRunStatus,
        ListIsolatedSessionsResponse, RunLogsQuery, SessionState,
    },
    session::RunInSessionRequest,
};
use utoipa::IntoResponses;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    IsolatedError,
    busy::{Busy, BusyBody},
    commit, diff, registry, runs,
    session::Session,
};
use crate::{
    api::{
        error::{ApiError, ErrorKind},
        extract::{JsonBody, Params, Path},
    },
    state::AppState,
};

/// Failures every route may answer with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum Common {
    /// Token refused
    #[response(status = 401)]
    Token(TokenRejected),
    /// The operation failed
    #[response(status = 500)]
    Failed(ErrorBody),
    /// This machine cannot isolate; the message names what is missing
    #[response(status = 503)]
    Unavailable(ErrorBody),
}

/// Routes of isolated sessions.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(capabilities))
        .routes(routes!(create))
        .routes(routes!(list))
        .routes(routes!(get, delete))
        .routes(routes!(run))
        .routes(routes!(run_status))
        .routes(routes!(run_logs))
        .routes(routes!(diff_archive))
        .routes(routes!(commit_changes))
        .merge(super::files_api::router())
}

/// What isolation this machine can give, and the state of each wall. Found out once, by putting up a session.
#[utoipa::path(get, path = "/v1/isolated/capabilities", operation_id = "isolatedCapabilities", tag = "Isolated",
    responses(
    (status = 200, description = "What there is", body = CapabilitiesResponse),
    (status = 401, description = "Token refused", body = TokenRejected),
))]
async fn capabilities(State(state): State<AppState>) -> Json<CapabilitiesResponse> {
    Json(state.isolated.capabilities().await)
}

/// Makes a session: a shell in namespaces of its own.
///
/// It sees the sandbox's files read-only, with its mounts on top, a `/dev`, `/proc` and `/run` of its own, and under
/// strict a `/tmp` of its own. Of the variables, `PATH` and `HOME` always pass, execd's token only when it is named
/// in an `allow` list.
#[utoipa::path(post, path = "/v1/isolated/session", operation_id = "createIsolatedSession", tag = "Isolated",
    request_body = CreateIsolatedSessionRequest, responses(
    (status = 201, description = "The session", body = IsolatedCreateSessionResponse),
    (status = 400, description = "The request is not acceptable; the message says what and where", body = ErrorBody),
    (status = 429, description = "Too many sessions", body = ErrorBody),
    Common,
))]
async fn create(
    State(state): State<AppState>,
    JsonBody(request): JsonBody<CreateIsolatedSessionRequest>,
) -> Result<(StatusCode, Json<IsolatedCreateSessionResponse>), ApiError> {
    Ok((StatusCode::CREATED, Json(state.isolated.create(&request).await?)))
}

/// All sessions, oldest first.
#[utoipa::path(get, path = "/v1/isolated/sessions", operation_id = "listIsolatedSessions", tag = "Isolated", responses(
    (status = 200, description = "The sessions", body = ListIsolatedSessionsResponse), Common,
))]
async fn list(State(state): State<AppState>) -> Result<Json<ListIsolatedSessionsResponse>, ApiError> {
    Ok(Json(ListIsolatedSessionsResponse { sessions: state.isolated.list().await? }))
}

/// A session and its parameters.
#[utoipa::path(get, path = "/v1/isolated/session/{sessionId}", operation_id = "getIsolatedSession", tag = "Isolated",
    params(("sessionId" = Uuid, Path, description = "The session's id")), responses(
    (status = 200, description = "The session", body = SessionState),
    (status = 404, description = "No such session", body = ErrorBody), Common,
))]
async fn get(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<SessionState>, ApiError> {
    Ok(Json(state.isolated.get(&id).await?.state()))
}

/// Deletes a session: its processes are killed and changes that were not committed are dropped.
#[utoipa::path(delete, path = "/v1/isolated/session/{sessionId}", operation_id = "deleteIsolatedSession",
    tag = "Isolated", params(("sessionId" = Uuid, Path, description = "The session's id")), responses(
    (status = 200, description = "It is gone"),
    (status = 404, description = "No such session", body = ErrorBody), Common,
))]
async fn delete(State(state): State<AppState>, Path(id): Path<String>) -> Result<(), ApiError> {
    Ok(state.isolated.delete(&id).await?)
}

/// Runs text in a session's shell.
///
/// In the foreground the answer is a stream of events as for bash sessions; when the client leaves or the time limit
/// is reached, all that the run started is killed. In the background the answer is the run's id; such a run is a job
/// of the shell, begins when the runs before it are done, and has no time limit.
#[utoipa::path(post, path = "/v1/isolated/session/{sessionId}/run", operation_id = "runInIsolatedSession",
    tag = "Isolated", params(("sessionId" = Uuid, Path, description = "The session's id")),
    request_body = IsolatedRunRequest, responses(
    (status = 200, description = "The run's events", content_type = "text/event-stream", body = ServerStreamEvent),
    (status = 202, description = "The background run", body = IsolatedBackgroundRunResponse),
    (status = 400, description = "The request is not acceptable; the message says what and where", body = ErrorBody),
    (status = 404, description = "No such session, or its processes have ended", body = ErrorBody),
    (status = 429, description = "Too many runs", body = ErrorBody), Common,
))]
async fn run(
    State(state): State<AppState>,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<IsolatedRunRequest>,
) -> Result<Response, ApiError> {
    let session = state.isolated.get(&id).await?;
    let timeout = millis(request.timeout_seconds)?;
    if request.background == Some(true) {
        check_background(&session, &request)?;
        let started = runs::start(&session, &request.code, request.envs)?;
        return Ok((StatusCode::ACCEPTED, Json(started)).into_response());
    }
    let busy = Busy::new(&session);
    let run = RunInSessionRequest { command: request.code, cwd: None, envs: request.envs, timeout };
    let answer = session.run(&run).await?;
    Ok(answer.map(|body| Body::new(BusyBody::new(body, busy))))
}

fn millis(seconds: Option<i64>) -> Result<Option<u64>, ApiError> {
    let Some(seconds) = seconds else { return Ok(None) };
    let seconds = u64::try_from(seconds)
        .map_err(|_| ApiError::invalid(format!("timeout_seconds: {seconds} is negative")))?;
    Ok(Some(seconds.saturating_mul(1000)))
}

fn check_background(session: &Session, request: &IsolatedRunRequest) -> Result<(), IsolatedError> {
    if !registry::takes_background_runs(&session.parameters) {
        let message =
            "background: the session's first mount keeps nothing (ro, or overlay with persist false)";
        return Err(IsolatedError::Invalid(message.to_owned()));
    }
    let envs = request.envs.clone().unwrap_or_default();
    crate::session::check_text(&request.code, &envs)
        .map_err(|error| IsolatedError::Invalid(error.to_string()))
}

/// What is known of a background run.
#[utoipa::path(get, path = "/v1/isolated/session/{sessionId}/runs/{runId}", operation_id = "getIsolatedRunStatus",
    tag = "Isolated", params(
        ("sessionId" = Uuid, Path, description = "The session's id"),
        ("runId" = Uuid, Path, description = "The run's id"),
    ), responses(
    (status = 200, description = "The run", body = IsolatedRunStatus),
    (status = 404, description = "No such session or run", body = ErrorBody), Common,
))]
async fn run_status(
    State(state): State<AppState>,
    Path((id, run)): Path<(String, String)>,
) -> Result<Json<IsolatedRunStatus>, ApiError> {
    Ok(Json(runs::describe(&*state.isolated.get(&id).await?, &run)?))
}

/// Reads the output of a background run, at most 16 MiB at once. Of a run that has ended the first 16 MiB are kept.
#[utoipa::path(get, path = "/v1/isolated/session/{sessionId}/runs/{runId}/logs", operation_id = "getIsolatedRunLogs",
    tag = "Isolated", params(
        ("sessionId" = Uuid, Path, description = "The session's id"),
        ("runId" = Uuid, Path, description = "The run's id"),
        RunLogsQuery,
    ), responses(
    (status = 200, description = "The output from the cursor on", content_type = "text/plain", body = String, headers(
        ("EXECD-ISOLATED-TAIL-CURSOR" = i64, description = "Byte offset to ask for next"),
    )),
    (status = 400, description = "The cursor is not acceptable", body = ErrorBody),
    (status = 404, description = "No such session or run", body = ErrorBody), Common,
))]
async fn run_logs(
    State(state): State<AppState>,
    Path((id, run)): Path<(String, String)>,
    Params(query): Params<RunLogsQuery>,
) -> Result<Response, ApiError> {
    let cursor = query.cursor.unwrap_or(0);
    let cursor = u64::try_from(cursor)
        .map_err(|_| ApiError::new(ErrorKind::InvalidQuery, format!("query: cursor {cursor} is negative")))?;
    let logs = runs::logs(&*state.isolated.get(&id).await?, &run, cursor)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::HeaderName::from_static(ISOLATED_CURSOR_HEADER), HeaderValue::from(logs.cursor)),
    ];
    Ok((headers, Body::new(logs)).into_response())
}

/// The session's changes as a gzip-compressed tar archive.
///
/// Only overlays that are kept have any. Removed entries are named `.wh.NAME`, and a directory that replaces the one
/// below holds `.wh..wh..opq`, as in image layers. Paths are relative to the overlay, or to `/` if there are several.
#[utoipa::path(get, path = "/v1/isolated/session/{sessionId}/diff", operation_id = "isolatedSessionDiff",
    tag = "Isolated", params(("sessionId" = Uuid, Path, description = "The session's id")), responses(
    (status = 200, description = "The archive", body = FileContent, content_type = "application/gzip"),
    (status = 400, description = "The session has no overlay that is kept", body = ErrorBody),
    (status = 404, description = "No such session", body = ErrorBody),
    (status = 413, description = "The changes are too large", body = ErrorBody), Common,
))]
async fn diff_archive(State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let session = state.isolated.get(&id).await?;
    let archive = diff::archive(layers(&session)?).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/gzip"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"diff.tar.gz\""),
    ];
    Ok((headers, archive).into_response())
}

/// Writes the session's changes to the sandbox's directories. The session keeps them too.
#[utoipa::path(post, path = "/v1/isolated/session/{sessionId}/commit", operation_id = "isolatedSessionCommit",
    tag = "Isolated", params(("sessionId" = Uuid, Path, description = "The session's id")), responses(
    (status = 200, description = "They are written", body = IsolatedCommitResponse),
    (status = 400, description = "The session has no overlay that is kept", body = ErrorBody),
    (status = 404, description = "No such session", body = ErrorBody), Common,
))]
async fn commit_changes(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<IsolatedCommitResponse>, ApiError> {
    let layers = layers(&*state.isolated.get(&id).await?)?;
    let done =
        tokio::task::spawn_blocking(move || commit::commit(&layers)).await.map_err(std::io::Error::other);
    let done = done.and_then(|done| done).map_err(|error| IsolatedError::system("cannot commit", &error))?;
    Ok(Json(done))
}

fn layers(session: &Session) -> Result<Vec<super::session::Layer>, IsolatedError> {
    match &session.layers[..] {
        [] => {
            Err(IsolatedError::NotSupported("the session has no overlay whose changes are kept".to_owned()))
        }
        layers => Ok(layers.to_vec()),
    }
}
