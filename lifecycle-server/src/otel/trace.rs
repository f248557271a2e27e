//! The spans of requests, and of what they wait for.

use std::{
    mem,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use futures_util::future::Either;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, Status, span::SpanKind, status::StatusCode as SpanStatus},
};
use prometheus::IntCounter;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    encode::nanos,
    measures::is_usual,
    traceparent::{self, Parent, SpanId, TraceId},
};

const SANDBOX: &str = "sandbox.id";
/// The segment of a route that names a sandbox.
const SANDBOX_SEGMENT: &str = "{sandboxId}";
/// Of a caller's own request id, so many characters are kept.
const MAX_REQUEST_ID: usize = 128;
/// The span of everything between the wish for a sandbox and its being ready; phases carry the name before theirs.
const START: &str = "sandbox.start";

tokio::task_local! {
    /// The traced request that this task works for.
    static CURRENT: Arc<RequestSpan>;
}

/// Takes finished spans. Never waits: what finds no room is counted and gone.
#[derive(Clone)]
pub struct Tracer {
    queue: mpsc::Sender<Span>,
    dropped: IntCounter,
}

impl Tracer {
    pub(super) fn new(queue: mpsc::Sender<Span>, dropped: IntCounter) -> Self {
        Self { queue, dropped }
    }

    /// How many spans found no room.
    pub(crate) fn dropped(&self) -> &IntCounter {
        &self.dropped
    }

    /// The span of a request that begins now; none if its caller said that its trace is not recorded.
    pub(crate) fn begin(&self, headers: &HeaderMap) -> Option<Arc<RequestSpan>> {
        let parent = Parent::of(headers);
        if parent.as_ref().is_some_and(|parent| !parent.is_sampled) {
            return None;
        }
        Some(Arc::new(RequestSpan {
            tracer: self.clone(),
            trace: parent.as_ref().map_or_else(|| Uuid::new_v4().into_bytes(), |parent| parent.trace),
            id: fresh_id(),
            parent,
            begun: SystemTime::now(),
            sandbox: OnceLock::new(),
        }))
    }

    fn take(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

/// A request under way, shared with what it waits for.
pub struct RequestSpan {
    tracer: Tracer,
    trace: TraceId,
    id: SpanId,
    parent: Option<Parent>,
    begun: SystemTime,
    /// The sandbox that the request is about.
    sandbox: OnceLock<String>,
}

impl RequestSpan {
    /// A span of this trace.
    fn span(
        &self,
        id: SpanId,
        parent: Option<SpanId>,
        name: String,
        times: (SystemTime, SystemTime),
    ) -> Span {
        Span {
            trace_id: self.trace.to_vec(),
            span_id: id.to_vec(),
            parent_span_id: parent.map(Vec::from).unwrap_or_default(),
            trace_state: self.parent.as_ref().map(|parent| parent.state.clone()).unwrap_or_default(),
            flags: 1,
            name,
            kind: SpanKind::Internal as i32,
            start_time_unix_nano: nanos(times.0),
            end_time_unix_nano: nanos(times.1),
            ..Span::default()
        }
    }
}

/// Ends a request's span when it goes: with the answer it was given, or as one that nobody waited for.
pub(crate) struct Answer<'a> {
    span: Arc<RequestSpan>,
    method: &'a str,
    route: Option<&'a str>,
    request_id: String,
    pub(crate) status: Option<StatusCode>,
}

impl<'a> Answer<'a> {
    /// `route` is `None` where nothing serves the path.
    pub(crate) fn new(
        span: Arc<RequestSpan>,
        method: &'a Method,
        route: Option<&'a str>,
        request_id: &HeaderValue,
    ) -> Self {
        let method = if is_usual(method) { method.as_str() } else { "_OTHER" };
        let request_id =
            String::from_utf8_lossy(request_id.as_bytes()).chars().take(MAX_REQUEST_ID).collect();
        Self { span, method, route, request_id, status: None }
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        let request = &self.span;
        let name = match self.route {
            Some(route) => format!("{} {route}", self.method),
            None => self.method.to_owned(),
        };
        let mut attributes = vec![
            text("http.request.method", self.method),
            text("request.id", mem::take(&mut self.request_id)),
        ];
        attributes.extend(self.route.map(|route| text("http.route", route)));
        attributes.extend(request.sandbox.get().map(|id| text(SANDBOX, id.as_str())));
        match self.status {
            Some(status) => attributes
                .push(attribute("http.response.status_code", Value::IntValue(i64::from(status.as_u16())))),
            None => attributes.push(text("error.type", "cancelled")),
        }
        let parent = request.parent.as_ref().map(|parent| parent.span);
        let span = request.span(request.id, parent, name, (request.begun, SystemTime::now()));
        request.tracer.take(Span {
            kind: SpanKind::Server as i32,
            attributes,
            // A mistake of the caller's is no failure of the server.
            status: self.status.is_none_or(|status| status.is_server_error()).then(failed),
            ..span
        });
    }
}

/// Runs the work of a request; without a span, simply the work.
pub(crate) fn answering<F: Future>(
    span: Option<Arc<RequestSpan>>,
    work: F,
) -> impl Future<Output = F::Output> {
    match span {
        Some(span) => Either::Left(CURRENT.scope(span, work)),
        None => Either::Right(work),
    }
}

/// Work for the present request that is handed to another task.
pub(crate) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    answering(current(), work)
}

