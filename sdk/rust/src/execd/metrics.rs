//! Resource use of a sandbox.

use reqwest::Response;
use sandkeep_specs::execd::metrics::Metrics;

use super::Execd;
use crate::transport::{Frames, Http};
use crate::{Error, Result};

/// Samples as they come, about one every two seconds.
pub struct MetricsStream {
    frames: Frames,
}

impl MetricsStream {
    fn new(http: &Http, response: Response) -> Self {
        Self { frames: Frames::new(http, response) }
    }

    /// The next sample, or nothing once the stream has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after a silence longer than [`crate::Timeouts::idle`].
    pub async fn next(&mut self) -> Result<Option<Metrics>> {
        let Some(frame) = self.frames.next().await? else { return Ok(None) };
        let sample = serde_json::from_slice(&frame);
        sample.map(Some).map_err(|error| Error::Decode { what: "a sample", detail: error.to_string() })
    }
}

impl Execd {
    /// Resource use now.
    pub async fn metrics(&self) -> Result<Metrics> {
        self.http.json("the metrics", self.http.get(&["metrics"])).await
    }

    /// The daemon's metrics in the text format of Prometheus.
    pub async fn prometheus(&self) -> Result<String> {
        self.http.text("the metrics", self.http.get(&["metrics", "prometheus"])).await
    }

    /// Resource use from now on.
    ///
    /// # Errors
    ///
    /// 429 if too many watch.
    pub async fn watch_metrics(&self) -> Result<MetricsStream> {
        let response = self.http.send(self.http.get(&["metrics", "watch"])).await?;
        Ok(MetricsStream::new(&self.http, response))
    }
}
