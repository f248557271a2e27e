//! What happens to all sandboxes, as it happens.

use std::{collections::BTreeMap, convert::Infallible, fmt::Write as _, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderMap,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chrono::Utc;
use futures_util::stream;
use sandkeep_specs::lifecycle::{ErrorResponse, LAST_EVENT_ID_HEADER, SandboxEvent};
use tokio::time::timeout;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{auth::Caller, error::ApiError, extract::Query, map, state::ApiState, validate},
    sandbox::{NoteKind, Noted, Scope, Subscription},
};

/// A silent stream says this often that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Milliseconds after which a browser tries again.
const RETRY: u32 = 1000;
const RESET: &str = "reset";

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default().routes(routes!(follow_events))
}

/// Follow events
///
/// Server-sent events: changes of sandboxes' states and what else happens to them, in the order in which it was
/// committed. With `Last-Event-ID` (or `lastEventId`) the stream goes on after that event, also over a restart of the
/// server; 0 begins with the oldest event kept. If events after it are gone already, the stream begins with one of type
/// `reset`. An extension of the common contract.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "Events",
    params(
        ("sandboxId" = Option<Vec<String>>, Query, style = Form, explode, description = "Only of these sandboxes; may repeat."),
        ("metadata" = Option<String>, Query, style = Form,
            description = "Pairs of labels that must all match, written like the filter of the list of sandboxes."),
        ("type" = Option<Vec<String>>, Query, style = Form, explode, description = "Only of these types; may repeat.",
            example = json!(["sandbox.state"])),
        ("lastEventId" = Option<u64>, Query, description = "Like the header, which wins."),
        ("Last-Event-ID" = Option<u64>, Header, description = "Number of the last event seen."),
    ),
    responses(
        (status = 200, description = "The events, each with its number as `id`, its type as `event` and this as `data`.",
            body = SandboxEvent, content_type = "text/event-stream"),
        (status = 400, description = "A parameter is wrong; the message names it.", body = ErrorResponse),
    ),
)]
async fn follow_events(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    let filter = Filter::read(&query, caller.scope())?;
    let subscription = state.service.subscribe(place(&headers, &query)?).await?;
    let hello = format!("retry: {RETRY}\n{}", alive(&subscription));
    let body =
        stream::unfold((subscription, filter, Some(hello)), |(mut subscription, filter, hello)| async {
            let frames = match hello {
                Some(hello) => hello,
                None => next_frames(&mut subscription, &filter).await?,
            };
            Some((Ok::<_, Infallible>(Bytes::from(frames)), (subscription, filter, None)))
        });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Which events a reader wants; an empty filter takes all.
struct Filter {
    scope: Scope,
    sandboxes: Vec<String>,
    metadata: Vec<(String, String)>,
    kinds: Vec<NoteKind>,
}

impl Filter {
    fn read(query: &Query, scope: Scope) -> Result<Self, ApiError> {
        let kind = |name: &str| {
            NoteKind::parse(name).ok_or_else(|| {
                let known = NoteKind::ALL.map(NoteKind::as_str).join(", ");
                ApiError::invalid("type", format_args!("must be one of {known}, is {name:?}"))
            })
        };
        Ok(Self {
            scope,
            sandboxes: query.all("sandboxId").map(str::to_owned).collect(),
            metadata: validate::metadata_filter(query.one("metadata").unwrap_or_default())?,
            kinds: query.all("type").map(kind).collect::<Result<_, _>>()?,
        })
    }

    fn matches(&self, noted: &Noted) -> bool {
        let note = &noted.note;
        self.scope.covers(note.tenant.as_deref())
            && (self.sandboxes.is_empty() || self.sandboxes.contains(&note.sandbox))
            && (self.kinds.is_empty() || self.kinds.contains(&note.kind))
            && self.metadata.iter().all(|(key, value)| note.metadata.get(key) == Some(value))
    }
}

/// The number to go on after.
fn place(headers: &HeaderMap, query: &Query) -> Result<Option<i64>, ApiError> {
    let header = headers.get(LAST_EVENT_ID_HEADER).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let (name, text) = match (&header, query.one("lastEventId")) {
        (Some(text), _) => (LAST_EVENT_ID_HEADER, text.as_ref()),
        (None, Some(text)) => ("lastEventId", text),
        (None, None) => return Ok(None),
    };
    let number = text.trim().parse().ok().filter(|number: &i64| *number >= 0);
    number
        .map(Some)
        .ok_or_else(|| ApiError::invalid(name, format_args!("must be the number of an event, is {text:?}")))
}

/// Waits for events that match, or for the time of a heartbeat; nothing once the stream is to end.
async fn next_frames(subscription: &mut Subscription, filter: &Filter) -> Option<String> {
    if subscription.take_missed() {
        return Some(reset(subscription.cursor()));
    }
    let deadline = tokio::time::Instant::now() + HEARTBEAT;
    loop {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let notes = match timeout(left, subscription.next()).await {
            Err(_) => return Some(alive(subscription)),
            Ok(Ok(notes)) if notes.is_empty() => return None,
            Ok(Ok(notes)) => notes,
            Ok(Err(error)) => {
                tracing::error!(%error, "a stream of events ends: the store failed");
                return None;
            }
        };
        let mut frames =
            if subscription.take_missed() { reset(subscription.cursor()) } else { String::new() };
        frames.extend(
            notes.iter().filter(|noted| filter.matches(noted)).map(|noted| frame(&map::event(noted))),
        );
        if !frames.is_empty() {
            return Some(frames);
        }
    }
}

/// A comment, and how far the reader has come: what did not match need not be looked at again.
fn alive(subscription: &Subscription) -> String {
    format!(": alive\nid: {}\n\n", subscription.cursor())
}

fn reset(cursor: i64) -> String {
    frame(&SandboxEvent {
        id: cursor,
        r#type: RESET.to_owned(),
        at: Utc::now(),
        sandbox_id: None,
        state: None,
        reason: None,
        message: Some("events after the place asked for are gone; look at the sandboxes anew".to_owned()),
        metadata: BTreeMap::new(),
        details: None,
    })
}

fn frame(event: &SandboxEvent) -> String {
    // Nothing in an event can fail to be written as JSON, and JSON has no line ends of its own.
    let data = serde_json::to_string(event).unwrap_or_default();
    let mut frame = String::with_capacity(data.len() + 64);
    let _ = write!(frame, "id: {}\nevent: {}\ndata: {data}\n\n", event.id, event.r#type);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Note;

    fn query(text: &str) -> Query {
        Query::of(&format!("/?{text}").parse().unwrap())
    }

    #[test]
    fn nobody_sees_what_belongs_to_others_whatever_he_asks_for() {
        let noted = |tenant: Option<&str>| Noted {
            id: 1,
            note: Note {
                at: Utc::now(),
                sandbox: "a".to_owned(),
                kind: NoteKind::State,
                tenant: tenant.map(str::to_owned),
                status: None,
                message: None,
                metadata: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
                details: None,
            },
        };
        let sees = |scope: Scope, text: &str, tenant: Option<&str>| {
            Filter::read(&query(text), scope).unwrap().matches(&noted(tenant))
        };
        let blue = || Scope::Tenant("blue".into());
        for text in ["", "sandboxId=a", "metadata=k%3Dv&type=sandbox.state"] {
            assert!(sees(blue(), text, Some("blue")) && sees(Scope::All, text, Some("blue")), "{text}");
            assert!(!sees(blue(), text, Some("red")) && !sees(blue(), text, None), "{text}");
        }
        for text in ["sandboxId=b", "metadata=k%3Dw", "type=sandbox.limit"] {
            assert!(!sees(Scope::All, text, None), "{text}");
        }
    }

    #[test]
    fn the_header_wins_over_the_parameter_and_both_are_checked() {
        let headers = |value: &'static str| {
            HeaderMap::from_iter([(LAST_EVENT_ID_HEADER.parse().unwrap(), value.parse().unwrap())])
        };
        assert_eq!(place(&HeaderMap::new(), &query("")).unwrap(), None);
        assert_eq!(place(&HeaderMap::new(), &query("lastEventId=7")).unwrap(), Some(7));
        assert_eq!(place(&headers("9"), &query("lastEventId=7")).unwrap(), Some(9));
        for bad in ["-1", "x", "", "99999999999999999999"] {
            assert!(place(&headers(bad), &query("")).is_err(), "{bad}");
        }
    }
}
