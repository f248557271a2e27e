//! What a sandbox printed and what happened to it.

use std::sync::Arc;

use axum::{
    Json as JsonBody,
    body::Body,
    extract::State,
    http::{HeaderName, HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream;
use sandkeep_specs::lifecycle::{
    DiagnosticContentResponse, DiagnosticDelivery, DiagnosticKind, ErrorResponse,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        error::{ApiError, Code},
        extract::{Query, SandboxId},
        report,
        state::ApiState,
    },
    runtime::{Excerpt, Extent, Follower, Log},
};

/// Lines of a log that are shown unless more are asked for.
const LOG_LINES: u32 = 100;
const MAX_LOG_LINES: u32 = 10_000;
/// Events that are shown unless more are asked for.
const EVENTS: u32 = 50;
const MAX_EVENTS: u32 = 500;
/// The same in a summary.
const SUMMARY_LOG_LINES: u32 = 50;
const SUMMARY_EVENTS: u32 = 20;
/// How far back to look when nobody can tell what `since` means.
const UNCLEAR_SINCE: TimeDelta = TimeDelta::minutes(10);
const TEXT: &str = "text/plain; charset=utf-8";
const NO_LOGS: &str = "(no logs)";
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const TRUE: HeaderValue = HeaderValue::from_static("true");

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(get_diagnostics_logs))
        .routes(routes!(get_diagnostics_events))
        .routes(routes!(get_diagnostics_inspect))
        .routes(routes!(get_diagnostics_summary))
}

/// Logs of a sandbox
///
/// What its program has printed; kept until the sandbox is deleted, the newest 2 MiB unless configured otherwise.
/// With `scope`, a JSON description; without, plain text.
#[utoipa::path(
    get,
    path = "/v1/sandboxes/{sandboxId}/diagnostics/logs",
    tag = "Diagnostics",
    params(
        ("sandboxId" = String, Path, description = "Identifier of the sandbox."),
        ("scope" = Option<String>, Query, description = "`container` or `all`, which is the same here.", example = "container"),
        ("tail" = Option<u32>, Query, description = "Lines from the end.", minimum = 1, maximum = 10000, example = 100),
        ("since" = Option<String>, Query,
            description = "Only what came within this time: a number followed by `s`, `m`, `h` or `d`.", example = "10m"),
        ("container" = Option<String>, Query, deprecated, description = "Ignored: a sandbox is one container."),
        ("follow" = Option<bool>, Query,
            description = "Goes on with what comes, as plain text, until the sandbox ends. An extension of the common \
                           contract."),
        ("timestamps" = Option<bool>, Query,
            description = "Begins each line with the instant it came. An extension of the common contract."),
    ),
    responses(
        (status = 200, description = "The last lines.",
            content((DiagnosticContentResponse = "application/json"), (String = "text/plain")),
            headers(("Deprecation" = String, description = "`true` on plain text that is not followed."))),
        (status = 400, description = "A parameter is wrong; the message names it.", body = ErrorResponse),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
        (status = 501, description = "The runtime keeps no logs.", body = ErrorResponse),
    ),
)]
async fn get_diagnostics_logs(
    State(state): State<ApiState>,
    query: Query,
    SandboxId(id): SandboxId,
) -> Result<Response, ApiError> {
    let scope = scope(&query, &["container", "all"])?;
    let extent = extent(&query, LOG_LINES)?;
    let log = log_of(&state, &id)?;
    let excerpt = read(&log, extent).await?;
    if query.flag("follow")? {
        return Ok(follow(log, excerpt, extent.timestamps));
    }
    match scope {
        None => Ok(deprecated(shown(excerpt.text))),
        Some(scope) => Ok(described(id, DiagnosticKind::Logs, scope, shown(excerpt.text), excerpt.truncated)),
    }
}