fn current() -> Option<Arc<RequestSpan>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Says which sandbox the present request is about, where its path doesn't.
pub(crate) fn about(sandbox: &str) {
    let _ = CURRENT.try_with(|request| request.sandbox.set(sandbox.to_owned()));
}

impl RequestSpan {
    /// Says which sandbox the request's path names. What a caller made up instead of an id is of no use.
    pub(crate) fn about_path(&self, route: &str, path: &str) {
        let place = route.split('/').position(|segment| segment == SANDBOX_SEGMENT);
        let named = place.and_then(|place| path.split('/').nth(place));
        if let Some(id) = named.filter(|id| Uuid::try_parse(id).is_ok()) {
            let _ = self.sandbox.set(id.to_owned());
        }
    }
}

/// Makes what a forwarded request leads to a part of the present request's trace.
pub(crate) fn inject(headers: &mut HeaderMap) {
    let header = CURRENT.try_with(|request| traceparent::header(&request.trace, &request.id));
    if let Ok(Some(header)) = header {
        headers.insert(traceparent::TRACEPARENT, header);
    }
}

/// A start of a sandbox that the present request waits for; one that is dropped before it succeeded has failed.
pub(crate) struct Start(Option<Starting>);

struct Starting {
    request: Arc<RequestSpan>,
    id: SpanId,
    begun: SystemTime,
    sandbox: String,
}

/// Begins the span of a start.
pub(crate) fn start(sandbox: &str) -> Start {
    Start(current().map(|request| Starting {
        request,
        id: fresh_id(),
        begun: SystemTime::now(),
        sandbox: sandbox.to_owned(),
    }))
}

