//! How exports reach the collector.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, HeaderValue};
use bytes::Bytes;
use reqwest::{Client, StatusCode, Url};

use crate::config::OtelTargets;

/// A collector that needs longer has its export given up.
const EXPORT_LIMIT: Duration = Duration::from_secs(10);
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// One kind of signal on its way to the collector.
pub(super) struct Collector {
    client: Client,
    signal: &'static str,
    url: Url,
    /// The last export failed: said once, not with every export.
    is_failing: bool,
}

/// What became of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// Nor would it be taken another time.
    Refused,
    /// It may be taken another time.
    Later,
}

/// For both signals.
pub(super) fn client(targets: &OtelTargets) -> Result<Client, reqwest::Error> {
    // Fails when a provider was chosen before, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("sandkeep/", env!("CARGO_PKG_VERSION")))
        .default_headers(targets.headers.clone())
        .timeout(EXPORT_LIMIT)
        .pool_max_idle_per_host(1)
        .build()
}

impl Collector {
    pub(super) fn new(client: Client, signal: &'static str, url: &Url) -> Self {
        Self { client, signal, url: url.clone(), is_failing: false }
    }

    pub(super) async fn send(&mut self, body: Bytes) -> Outcome {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, PROTOBUF).body(body);
        match request.send().await {
            Ok(answer) => {
                let outcome = judge(answer.status());
                self.note(outcome == Outcome::Taken, || format!("it answers {}", answer.status()));
                outcome
            }
            Err(error) => {
                // Not the error's own text: the collector's address may hold a password.
                let reason = if error.is_timeout() {
                    "it does not answer in time"
                } else if error.is_connect() {
                    "there is no connection"
                } else {
                    "the connection was lost"
                };
                self.note(false, || reason.to_owned());
                Outcome::Later
            }
        }
    }

    fn note(&mut self, taken: bool, why: impl FnOnce() -> String) {
        let signal = self.signal;
        match (self.is_failing, taken) {
            (false, false) => {
                let why = why();
                tracing::warn!(
                    signal,
                    why,
                    "the collector does not get what is exported; not said again until it does"
                );
            }
            (true, true) => tracing::info!(signal, "the collector gets what is exported again"),
            _ => {}
        }
        self.is_failing = !taken;
    }
}

/// Which answers are worth another attempt is OTLP's to say.
fn judge(status: StatusCode) -> Outcome {
    match status.as_u16() {
        200..=299 => Outcome::Taken,
        429 | 502..=504 => Outcome::Later,
        _ => Outcome::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passing_trouble_is_worth_another_attempt() {
        let judged = [200, 204, 307, 400, 404, 429, 500, 502, 503, 504]
            .map(|status| judge(StatusCode::from_u16(status).unwrap()));
        use Outcome::{Later, Refused, Taken};
        let expected = [Taken, Taken, Refused, Refused, Refused, Later, Refused, Later, Later, Later];
        assert_eq!(judged, expected);
    }
}
