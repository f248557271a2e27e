//! What is measured for the collector only: the metrics that OpenSandbox's server exports, under its names.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::{Method, StatusCode};
use prometheus::{HistogramOpts, HistogramVec, Registry, proto::MetricFamily};

/// Names as a registry may have them, and as they are exported.
const NAMES: [(&str, &str); 4] = [
    ("server_http_request_duration", "server.http.request.duration"),
    ("opensandbox_sandbox_create_duration", "opensandbox.sandbox.create.duration"),
    ("sdk_language", "sdk.language"),
    ("sdk_version", "sdk.version"),
];
/// In milliseconds, as everything here.
const REQUEST_BOUNDS: [f64; 18] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0,
    30_000.0, 60_000.0,
];
const CREATE_BOUNDS: [f64; 14] =
    [1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0, 30_000.0, 60_000.0];
/// Methods with series of their own; what else a caller makes up shares one.
const METHODS: [Method; 9] = [
    Method::CONNECT,
    Method::DELETE,
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::PATCH,
    Method::POST,
    Method::PUT,
    Method::TRACE,
];
/// Versions of clients with series of their own: callers say them, and may say anything.
const MAX_VERSIONS: usize = 64;
const MAX_VERSION_LENGTH: usize = 24;
const OTHER: &str = "other";

/// Counts and durations by OpenSandbox's names.
pub struct Measures {
    registry: Registry,
    requests: HistogramVec,
    creates: HistogramVec,
    versions: Mutex<BTreeSet<String>>,
}

impl Measures {
    /// # Errors
    /// Only if two metrics share a name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let requests = HistogramOpts::new(NAMES[0].0, "Time until the answer's first byte.");
        let creates =
            HistogramOpts::new(NAMES[1].0, "Time from create to a usable sandbox, as clients report it.");
        let measures = Self {
            registry: Registry::new(),
            requests: HistogramVec::new(
                requests.buckets(REQUEST_BOUNDS.to_vec()),
                &["http_method", "http_route", "http_status_code"],
            )?,
            creates: HistogramVec::new(
                creates.buckets(CREATE_BOUNDS.to_vec()),
                &["sdk_language", "sdk_version", "success"],
            )?,
            versions: Mutex::default(),
        };
        measures.registry.register(Box::new(measures.requests.clone()))?;
        measures.registry.register(Box::new(measures.creates.clone()))?;
        Ok(measures)
    }

    pub(crate) fn record(&self, method: &Method, route: Option<&str>, status: StatusCode, elapsed: Duration) {
        let method = if is_usual(method) { method.as_str() } else { "OTHER" };
        let labels = [method, route.unwrap_or("unknown"), status.as_str()];
        self.requests.with_label_values(&labels).observe(millis(elapsed));
    }

    /// A client's own measurement. `sdk` is one of few known names, `version` what it says of itself.
    pub(crate) fn record_client_create(&self, success: bool, sdk: &str, version: &str, elapsed: Duration) {
        let version = if self.is_known(version) { version } else { OTHER };
        let success = if success { "true" } else { "false" };
        self.creates.with_label_values(&[sdk, version, success]).observe(millis(elapsed));
    }

    /// Everything measured so far.
    pub(crate) fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    fn is_known(&self, version: &str) -> bool {
        let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || b".+-".contains(&letter);
        if version.is_empty() || version.len() > MAX_VERSION_LENGTH || !version.bytes().all(is_plain) {
            return false;
        }
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.contains(version) || (versions.len() < MAX_VERSIONS && versions.insert(version.to_owned()))
    }
}

/// Whether a method has series of its own.
pub(super) fn is_usual(method: &Method) -> bool {
    METHODS.contains(method)
}

/// What a name is exported as.
pub(super) fn otlp_name(name: &str) -> &str {
    NAMES.iter().find(|(known, _)| *known == name).map_or(name, |(_, exported)| exported)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_make_up_shares_a_series() {
        let measures = Measures::new().unwrap();
        for n in 0..2 * MAX_VERSIONS {
            measures.record_client_create(true, "go", &format!("1.{n}"), Duration::ZERO);
            measures.record_client_create(true, "go", &format!("1 {n}"), Duration::ZERO);
            let method = format!("BREW{n}").parse().unwrap();
            measures.record(&method, None, StatusCode::NOT_FOUND, Duration::ZERO);
        }
        let series = |family: &MetricFamily| (otlp_name(family.name()).to_owned(), family.get_metric().len());
        let series: Vec<_> = measures.gather().iter().map(series).collect();
        let expected = [
            ("opensandbox.sandbox.create.duration".to_owned(), MAX_VERSIONS + 1),
            ("server.http.request.duration".to_owned(), 1),
        ];
        assert_eq!(series, expected);
    }
}