impl Start {
    /// Ends the span; `phases` followed each other from its beginning.
    pub(crate) fn succeeded(mut self, phases: &[(&'static str, Duration)]) {
        let Some(starting) = self.0.take() else { return };
        let mut at = starting.begun;
        for (phase, took) in phases {
            let times = (at, at + *took);
            let span =
                starting.request.span(fresh_id(), Some(starting.id), format!("{START}.{phase}"), times);
            starting.take(span);
            at = times.1;
        }
        starting.end(None);
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        if let Some(starting) = self.0.take() {
            starting.end(Some(failed()));
        }
    }
}

impl Starting {
    fn end(&self, status: Option<Status>) {
        let request = &self.request;
        let times = (self.begun, SystemTime::now());
        let span = request.span(self.id, Some(request.id), START.to_owned(), times);
        self.take(Span { status, ..span });
    }

    fn take(&self, span: Span) {
        self.request.tracer.take(Span { attributes: vec![text(SANDBOX, self.sandbox.as_str())], ..span });
    }
}

/// Why is in the log, where texts of errors belong.
fn failed() -> Status {
    Status { message: String::new(), code: SpanStatus::Error as i32 }
}

/// Never zero: some bits of it are always set.
fn fresh_id() -> SpanId {
    Uuid::new_v4().as_u64_pair().1.to_be_bytes()
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

pub(super) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6f0c9d5e-3d6a-4c5e-8a53-0d0d8f0a1b2c";

    fn tracer(room: usize) -> (Tracer, mpsc::Receiver<Span>) {
        let (queue, spans) = mpsc::channel(room);
        (Tracer::new(queue, IntCounter::new("dropped", "x").unwrap()), spans)
    }

    fn answer(span: Arc<RequestSpan>, status: Option<u16>) {
        let status = status.map(|status| StatusCode::from_u16(status).unwrap());
        let id = HeaderValue::from_static("r");
        Answer::new(span, &Method::GET, Some("/x"), &id).status = status;
    }

    #[test]
    fn sandboxes_are_found_in_paths() {
        let (tracer, _spans) = tracer(1);
        let named = |route: &str, path: &str| {
            let span = tracer.begin(&HeaderMap::new()).unwrap();
            span.about_path(route, path);
            span.sandbox.get().cloned()
        };
        let route = "/v1/sandboxes/{sandboxId}/pause";
        assert_eq!(named(route, &format!("/v1/sandboxes/{ID}/pause")).as_deref(), Some(ID));
        assert_eq!(named(route, "/v1/sandboxes/hunter2/pause"), None);
        assert_eq!(named("/v1/sandboxes", &format!("/v1/sandboxes/{ID}")), None);
    }

    #[tokio::test]
    async fn a_start_in_another_task_belongs_to_the_request() {
        let (tracer, mut spans) = tracer(8);
        let request = tracer.begin(&HeaderMap::new()).unwrap();
        let work = async {
            let start = carried(async {
                about(ID);
                start(ID).succeeded(&[("image", Duration::from_millis(2))]);
                drop(start(ID));
            });
            tokio::spawn(start).await.unwrap();
        };
        answering(Some(request.clone()), work).await;
        answer(request.clone(), Some(503));
        let [phase, whole, failed, asked] = [(); 4].map(|()| spans.try_recv().unwrap());
        assert_eq!((phase.name.as_str(), whole.name.as_str()), ("sandbox.start.image", "sandbox.start"));
        assert_eq!((&phase.parent_span_id, &whole.parent_span_id), (&whole.span_id, &asked.span_id));
        assert_eq!(phase.end_time_unix_nano - phase.start_time_unix_nano, 2_000_000);
        assert!(whole.status.is_none() && failed.status.is_some() && asked.status.is_some());
        assert!(asked.attributes.contains(&text(SANDBOX, ID)));
        assert!([phase, whole, failed, asked].iter().all(|span| span.trace_id == request.trace));
    }

    #[tokio::test]
    async fn what_is_forwarded_belongs_to_the_request() {
        let (tracer, _spans) = tracer(1);
        let request = tracer.begin(&HeaderMap::new()).unwrap();
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        assert!(headers.is_empty());
        answering(Some(request.clone()), async { inject(&mut headers) }).await;
        let parent = Parent::of(&headers).unwrap();
        assert_eq!((parent.trace, parent.span), (request.trace, request.id));
        let child = tracer.begin(&headers).unwrap();
        assert_eq!(child.trace, request.trace);
    }

    #[test]
    fn spans_without_room_are_counted_and_gone() {
        let (tracer, mut spans) = tracer(1);
        let request = tracer.begin(&HeaderMap::new()).unwrap();
        answer(request.clone(), Some(404));
        answer(request, None);
        assert_eq!(tracer.dropped().get(), 1);
        let kept = spans.try_recv().unwrap();
        assert!(kept.status.is_none(), "a caller's mistake counts as failure");
    }
}