/// Events of a sandbox
///
/// What happened to it: changes of its state with the times its start took, its image's coming, limits it ran into.
/// With `scope`, a JSON description; without, plain text.
#[utoipa::path(
    get,
    path = "/v1/sandboxes/{sandboxId}/diagnostics/events",
    tag = "Diagnostics",
    params(
        ("sandboxId" = String, Path, description = "Identifier of the sandbox."),
        ("scope" = Option<String>, Query, description = "`runtime` or `all`, which is the same here.", example = "runtime"),
        ("limit" = Option<u32>, Query, description = "Newest events to show.", minimum = 1, maximum = 500, example = 50),
    ),
    responses(
        (status = 200, description = "The newest events, oldest first.",
            content((DiagnosticContentResponse = "application/json"), (String = "text/plain")),
            headers(("Deprecation" = String, description = "`true` on plain text."))),
        (status = 400, description = "A parameter is wrong; the message names it.", body = ErrorResponse),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
        (status = 501, description = "The runtime tells of no events.", body = ErrorResponse),
    ),
)]
async fn get_diagnostics_events(
    State(state): State<ApiState>,
    query: Query,
    SandboxId(id): SandboxId,
) -> Result<Response, ApiError> {
    let scope = scope(&query, &["runtime", "all"])?;
    let limit = query.number("limit", 1..=MAX_EVENTS, EVENTS)?;
    let listing = events(&state, &id, limit).await?;
    match scope {
        None => Ok(deprecated(listing.text)),
        Some(scope) => Ok(described(id, DiagnosticKind::Events, scope, listing.text, listing.truncated)),
    }
}

/// Everything about a sandbox
///
/// Settings, limits and use, a `Key: value` line each. Values of variables whose names contain SECRET, TOKEN, PASSWORD or
/// KEY are masked.
#[utoipa::path(
    get,
    path = "/v1/sandboxes/{sandboxId}/diagnostics/inspect",
    tag = "Diagnostics",
    params(("sandboxId" = String, Path, description = "Identifier of the sandbox.")),
    responses(
        (status = 200, description = "The sandbox as it is now.", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
    ),
)]
async fn get_diagnostics_inspect(
    State(state): State<ApiState>,
    SandboxId(id): SandboxId,
) -> Result<Response, ApiError> {
    Ok(plain(inspection(&state, &id).await?))
}

/// Summary of a sandbox
///
/// Inspection, events and logs in one text.
#[utoipa::path(
    get,
    path = "/v1/sandboxes/{sandboxId}/diagnostics/summary",
    tag = "Diagnostics",
    params(
        ("sandboxId" = String, Path, description = "Identifier of the sandbox."),
        ("tail" = Option<u32>, Query, description = "Lines of the log.", minimum = 1, maximum = 10000, example = 50),
        ("event_limit" = Option<u32>, Query, description = "Newest events to show.", minimum = 1, maximum = 500, example = 20),
    ),
    responses(
        (status = 200, description = "The summary.", body = String, content_type = "text/plain"),
        (status = 400, description = "A parameter is wrong; the message names it.", body = ErrorResponse),
        (status = 404, description = "There is no such sandbox.", body = ErrorResponse),
    ),
)]
async fn get_diagnostics_summary(
    State(state): State<ApiState>,
    query: Query,
    SandboxId(id): SandboxId,
) -> Result<Response, ApiError> {
    let tail = query.number("tail", 1..=MAX_LOG_LINES, SUMMARY_LOG_LINES)?;
    let limit = query.number("event_limit", 1..=MAX_EVENTS, SUMMARY_EVENTS)?;
    let inspection = inspection(&state, &id).await?;
    let events = events(&state, &id, limit).await.map(|listing| listing.text);
    let sections = [
        ("INSPECT", Ok(inspection)),
        ("EVENTS", events.map_err(|error| error.message)),
        ("LOGS", last_lines(&state, &id, tail).await.map_err(|error| error.message)),
    ];
    Ok(plain(report::summary(&id, &sections)))
}

/// The scope asked for, which is judged before anything else is looked at.
fn scope(query: &Query, known: &[&str]) -> Result<Option<String>, ApiError> {
    let Some(text) = query.one("scope") else { return Ok(None) };
    let scope = text.trim().to_lowercase();
    if known.contains(&scope.as_str()) {
        return Ok(Some(scope));
    }
    let problem = format!("scope: must be {} here, is {text:?}", known.join(" or "));
    Err(ApiError::new(Code::DiagnosticsScopeUnsupported, problem))
}

fn extent(query: &Query, lines: u32) -> Result<Extent, ApiError> {
    let tail = query.number("tail", 1..=MAX_LOG_LINES, lines)? as usize;
    let since = query.one("since").map(|text| since(text, Utc::now()));
    Ok(Extent { tail, since, timestamps: query.flag("timestamps")? })
}

