//! Telling a collector, every now and then and once more at the end.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use hyper::{
    HeaderMap,
    header::{CONTENT_TYPE, HeaderValue, USER_AGENT},
};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};

use super::{
    Metrics,
    encode::{Origin, Process},
};
use crate::{
    config::{Config, MetricsConfig},
    dns::Names,
    memory,
    post::Post,
};

/// A collector that needs longer has its export given up; the next one makes it good, as all values are sums.
const EXPORT_LIMIT: Duration = Duration::from_secs(10);
/// What is told at the end gets this long to leave.
const STOP_LIMIT: Duration = Duration::from_secs(1);
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("opensandbox-egress/", env!("CARGO_PKG_VERSION")));

/// Exports under way, until this is dropped.
#[derive(Debug)]
pub struct Exporting {
    task: JoinSet<()>,
    stopping: oneshot::Sender<()>,
}

impl Exporting {
    /// Begins to export, where the configuration names a collector. One that does not answer is no error, now or later.
    #[must_use]
    pub fn start(config: &Config, metrics: Arc<Metrics>, names: Names) -> Option<Self> {
        let settings = config.metrics.as_ref()?;
        let (stopping, stopped) = oneshot::channel();
        let collector = Collector::new(settings, config, metrics, names);
        let mut task = JoinSet::new();
        task.spawn(collector.tell(settings.interval, stopped));
        Some(Self { task, stopping })
    }

    /// Exports what there is, within a second.
    pub async fn stop(mut self) {
        drop(self.stopping);
        if timeout(STOP_LIMIT, self.task.join_next()).await.is_err() {
            tracing::warn!("the collector did not take the last metrics in time");
        }
    }
}

struct Collector {
    post: Post,
    names: Names,
    metrics: Arc<Metrics>,
    origin: Origin,
    /// The last export failed: said once, not with every export.
    is_failing: bool,
}

impl Collector {
    fn new(settings: &MetricsConfig, config: &Config, metrics: Arc<Metrics>, names: Names) -> Self {
        let mut headers: HeaderMap = [(USER_AGENT, AGENT)].into_iter().collect();
        headers.extend(settings.headers.clone());
        headers.insert(CONTENT_TYPE, PROTOBUF);
        let post = Post::new(settings.collector.clone(), headers, config.intercept.roots());
        let origin = Origin::new(settings, &config.sandbox_id, &instance());
        Self { post, names, metrics, origin, is_failing: false }
    }

    async fn tell(mut self, interval: Duration, mut stopped: oneshot::Receiver<()>) {
        let mut turns = interval_at(Instant::now() + interval, interval);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_last = tokio::select! {
                _ = &mut stopped => true,
                _ = turns.tick() => false,
            };
            self.export().await;
            if is_last {
                return;
            }
        }
    }

    async fn export(&mut self) {
        let process = Process { memory: memory::resident_bytes(), cpu: memory::used() };
        let body = self.origin.encode(&self.metrics, process);
        let sent = timeout(EXPORT_LIMIT, self.post.send(body.into(), &self.names)).await;
        let problem = match sent.context("it does not answer in time").flatten() {
            Ok(status) if status.is_success() => None,
            Ok(status) => Some(format!("it answers {status}")),
            Err(error) => Some(format!("{error:#}")),
        };
        self.note(problem);
    }

    fn note(&mut self, problem: Option<String>) {
        match (self.is_failing, &problem) {
            (false, Some(why)) => {
                tracing::warn!(why, "the collector does not get the metrics; not said again until it does");
            }
            (true, None) => tracing::info!("the collector gets the metrics again"),
            _ => {}
        }
        self.is_failing = problem.is_some();
    }
}

/// A name for this run that no other has, in the form of a random UUID; blank when the kernel has no random numbers.
fn instance() -> String {
    let mut bytes = [0; 16];
    if getrandom(&mut bytes[..], GetRandomFlags::empty()) != Ok(bytes.len()) {
        return String::new();
    }
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{number:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_a_name_of_its_own() {
        let (one, two) = (instance(), instance());
        assert_ne!(one, two);
        let lengths: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert!(one[14..].starts_with('4') && one[19..].starts_with(['8', '9', 'a', 'b']), "{one}");
    }
}
