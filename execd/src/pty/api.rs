//! HTTP surface of terminals.

use axum::{
    Json,
    extract::{
        Request, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sandkeep_specs::execd::{
    error::{ErrorBody, TokenRejected},
    pty::{
        AttachQuery, BinaryFlag, ClientFrame, CreatePtyRequest, CreatePtyResponse, Mode, PtyStatus,
        ServerFrame,
    },
};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::client;
use crate::{
    api::{
        error::ApiError,
        extract::{Params, Path},
    },
    session::api::optional_body,
    state::AppState,
};

/// Longest message of a client.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// Bytes for a client that wait inside a connection; a whole replay has room.
const MAX_WRITE_BYTES: usize = 4 * 1024 * 1024;

/// Schemas that no operation refers to in the usual way.
#[derive(OpenApi)]
#[openapi(components(schemas(BinaryFlag, ClientFrame, ServerFrame)))]
struct Frames;

/// Routes of terminals.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Frames::openapi())
        .routes(routes!(create_pty))
        .routes(routes!(pty_status, delete_pty))
        .routes(routes!(attach))
}

/// Makes a terminal for an interactive shell or a command. The program starts when a client attaches.
#[utoipa::path(post, path = "/pty", operation_id = "createPtySession", tag = "PTY",
    request_body = Option<CreatePtyRequest>, responses(
    (status = 201, description = "The terminal", body = CreatePtyResponse),
    (status = 400, description = "The request is not acceptable", body = ErrorBody),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 429, description = "Too many terminals", body = ErrorBody),
    (status = 500, description = "The system refused", body = ErrorBody),
    (status = 501, description = "Terminals are not supported here", body = ErrorBody),
))]
async fn create_pty(
    State(state): State<AppState>,
    request: Request,
) -> Result<(StatusCode, Json<CreatePtyResponse>), ApiError> {
    let request: CreatePtyRequest = optional_body(request, &state).await?;
    let session_id = state.terminals.create(request)?;
    Ok((StatusCode::CREATED, Json(CreatePtyResponse { session_id })))
}

/// Says whether a terminal's program runs and how much it has written.
#[utoipa::path(get, path = "/pty/{sessionId}", operation_id = "getPtySession", tag = "PTY",
    params(("sessionId" = String, Path, description = "The terminal's id")), responses(
    (status = 200, description = "The terminal's status", body = PtyStatus),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 404, description = "No such terminal", body = ErrorBody),
    (status = 500, description = "The system refused", body = ErrorBody),
    (status = 501, description = "Terminals are not supported here", body = ErrorBody),
))]
async fn pty_status(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<PtyStatus>, ApiError> {
    Ok(Json(state.terminals.status(&id)?))
}

/// Deletes a terminal and kills everything on it. An attached client sees an exit with code -1.
#[utoipa::path(delete, path = "/pty/{sessionId}", operation_id = "deletePtySession", tag = "PTY",
    params(("sessionId" = String, Path, description = "The terminal's id")), responses(
    (status = 200, description = "It is gone"),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 404, description = "No such terminal", body = ErrorBody),
    (status = 500, description = "The system refused", body = ErrorBody),
    (status = 501, description = "Terminals are not supported here", body = ErrorBody),
))]
async fn delete_pty(State(state): State<AppState>, Path(id): Path<String>) -> Result<(), ApiError> {
    Ok(state.terminals.delete(&id).await?)
}

/// Attaches to a terminal over WebSocket.
///
/// The server sends, in this order: if there is kept output a binary frame of byte 3, the offset of its first byte
/// (8 bytes, big-endian) and the output; the text frame `connected`; live output as binary frames of byte 1 (the
/// terminal, or standard output in pipe mode) or byte 2 (standard error in pipe mode) and the output; at the
/// program's end the text frame `exit`, and then it closes with code 1000. The client sends input as binary frames
/// of byte 0 and the input, and text frames. One client is attached at a time; with `takeover=1` a new one replaces
/// it, which is then closed with code 4001. A client that leaves does not end the program.
#[utoipa::path(get, path = "/pty/{sessionId}/ws", operation_id = "ptyWebSocket", tag = "PTY",
    params(("sessionId" = String, Path, description = "The terminal's id"), AttachQuery),
    // One extension only: of several, the exporter writes now this one first, now that.
    extensions(("x-websocket-messages" = json!({
        "client-text": { "$ref": "#/components/schemas/PTYClientFrame" },
        "server-text": { "$ref": "#/components/schemas/PTYServerFrame" },
        "client-binary": { "prefix-bytes": [0] },
        "server-binary": { "prefix-bytes": [1, 2, 3] },
        "close-codes": [1000, 4001],
    }))),
    responses(
    (status = 101, description = "Attached"),
    (status = 400, description = "Not a WebSocket upgrade, or the query is not acceptable", body = String, content_type = "text/plain"),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 404, description = "No such terminal", body = ErrorBody),
    (status = 409, description = "Another client is attached", body = ErrorBody),
))]
async fn attach(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Params(query): Params<AttachQuery>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    state.terminals.status(&id)?;
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.max_message_size(MAX_MESSAGE_BYTES).max_write_buffer_size(MAX_WRITE_BYTES),
        Err(refused) => return Ok((StatusCode::BAD_REQUEST, refused.body_text()).into_response()),
    };
    let reservation = state.terminals.reserve(&id, query.takeover.as_deref() == Some("1"))?;
    let since = query.since.and_then(|since| u64::try_from(since).ok()).unwrap_or(0);
    let mode = if query.pty.as_deref() == Some("0") { Mode::Pipe } else { Mode::Pty };
    Ok(upgrade.on_upgrade(move |socket| client::serve(socket, reservation, since, mode)))
}