/// `90s`, `10m`, `2h` or `1d` before now; clients rely on anything else being understood as ten minutes.
fn since(text: &str, now: DateTime<Utc>) -> DateTime<Utc> {
    let text = text.trim();
    let seconds = |unit| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(86400),
        _ => None,
    };
    let span = text.char_indices().next_back().and_then(|(at, unit)| {
        let number: u32 = text[..at].parse().ok()?;
        TimeDelta::try_seconds(i64::from(number).checked_mul(seconds(unit)?)?)
    });
    now.checked_sub_signed(span.unwrap_or(UNCLEAR_SINCE)).unwrap_or(DateTime::<Utc>::UNIX_EPOCH)
}

fn log_of(state: &ApiState, id: &str) -> Result<Arc<Log>, ApiError> {
    let log = state.service.log(id)?;
    log.ok_or_else(|| ApiError::new(Code::NotImplemented, "this server's runtime keeps no logs"))
}

async fn read(log: &Arc<Log>, extent: Extent) -> Result<Excerpt, ApiError> {
    let log = Arc::clone(log);
    let read = tokio::task::spawn_blocking(move || log.read(extent)).await.map_err(ApiError::internal)?;
    read.map_err(ApiError::internal)
}

async fn last_lines(state: &ApiState, id: &str, tail: u32) -> Result<String, ApiError> {
    let extent = Extent { tail: tail as usize, since: None, timestamps: false };
    Ok(shown(read(&log_of(state, id)?, extent).await?.text))
}

/// The newest of what happened and what was refused.
async fn events(state: &ApiState, id: &str, limit: u32) -> Result<report::Listing, ApiError> {
    // One more tells that there are more.
    let notes = state.service.notes(id, limit + 1).await?;
    let refusals = state.service.refusals(id).await?;
    Ok(report::events(&notes, &refusals, limit as usize))
}

async fn inspection(state: &ApiState, id: &str) -> Result<String, ApiError> {
    let record = state.service.get(id)?;
    // A sandbox that does not run uses nothing.
    let usage = state.service.usage(id).await.ok();
    Ok(report::inspect(&record, state.service.limits(&record), usage.as_ref()))
}

fn shown(text: String) -> String {
    if text.is_empty() { NO_LOGS.to_owned() } else { text }
}

fn plain(text: String) -> Response {
    ([(CONTENT_TYPE, TEXT)], text).into_response()
}

fn deprecated(text: String) -> Response {
    ([(DEPRECATION, TRUE)], plain(text)).into_response()
}

fn described(id: String, kind: DiagnosticKind, scope: String, content: String, truncated: bool) -> Response {
    let only = match kind {
        DiagnosticKind::Logs => "container",
        DiagnosticKind::Events => "runtime",
    };
    let warning = format!(
        "scope all: this server has {kind} of scope {only} only",
        kind = match kind {
            DiagnosticKind::Logs => "logs",
            DiagnosticKind::Events => "events",
        }
    );
    JsonBody(DiagnosticContentResponse {
        sandbox_id: id,
        kind,
        warnings: (scope == "all").then(|| vec![warning]),
        scope,
        delivery: DiagnosticDelivery::Inline,
        content_type: TEXT.to_owned(),
        content_length: Some(content.len() as u64),
        content: Some(content),
        content_url: None,
        expires_at: None,
        truncated,
    })
    .into_response()
}

/// What is there and then what comes. Nothing is read that the caller has not taken.
fn follow(log: Arc<Log>, excerpt: Excerpt, timestamps: bool) -> Response {
    let follower = Follower::after(log, &excerpt, timestamps);
    let first = Some(Bytes::from(excerpt.text)).filter(|text| !text.is_empty());
    let body = stream::unfold((follower, first), |(mut follower, first)| async {
        if let Some(first) = first {
            return Some((Ok(first), (follower, None)));
        }
        match follower.next().await {
            Ok(None) => None,
            Ok(Some(more)) => Some((Ok(Bytes::from(more)), (follower, None))),
            Err(error) => Some((Err(error), (follower, None))),
        }
    });
    ([(CONTENT_TYPE, TEXT)], Body::from_stream(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_understood_and_anything_else_is_ten_minutes() {
        let now = Utc::now();
        let ago = |text: &str| (now - since(text, now)).num_seconds();
        assert_eq!([ago("90s"), ago("5m"), ago(" 2h "), ago("1d")], [90, 300, 7200, 86400]);
        for text in ["", "m", "5", "5x", "-5m", "1.5h", "ü", "5ü"] {
            assert_eq!(ago(text), 600, "{text}");
        }
        assert!(since("4000000000d", now) < now);
    }
}
