//! Counters and durations, as Prometheus reads them.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    proto::MetricFamily,
};

use crate::{
    otel::{Measures, Tracer},
    sandbox::State,
};

/// From a cached answer to a pulled image, in seconds.
const REQUEST_BUCKETS: [f64; 12] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 10.0, 60.0];
/// What clients measure from create to usable, in seconds.
const CREATE_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0];
/// Methods worth their own series; anything else a caller makes up shares one.
const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];

/// In place of a route where nothing serves the path.
pub(super) const NO_ROUTE: &str = "(none)";

/// The server's metrics.
pub struct Telemetry {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    sandboxes: IntGaugeVec,
    client_creates: HistogramVec,
    exported: Option<Exported>,
}

/// What there is only for a collector.
struct Exported {
    tracer: Tracer,
    measures: Measures,
}

/// One request that is being worked on.
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Telemetry {
    /// With a `tracer`, requests' spans go there, and there is more to measure.
    ///
    /// # Errors
    /// Only if two metrics share a name.
    pub fn new(tracer: Option<Tracer>) -> Result<Self, prometheus::Error> {
        let exported =
            tracer.map(|tracer| Ok::<_, prometheus::Error>(Exported { tracer, measures: Measures::new()? }));
        let telemetry = Self {
            exported: exported.transpose()?,
            registry: Registry::new(),
            requests: IntCounterVec::new(
                Opts::new("sandkeep_http_requests_total", "Answered requests."),
                &["method", "route", "status"],
            )?,
            durations: HistogramVec::new(
                HistogramOpts::new(
                    "sandkeep_http_request_duration_seconds",
                    "Time until the answer's first byte, without streamed bodies.",
                )
                .buckets(REQUEST_BUCKETS.to_vec()),
                &["route"],
            )?,
            in_flight: IntGauge::new("sandkeep_http_requests_in_flight", "Requests being worked on.")?,
            sandboxes: IntGaugeVec::new(Opts::new("sandkeep_sandboxes", "Sandboxes by state."), &["state"])?,
            client_creates: HistogramVec::new(
                HistogramOpts::new(
                    "sandkeep_client_create_duration_seconds",
                    "Time from create to a usable sandbox, as clients report it.",
                )
                .buckets(CREATE_BUCKETS.to_vec()),
                &["success", "sdk"],
            )?,
        };
        let registry = &telemetry.registry;
        registry.register(Box::new(telemetry.requests.clone()))?;
        registry.register(Box::new(telemetry.durations.clone()))?;
        registry.register(Box::new(telemetry.in_flight.clone()))?;
        registry.register(Box::new(telemetry.sandboxes.clone()))?;
        registry.register(Box::new(telemetry.client_creates.clone()))?;
        if let Some(exported) = &telemetry.exported {
            registry.register(Box::new(exported.tracer.dropped().clone()))?;
        }
        Ok(telemetry)
    }

    /// Counts a request until the returned guard goes.
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Takes the spans of requests, if anybody wants them.
    pub fn tracer(&self) -> Option<&Tracer> {
        self.exported.as_ref().map(|exported| &exported.tracer)
    }

    /// `route` is `None` where nothing serves the path.
    pub fn record(&self, method: &Method, route: Option<&str>, status: StatusCode, elapsed: Duration) {
        if let Some(exported) = &self.exported {
            exported.measures.record(method, route, status, elapsed);
        }
        let route = route.unwrap_or(NO_ROUTE);
        let method = if METHODS.contains(method) { method.as_str() } else { "(other)" };
        self.requests.with_label_values(&[method, route, status.as_str()]).inc();
        self.durations.with_label_values(&[route]).observe(elapsed.as_secs_f64());
    }

    /// A client's own measurement; `sdk` is one of few known names, `version` whatever it says.
    pub fn record_client_create(&self, success: bool, sdk: &str, version: &str, elapsed: Duration) {
        if let Some(exported) = &self.exported {
            exported.measures.record_client_create(success, sdk, version, elapsed);
        }
        let success = if success { "true" } else { "false" };
        self.client_creates.with_label_values(&[success, sdk]).observe(elapsed.as_secs_f64());
    }

    /// Everything in the text format, with the present number of sandboxes.
    pub fn render(&self, sandboxes: &[(State, usize)]) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.gather(sandboxes), &mut text)?;
        Ok(text)
    }

    /// Everything for a collector, with the present number of sandboxes.
    pub fn measured(&self, sandboxes: &[(State, usize)]) -> Vec<MetricFamily> {
        let more = self.exported.iter().flat_map(|exported| exported.measures.gather());
        self.gather(sandboxes).into_iter().chain(more).collect()
    }

    fn gather(&self, sandboxes: &[(State, usize)]) -> Vec<MetricFamily> {
        for (state, count) in sandboxes {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            self.sandboxes.with_label_values(&[state.as_str()]).set(count);
        }
        self.registry.gather()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_in_the_text() {
        let telemetry = Telemetry::new(None).unwrap();
        let in_flight = telemetry.begin();
        telemetry.record(&Method::GET, Some("/health"), StatusCode::OK, Duration::from_micros(300));
        telemetry.record(&"BREW".parse().unwrap(), None, StatusCode::NOT_FOUND, Duration::ZERO);
        telemetry.record_client_create(true, "python", "1.1", Duration::from_millis(7));
        let text = String::from_utf8(telemetry.render(&[(State::Running, 3)]).unwrap()).unwrap();
        for line in [
            r#"sandkeep_http_requests_total{method="GET",route="/health",status="200"} 1"#,
            r#"sandkeep_http_requests_total{method="(other)",route="(none)",status="404"} 1"#,
            r#"sandkeep_http_request_duration_seconds_bucket{route="/health",le="0.0005"} 1"#,
            r#"sandkeep_client_create_duration_seconds_bucket{sdk="python",success="true",le="0.01"} 1"#,
            r#"sandkeep_sandboxes{state="Running"} 3"#,
            "sandkeep_http_requests_in_flight 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        drop(in_flight);
        let text = String::from_utf8(telemetry.render(&[]).unwrap()).unwrap();
        assert!(text.contains("sandkeep_http_requests_in_flight 0"));
    }
}
