//! HTTP surface of commands.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use sandkeep_specs::execd::{
    LOG_CURSOR_HEADER,
    command::{
        AttachQuery, CommandStatus, CommandSummary, InterruptQuery, ListCommandsQuery, LogsQuery,
        RunCommandRequest, StdinQuery, StdinWritten,
    },
    error::{ErrorBody, TokenRejected},
    event::ServerStreamEvent,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    error::{ApiError, ErrorKind},
    extract::{BODY_READ_TIMEOUT, JsonBody, Params, Path},
};
use crate::{
    command::{CommandError, Started},
    state::AppState,
    stream,
};

/// Routes of commands.
pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_commands, run_command, interrupt_command))
        .routes(routes!(command_status))
        .routes(routes!(command_logs))
        .routes(routes!(attach_command))
        .routes(routes!(write_stdin))
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        let kind = match &error {
            CommandError::Invalid(_) => ErrorKind::InvalidRequest,
            CommandError::Unknown(_) | CommandError::Foreground(_) => ErrorKind::CommandNotFound,
            CommandError::Ended(_) | CommandError::NoInput(_) | CommandError::InputClosed(_) => {
                ErrorKind::Conflict
            }
            CommandError::Offset { .. } => ErrorKind::RangeNotSatisfiable,
            CommandError::TooMany(_) | CommandError::TooManyStreams(_) | CommandError::InputFull { .. } => {
                ErrorKind::Busy
            }
            CommandError::System(_) => ErrorKind::Runtime,
        };
        Self::new(kind, error.to_string())
    }
}

/// Runs a command and streams its output.
///
/// The stream is `init` (its text is the command's id), `ping` at once and every three seconds, output events whose
/// texts keep their line ends, and exactly one of `execution_complete` (exit status 0) and `error`. A background
/// command's stream is complete at once. The command goes on when the client leaves.
#[utoipa::path(post, path = "/command", operation_id = "runCommand", tag = "Command", request_body = RunCommandRequest, responses(
    (status = 200, description = "The command's events", content_type = "text/event-stream", body = ServerStreamEvent),
    (status = 400, description = "The request is not acceptable", body = ErrorBody),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 429, description = "Too many commands are running", body = ErrorBody),
    (status = 500, description = "The system refused", body = ErrorBody),
))]
async fn run_command(
    State(state): State<AppState>,
    JsonBody(request): JsonBody<RunCommandRequest>,
) -> Result<Response, ApiError> {
    Ok(match state.commands.run(request)? {
        Started::Whole(events) => stream::response(http_body_util::Full::new(events.into())),
        Started::Live(body) => stream::response(body),
    })
}

/// Ends a running command: SIGTERM to its process group, SIGKILL three seconds later to what is left of it. The id of
/// a bash session deletes that session.
#[utoipa::path(delete, path = "/command", operation_id = "interruptCommand", tag = "Command", params(InterruptQuery), responses(
    (status = 200, description = "It has ended"),
    (status = 400, description = "The id is missing", body = ErrorBody),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 404, description = "No such command", body = ErrorBody),
    (status = 409, description = "It had ended before", body = ErrorBody),
    (status = 500, description = "The system refused", body = ErrorBody),
))]
async fn interrupt_command(
    State(state): State<AppState>,
    Params(query): Params<InterruptQuery>,
) -> Result<(), ApiError> {
    Ok(state.interrupt(&query.id).await?)
}

/// Says whether a command is running and how it ended. Known for at least 24 hours after its end.
#[utoipa::path(get, path = "/command/status/{id}", operation_id = "getCommandStatus", tag = "Command",
    params(("id" = String, Path, description = "The command's id")), responses(
    (status = 200, description = "The command's status", body = CommandStatus),
    (status = 400, description = "The id is not acceptable", body = ErrorBody),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 404, description = "No such command", body = ErrorBody),
    (status = 500, description = "The system refused", body = ErrorBody),
))]
async fn command_status(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<axum::Json<CommandStatus>, ApiError> {
    Ok(axum::Json(state.commands.status(&id)?))
}

/// Reads the output of a background command, standard output and standard error in the order they were written.
#[utoipa::path(get, path = "/command/{id}/logs", operation_id = "getBackgroundCommandLogs", tag = "Command",
    params(("id" = String, Path, description = "The command's id"), LogsQuery), responses(
    (status = 200, description = "The output from the cursor on", content_type = "text/plain", body = String, headers(
        ("EXECD-COMMANDS-TAIL-CURSOR" = i64, description = "Byte offset to ask for next"),
    )),
    (status = 400, description = "The cursor is not acceptable", body = ErrorBody),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 404, description = "No such background command", body = ErrorBody),
    (status = 500, description = "The output cannot be read", body = ErrorBody),
))]
async fn command_logs(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Params(query): Params<RawLogsQuery>,
) -> Result<Response, ApiError> {
    let logs = state.commands.logs(&id, query.cursor()?)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::HeaderName::from_static(LOG_CURSOR_HEADER), HeaderValue::from(logs.cursor)),
    ];
    Ok((headers, Body::new(logs)).into_response())
}

/// Commands a list shows unless it is asked for another number, and at most.
const LISTED: u32 = 100;
const MAX_LISTED: u32 = 1000;

