//! Traces and metrics at a collector: one of the test's own that reads what the server sends.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::{Request, Response, body::Incoming, header::CONTENT_TYPE, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value as AnyValue},
    metrics::v1::{Metric, NumberDataPoint, metric::Data, number_data_point::Value as Number},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message as _;
use sandkeep_tests::{
    api::{create_body, eventually},
    backend::{self, PORT},
    server::{Server, Setup},
};
use serde_json::json;
use tokio::{
    net::TcpSocket,
    task::{JoinHandle, JoinSet},
};

const PATIENCE: Duration = Duration::from_secs(60);
/// The longest pause between two attempts to send the same spans, several times over.
const ATTEMPTS: Duration = Duration::from_secs(180);
const LATE: &str = "did not take the last traces or metrics in time";
/// More requests than spans wait for a collector, the ones in hand included.
const MANY: usize = 3200;
const AT_ONCE: usize = 8;
const SECRET: &str = "no-collector-may-see-this";
/// A caller's trace and its span in it.
const TRACE: (&str, &str) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
/// One that its caller does not record.
const UNRECORDED: &str = "1af7651916cd43dd8448eb211c80319c";

#[derive(Default)]
struct Received {
    traces: Vec<ExportTraceServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
    mistakes: Vec<String>,
}

/// An address that refuses connections until its collector listens.
struct Absent {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Absent {
    fn new() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }
}

/// A collector; it ends with the value.
struct Collector {
    received: Arc<Mutex<Received>>,
    hangs: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Collector {
    fn listen(at: Absent) -> Result<Self> {
        let listener = at.socket.listen(64)?;
        let (received, hangs) = (Arc::<Mutex<Received>>::default(), Arc::<AtomicBool>::default());
        let shared = (received.clone(), hangs.clone());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (received, hangs) = shared.clone();
                let service = service_fn(move |request| take(request, received.clone(), hangs.clone()));
                let http = hyper::server::conn::http1::Builder::new();
                connections.spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { received, hangs, task })
    }

