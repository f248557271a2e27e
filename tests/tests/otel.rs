//! Traces and metrics of the server at a collector.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use http_body_util::Full;
use hyper::{Request, header::CONTENT_TYPE};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use sandkeep_tests::{
    api::{create_body, eventually},
    backend::{self, PORT},
    collector::{Absent, Collector, hex, text},
    server::{Server, Setup},
};
use serde_json::json;

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
    collector.hang(true);
    api.get("/v1/sandboxes").await?.expect(200)?;
    let since = Instant::now();
    let status = server.stop()?;
    ensure!(status.success(), "the server ended with {status} after {:?}", since.elapsed());
    assert_eq!(lines(LATE), 1, "{}", server.log());
    server.restart()
}