/// Lists commands, the last one started first (an extension).
#[utoipa::path(get, path = "/command", operation_id = "listCommands", tag = "Command", params(ListCommandsQuery), responses(
    (status = 200, description = "Running commands and remembered ones", body = Vec<CommandSummary>),
    (status = 400, description = "A parameter is not acceptable", body = ErrorBody),
    (status = 401, description = "Token refused", body = TokenRejected),
))]
async fn list_commands(
    State(state): State<AppState>,
    Params(query): Params<ListCommandsQuery>,
) -> Result<axum::Json<Vec<CommandSummary>>, ApiError> {
    let limit = query.limit.unwrap_or(LISTED);
    if !(1..=MAX_LISTED).contains(&limit) {
        let message = format!("query: limit {limit} is not between 1 and {MAX_LISTED}");
        return Err(ApiError::new(ErrorKind::InvalidQuery, message));
    }
    Ok(axum::Json(state.commands.list(query.running, limit as usize)))
}

/// Comes back to the stream of a command, running or ended, in the foreground or not (an extension).
///
/// The stream is that of `POST /command`, without the first `offset` bytes of output; of a background command both
/// outputs come as `stdout`. Each output event says at which `offset` it ends. The last 16 MiB of a foreground
/// command's output are kept, and the last 256 MiB of a background command's. Several clients may be attached: the
/// fastest sets the pace, and the stream of one that falls further behind than what is kept ends without the command's
/// end.
#[utoipa::path(get, path = "/command/{id}/stream", operation_id = "attachCommand", tag = "Command",
    params(("id" = String, Path, description = "The command's id"), AttachQuery), responses(
    (status = 200, description = "The command's events", content_type = "text/event-stream", body = ServerStreamEvent),
    (status = 400, description = "The offset is not acceptable", body = ErrorBody),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 404, description = "No such command", body = ErrorBody),
    (status = 416, description = "The output at this offset is not kept, or not there yet", body = ErrorBody),
    (status = 429, description = "Too many clients are attached", body = ErrorBody),
    (status = 500, description = "The output cannot be read", body = ErrorBody),
))]
async fn attach_command(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Params(query): Params<AttachQuery>,
) -> Result<Response, ApiError> {
    Ok(stream::response(state.commands.attach(&id, query.offset.unwrap_or(0))?))
}

/// Writes the request's body to the standard input of a command started with `stdin`, and closes it when asked to
/// (an extension).
///
/// The body is written as it arrives; a command that does not read makes the client wait, and the request fails when
/// nothing was read for a minute. Requests for one command take turns.
#[utoipa::path(post, path = "/command/{id}/stdin", operation_id = "writeCommandStdin", tag = "Command",
    params(("id" = String, Path, description = "The command's id"), StdinQuery),
    request_body(content = String, content_type = "application/octet-stream", description = "Bytes of any number"),
    responses(
    (status = 200, description = "All bytes were written", body = StdinWritten),
    (status = 400, description = "The request is not acceptable", body = ErrorBody),
    (status = 401, description = "Token refused", body = TokenRejected),
    (status = 404, description = "No such command", body = ErrorBody),
    (status = 409, description = "It has no standard input to write, it is closed, or the command has ended", body = ErrorBody),
    (status = 408, description = "The body stopped coming", body = ErrorBody),
    (status = 429, description = "The command does not read", body = ErrorBody),
))]
async fn write_stdin(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Params(query): Params<StdinQuery>,
    body: Body,
) -> Result<axum::Json<StdinWritten>, ApiError> {
    let mut stdin = state.commands.stdin(&id)?;
    let mut body = body.into_data_stream();
    while let Some(bytes) = next_part(&mut body).await? {
        stdin.write(&bytes).await?;
    }
    let closed = query.close == Some(true);
    if closed {
        stdin.close().await?;
    }
    Ok(axum::Json(StdinWritten { written: stdin.written(), closed }))
}

/// The next part of a body that is passed on as it arrives.
async fn next_part(body: &mut axum::body::BodyDataStream) -> Result<Option<bytes::Bytes>, ApiError> {
    let part = tokio::time::timeout(BODY_READ_TIMEOUT, body.next()).await.map_err(|_| {
        let seconds = BODY_READ_TIMEOUT.as_secs();
        ApiError::new(ErrorKind::Timeout, format!("no more of the request body came for {seconds} s"))
    })?;
    part.transpose().map_err(|error| ApiError::invalid(format!("request body: {error}")))
}

/// A cursor as clients may send it: what is not a number means the beginning.
#[derive(Debug, serde::Deserialize)]
struct RawLogsQuery {
    cursor: Option<String>,
}

impl RawLogsQuery {
    fn cursor(&self) -> Result<u64, ApiError> {
        match self.cursor.as_deref().map(str::parse::<i64>) {
            Some(Ok(cursor)) => u64::try_from(cursor).map_err(|_| {
                ApiError::new(ErrorKind::InvalidQuery, format!("query: cursor {cursor} is negative"))
            }),
            _ => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors() {
        let cursor = |text: &str| RawLogsQuery { cursor: Some(text.to_owned()) }.cursor();
        assert_eq!(cursor("17").unwrap(), 17);
        assert_eq!(cursor("x").unwrap(), 0);
        assert_eq!(cursor("").unwrap(), 0);
        assert_eq!(RawLogsQuery { cursor: None }.cursor().unwrap(), 0);
        assert_eq!(cursor("-1").unwrap_err().kind, ErrorKind::InvalidQuery);
    }
}