    fn look<T>(&self, at: impl FnOnce(&Received) -> T) -> T {
        at(&self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn spans(&self) -> Vec<Span> {
        self.look(|received| {
            let resources = received.traces.iter().flat_map(|request| &request.resource_spans);
            let scopes = resources.flat_map(|resource| &resource.scope_spans);
            scopes.flat_map(|scope| scope.spans.clone()).collect()
        })
    }

    fn spans_of(&self, trace: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| hex(&span.trace_id) == trace).collect()
    }

    /// The newest export of a metric.
    fn metric(&self, name: &str) -> Option<Metric> {
        self.look(|received| {
            let resources = received.metrics.iter().flat_map(|request| &request.resource_metrics);
            let scopes = resources.flat_map(|resource| &resource.scope_metrics);
            scopes.flat_map(|scope| &scope.metrics).rfind(|metric| metric.name == name).cloned()
        })
    }

    /// What a metric counts for these attributes: of a histogram how many values, of others the value.
    fn value(&self, name: &str, attributes: &[(&str, &str)]) -> Option<f64> {
        let has = |given: &[KeyValue]| attributes.iter().all(|(key, value)| text(given, key) == *value);
        let numbers = |points: Vec<NumberDataPoint>| {
            let point = points.into_iter().find(|point| has(&point.attributes))?;
            match point.value? {
                Number::AsInt(number) => Some(number as f64),
                Number::AsDouble(number) => Some(number),
            }
        };
        match self.metric(name)?.data? {
            Data::Histogram(all) => {
                all.data_points.iter().find(|point| has(&point.attributes)).map(|point| point.count as f64)
            }
            Data::Sum(all) => numbers(all.data_points),
            Data::Gauge(all) => numbers(all.data_points),
            _ => None,
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(
    request: Request<Incoming>,
    received: Arc<Mutex<Received>>,
    hangs: Arc<AtomicBool>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if hangs.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let path = request.uri().path().to_owned();
    let kind = request.headers().get(CONTENT_TYPE).cloned();
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
    if kind.as_ref().is_none_or(|kind| kind != "application/x-protobuf") {
        received.mistakes.push(format!("{path}: {kind:?}"));
    }
    match path.as_str() {
        "/v1/traces" => match ExportTraceServiceRequest::decode(body) {
            Ok(request) => received.traces.push(request),
            Err(error) => received.mistakes.push(error.to_string()),
        },
        "/v1/metrics" => match ExportMetricsServiceRequest::decode(body) {
            Ok(request) => received.metrics.push(request),
            Err(error) => received.mistakes.push(error.to_string()),
        },
        other => received.mistakes.push(other.to_owned()),
    }
    Ok(Response::new(Full::default()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    let value = attributes.iter().find(|attribute| attribute.key == name);
    match value.and_then(|attribute| attribute.value.as_ref()).and_then(|value| value.value.as_ref()) {
        Some(AnyValue::StringValue(text)) => text.clone(),
        Some(AnyValue::IntValue(number)) => number.to_string(),
        Some(AnyValue::BoolValue(flag)) => flag.to_string(),
        _ => String::new(),
    }
}

fn setup(collector: &Absent) -> Setup {
    Setup::default()
        .set("otel", "enabled = true")
        .set("otel", format!("endpoint = \"http://{}\"", collector.address))
        .set("otel", "service_name = \"under-test\"")
        .set("otel", "export_interval_millis = 1000")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_traces_and_metrics_and_no_secret() -> Result<()> {
    let at = Absent::new()?;
    let server = Server::start(setup(&at))?;
    let collector = Collector::listen(at)?;
    let api = server.api();
    let traced = |method: &str, path: &str, trace: &str, flags: &str| {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", api.base))
            .header("open-sandbox-api-key", &server.key)
            .header("traceparent", format!("00-{trace}-{}-{flags}", TRACE.1))
            .header("x-request-id", "the-request")
            .header(CONTENT_TYPE, "application/json")
    };
    let body = create_body(json!({"env": {"TOKEN": SECRET}, "metadata": {"note": SECRET}}));
    let create = traced("POST", "/v1/sandboxes", TRACE.0, "01").body(Full::new(body.to_string().into()))?;
    let made = api.request(create).await?.expect(202)?.json()?;
    let id = made["id"].as_str().context("an id")?;

    // The request is part of the caller's trace, the start of the sandbox of the request, and its phases of the start.
    eventually("the spans of the create arrive", PATIENCE, async || {
        let spans = collector.spans_of(TRACE.0);
        Ok(spans.iter().any(|span| span.name == "POST /v1/sandboxes")
            && spans.iter().any(|span| span.name == "sandbox.start"))
    })
    .await?;
    let spans = collector.spans_of(TRACE.0);
    let named =
        |name: &str| spans.iter().find(|span| span.name == name).with_context(|| format!("no {name}"));
    let (request, start) = (named("POST /v1/sandboxes")?, named("sandbox.start")?);
    assert_eq!((&*hex(&request.parent_span_id), request.kind), (TRACE.1, SpanKind::Server as i32));
    let expected = [("http.response.status_code", "202"), ("sandbox.id", id), ("request.id", "the-request")];
    for (name, value) in expected {
        assert_eq!(text(&request.attributes, name), value, "{name} of {request:?}");
    }
    assert_eq!(start.parent_span_id, request.span_id);
    ensure!(start.status.is_none(), "{start:?}");
    for name in ["sandbox.start.image", "sandbox.start.clone", "sandbox.start.ready"] {
        let phase = named(name)?;
        assert_eq!(phase.parent_span_id, start.span_id, "{phase:?}");
        assert_eq!(text(&phase.attributes, "sandbox.id"), id);
        ensure!(
            start.start_time_unix_nano <= phase.start_time_unix_nano
                && phase.start_time_unix_nano <= phase.end_time_unix_nano,
            "{phase:?} of {start:?}"
        );
    }
    let service = collector.look(|received| {
        let resource = received.traces[0].resource_spans[0].resource.clone();
        text(&resource.map(|resource| resource.attributes).unwrap_or_default(), "service.name")
    });
    assert_eq!(service, "under-test");

    // What a sandbox is asked is part of the trace too.
    let sandbox = sandkeep_tests::api::Sandbox { id: id.to_owned(), api: api.clone() };
    sandbox.wait_state("Running").await?;
    backend::serve(&sandbox, backend::HTTP, PORT).await?;
    let path = format!("/v1/sandboxes/{id}/proxy/{PORT}/in");
    let forwarded = traced("GET", &path, TRACE.0, "01").body(Full::default())?;
    let seen = api.request(forwarded).await?.expect(200)?.json()?["headers"]["traceparent"].clone();
    let seen: Vec<&str> = seen.as_str().context("no traceparent")?.split('-').collect();
    ensure!(seen[1] == TRACE.0 && seen[2] != TRACE.1 && seen[3] == "01", "{seen:?}");
    eventually("the forwarded request's span arrives", PATIENCE, async || {
        Ok(collector.spans_of(TRACE.0).iter().any(|span| hex(&span.span_id) == seen[2]))
    })
    .await?;
    let unrecorded = traced("GET", &path, UNRECORDED, "00").body(Full::default())?;
    let seen = api.request(unrecorded).await?.expect(200)?.json()?;
    assert_eq!(seen["headers"]["traceparent"], format!("00-{UNRECORDED}-{}-00", TRACE.1));

    // What `/metrics` has, and what OpenSandbox's server has.
    let event = json!({"eventType": "sandbox.create", "createDurationMs": 123, "success": true});
    let event = traced("POST", "/v1/metrics/events", UNRECORDED, "00")
        .header("user-agent", "OpenSandbox-Python-SDK/1.2.3")
        .body(Full::new(event.to_string().into()))?;
    api.request(event).await?.expect(204)?;
    let route = "/v1/metrics/events";
    for (name, attributes) in [
        (
            "opensandbox.sandbox.create.duration",
            &[("success", "true"), ("sdk.language", "python"), ("sdk.version", "1.2.3")][..],
        ),
        (
            "server.http.request.duration",
            &[("http_method", "POST"), ("http_route", route), ("http_status_code", "204")],
        ),
        ("sandkeep_http_requests_total", &[("method", "POST"), ("route", route), ("status", "204")]),
        ("sandkeep_sandboxes", &[("state", "Running")]),
    ] {
        eventually(name, PATIENCE, async || Ok(collector.value(name, attributes) == Some(1.0))).await?;
    }

    // What was recorded last is sent at the stop, and nothing secret ever.
    api.get(&format!("/v1/sandboxes/{id}?last={SECRET}")).await?.expect(200)?;
    api.get(&format!("/v1/sandboxes/{SECRET}")).await?.expect_error(404)?;
    api.delete(&format!("/v1/sandboxes/{id}")).await?.expect(204)?;
    server.stop()?;
    let last = "DELETE /v1/sandboxes/{sandboxId}";
    // On a machine that stands still for seconds, the server does not wait for it, and says so.
    ensure!(
        collector.spans().iter().any(|span| span.name == last) || server.log().contains(LATE),
        "the last span is lost"
    );
    ensure!(collector.spans_of(UNRECORDED).is_empty(), "there are spans of a trace that is not recorded");
    collector.look(|received| {
        let everything = format!("{:?}{:?}", received.traces, received.metrics);
        for secret in [SECRET, &*server.key] {
            ensure!(!everything.contains(secret), "{secret} is exported");
        }
        ensure!(received.mistakes.is_empty(), "{:?}", received.mistakes);
        Ok(())
    })?;
    server.restart()
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_collector_harms_nothing() -> Result<()> {
    let at = Absent::new()?;
    let server = Server::start(setup(&at).without_image())?;
    let api = server.api();
    let lines = |text: &str| server.log().matches(text).count();

    // It is away: requests are answered, spans without room are gone, and the log says it once for each signal.
    let callers = (0..AT_ONCE).map(|_| async {
        for _ in 0..MANY / AT_ONCE {
            api.get("/v1/sandboxes").await?.expect(200)?;
        }
        anyhow::Ok(())
    });
    try_join_all(callers).await?;
    let metrics = api.get("/metrics").await?.expect(200)?.text();
    let dropped = metrics.lines().find_map(|line| line.strip_prefix("sandkeep_spans_dropped_total "));
    let dropped: usize = dropped.context("no count of dropped spans")?.parse()?;
    ensure!(dropped > 0 && dropped < MANY, "{dropped} dropped");
    let away = "the collector does not get what is exported";
    eventually("the log says it for each signal", PATIENCE, async || Ok(lines(away) == 2)).await?;

    // It comes: what was kept arrives.
    let collector = Collector::listen(at)?;
    eventually("what was kept arrives", ATTEMPTS, async || Ok(collector.spans().len() >= MANY - dropped))
        .await?;
    let again = "the collector gets what is exported again";
    eventually("the log says that too", PATIENCE, async || Ok(lines(again) == 2)).await?;
    assert_eq!(lines(away), 2, "{}", server.log());

    // It hangs: the server stops all the same.
    collector.hangs.store(true, Ordering::SeqCst);
    api.get("/v1/sandboxes").await?.expect(200)?;
    let since = Instant::now();
    let status = server.stop()?;
    ensure!(status.success(), "the server ended with {status} after {:?}", since.elapsed());
    assert_eq!(lines(LATE), 1, "{}", server.log());
    server.restart()
}
