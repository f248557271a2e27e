//! HTTP surface of code contexts.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use sandkeep_specs::execd::code::{
    CodeContext, CodeContextRequest, ContextsQuery, DeleteContextsQuery, InterruptCodeQuery, RunCodeRequest,
};
use sandkeep_specs::execd::command::RunCommandRequest;
use sandkeep_specs::execd::error::{ErrorBody, TokenRejected};
use sandkeep_specs::execd::event::ServerStreamEvent;
use utoipa::IntoResponses;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::language::Language;
use crate::api::error::ApiError;
use crate::api::extract::{JsonBody, Params, Path};
use crate::command::Started;
use crate::state::AppState;
use crate::stream;

/// Routes of code contexts.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(run_code, interrupt_code))
        .routes(routes!(create_context))
        .routes(routes!(list_contexts, delete_contexts))
        .routes(routes!(get_context, delete_context))
}

/// Failures every route may answer with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
enum Common {
    /// The request is wrong; the message says what and where
    #[response(status = 400)]
    BadRequest(ErrorBody),
    /// Token refused
    #[response(status = 401)]
    Token(TokenRejected),
    /// The operation failed
    #[response(status = 500)]
    Failed(ErrorBody),
}

/// The context does not exist.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
enum NotFound {
    /// There is no such context
    #[response(status = 404)]
    Body(ErrorBody),
}

/// A limit is reached.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
enum Busy {
    /// Too many contexts, or too many runs waiting in this one
    #[response(status = 429)]
    Body(ErrorBody),
}

/// Runs code and streams what comes of it.
///
/// The stream is `init` (its text is the context's id), `ping` at once and every three seconds, `execution_count`,
/// output and `result` events as they are produced, `status` and `error` if the code failed, and `execution_complete`.
/// Runs in one context take turns. The code goes on when the client leaves.
#[utoipa::path(post, path = "/code", operation_id = "runCode", tag = "Code", request_body = RunCodeRequest, responses(
    (status = 200, description = "The code's events", content_type = "text/event-stream", body = ServerStreamEvent),
    Common, NotFound, Busy,
))]
async fn run_code(
    State(state): State<AppState>,
    JsonBody(request): JsonBody<RunCodeRequest>,
) -> Result<Response, ApiError> {
    if request.code.is_empty() {
        return Err(ApiError::invalid("code: is empty"));
    }
    let target = request.context.unwrap_or_default();
    if let Some(id) = target.id.filter(|id| !id.is_empty()) {
        return Ok(stream::response(state.code.run(&id, request.code).await?));
    }
    let background = match Language::parse(target.language.as_deref())? {
        Language::Command => false,
        Language::BackgroundCommand => true,
        language => return Ok(stream::response(state.code.run_in_default(language, request.code).await?)),
    };
    let command =
        RunCommandRequest { command: Some(request.code), background, ..RunCommandRequest::default() };
    Ok(match state.commands.run(command)? {
        Started::Whole(events) => stream::response(http_body_util::Full::new(events.into())),
        Started::Live(body) => stream::response(body),
    })
}

/// Interrupts what runs in a context, which lives on, or ends a command.
#[utoipa::path(delete, path = "/code", operation_id = "interruptCode", tag = "Code", params(InterruptCodeQuery), responses(
    (status = 200, description = "It is told to stop"),
    (status = 404, description = "There is no such context or command", body = ErrorBody),
    (status = 409, description = "The command had ended before", body = ErrorBody),
    Common,
))]
async fn interrupt_code(
    State(state): State<AppState>,
    Params(query): Params<InterruptCodeQuery>,
) -> Result<(), ApiError> {
    Ok(state.interrupt(&query.id).await?)
}

/// Makes a context and starts its interpreter.
#[utoipa::path(post, path = "/code/context", operation_id = "createCodeContext", tag = "Code",
    request_body = CodeContextRequest,
    responses((status = 200, description = "The new context", body = CodeContext), Common, Busy),
)]
async fn create_context(
    State(state): State<AppState>,
    JsonBody(request): JsonBody<CodeContextRequest>,
) -> Result<Json<CodeContext>, ApiError> {
    let language = Language::of_context(request.language.as_deref())?;
    let cwd = request.cwd.filter(|cwd| !cwd.is_empty());
    Ok(Json(state.code.create(language, cwd).await?))
}

/// Lists contexts, oldest first.
#[utoipa::path(get, path = "/code/contexts", operation_id = "listContexts", tag = "Code", params(ContextsQuery), responses(
    (status = 200, description = "The contexts", body = Vec<CodeContext>), Common,
))]
async fn list_contexts(
    State(state): State<AppState>,
    Params(query): Params<ContextsQuery>,
) -> Result<Json<Vec<CodeContext>>, ApiError> {
    let wanted = query.language.filter(|name| !name.is_empty());
    let language = wanted.map(|name| Language::of_context(Some(&name))).transpose()?;
    Ok(Json(state.code.list(language)))
}

/// Deletes all contexts of a language and ends their interpreters.
#[utoipa::path(delete, path = "/code/contexts", operation_id = "deleteContextsByLanguage", tag = "Code",
    params(DeleteContextsQuery),
    responses((status = 200, description = "They are gone"), Common),
)]
async fn delete_contexts(
    State(state): State<AppState>,
    Params(query): Params<DeleteContextsQuery>,
) -> Result<(), ApiError> {
    state.code.delete_all(Language::of_context(Some(&query.language))?).await;
    Ok(())
}

/// Describes one context.
#[utoipa::path(get, path = "/code/contexts/{context_id}", operation_id = "getContext", tag = "Code",
    params(("context_id" = String, Path, description = "The context's id")),
    responses((status = 200, description = "The context", body = CodeContext), Common, NotFound),
)]
async fn get_context(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<CodeContext>, ApiError> {
    Ok(Json(state.code.get(&id)?))
}

/// Deletes a context and ends its interpreter.
#[utoipa::path(delete, path = "/code/contexts/{context_id}", operation_id = "deleteContext", tag = "Code",
    params(("context_id" = String, Path, description = "The context's id")),
    responses((status = 200, description = "It is gone"), Common, NotFound),
)]
async fn delete_context(State(state): State<AppState>, Path(id): Path<String>) -> Result<(), ApiError> {
    Ok(state.code.delete(&id).await?)
}
