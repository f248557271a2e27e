//! The exporting side from start to stop.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::Span,
};
use prometheus::{IntCounter, proto::MetricFamily};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    collector::{self, Collector, Outcome},
    encode,
    trace::{Tracer, attribute},
};
use crate::config::{OtelConfig, OtelTargets};

/// Spans that wait for export; more are dropped, so a collector that is away costs a fixed amount of memory.
const QUEUE: usize = 2048;
const BATCH: usize = 512;
/// Spans are sent this often at the latest.
const SPAN_DELAY: Duration = Duration::from_secs(5);
/// Between attempts to send the same spans: at first, and at last.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// What is still there when the server stops gets this long to leave.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// Everything that exporting takes, not yet under way.
pub struct Export {
    resource: Resource,
    tracer: Tracer,
    spans: mpsc::Receiver<Span>,
    traces: Collector,
    metrics: Collector,
    interval: Duration,
}

/// Exporting under way: a task for each signal. They end with it.
pub struct Running {
    tasks: JoinSet<()>,
    stopping: CancellationToken,
}

impl Export {
    /// `None` if the configuration doesn't want any.
    ///
    /// # Errors
    /// When the client cannot be made. A collector that doesn't answer is no error, now or later.
    pub fn new(config: &OtelConfig) -> Result<Option<Self>> {
        let Some(targets) = config.targets() else { return Ok(None) };
        let client = collector::client(targets).context("cannot make a client of the collector ([otel])")?;
        let (queue, spans) = mpsc::channel(QUEUE);
        let dropped = IntCounter::new("sandkeep_spans_dropped_total", "Spans that no collector will see.")?;
        Ok(Some(Self {
            resource: resource(&config.service_name, targets),
            tracer: Tracer::new(queue, dropped),
            spans,
            traces: Collector::new(client.clone(), "traces", &targets.traces),
            metrics: Collector::new(client, "metrics", &targets.metrics),
            interval: config.export_interval(),
        }))
    }

    /// Where spans go.
    pub fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// Goes on until it is stopped. `measured` is asked for each export of metrics.
    pub fn run(self, measured: impl Fn() -> Vec<MetricFamily> + Send + 'static) -> Running {
        let (mut tasks, stopping) = (JoinSet::new(), CancellationToken::new());
        let resource = self.resource.clone();
        let delay = self.interval.min(SPAN_DELAY);
        tasks.spawn(send_spans(self.traces, resource, self.spans, delay, stopping.clone()));
        tasks.spawn(send_metrics(self.metrics, self.resource, measured, self.interval, stopping.clone()));
        Running { tasks, stopping }
    }
}

impl Running {
    /// Sends what there is, within a few seconds.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(STOP_LIMIT, ended).await.is_err() {
            tracing::warn!("the collector did not take the last traces or metrics in time");
        }
    }
}

async fn send_spans(
    mut collector: Collector,
    resource: Resource,
    mut spans: mpsc::Receiver<Span>,
    delay: Duration,
    stopping: CancellationToken,
) {
    loop {
        let batch = collect(&mut spans, delay, &stopping).await;
        let is_last = batch.len() < BATCH && stopping.is_cancelled();
        if !batch.is_empty() {
            let body = Bytes::from(encode::spans(&resource, batch));
            let outcome = persist(&mut collector, body, &stopping).await;
            // No use in waiting for as long with every batch that is left.
            if stopping.is_cancelled() && outcome != Outcome::Taken {
                return;
            }
        }
        if is_last {
            return;
        }
    }
}

/// The next spans: as many as go into one export, or those of a while, or at the end what there is.
async fn collect(
    spans: &mut mpsc::Receiver<Span>,
    delay: Duration,
    stopping: &CancellationToken,
) -> Vec<Span> {
    let mut batch = Vec::new();
    let late = sleep(delay);
    tokio::pin!(late);
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        tokio::select! {
            biased;
            count = spans.recv_many(&mut batch, room) => {
                if count == 0 {
                    break;
                }
            }
            () = stopping.cancelled() => break,
            () = &mut late, if !batch.is_empty() => break,
        }
    }
    batch
}

/// Sends until the spans are taken or refused. Those that come meanwhile wait in the queue.
async fn persist(collector: &mut Collector, body: Bytes, stopping: &CancellationToken) -> Outcome {
    let mut pause = FIRST_PAUSE;
    loop {
        let outcome = collector.send(body.clone()).await;
        if outcome != Outcome::Later || stopping.is_cancelled() {
            return outcome;
        }
        let _ = timeout(pause, stopping.cancelled()).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Values are sums since the start: an export that fails is made good by the next.
async fn send_metrics(
    mut collector: Collector,
    resource: Resource,
    measured: impl Fn() -> Vec<MetricFamily>,
    interval: Duration,
    stopping: CancellationToken,
) {
    let since = SystemTime::now();
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_last = tokio::select! {
            () = stopping.cancelled() => true,
            _ = ticks.tick() => false,
        };
        let body = encode::metrics(&resource, since, &measured());
        collector.send(body.into()).await;
        if is_last {
            return;
        }
    }
}

/// Who exports. What the configuration says wins over what the environment does.
fn resource(name: &str, targets: &OtelTargets) -> Resource {
    let own = [
        ("service.name", name.to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", Uuid::new_v4().to_string()),
    ];
    let text = |key: &str, value: String| attribute(key, Value::StringValue(value));
    let given = targets.attributes.iter().filter(|(key, _)| own.iter().all(|(known, _)| key != known));
    let mut attributes: Vec<KeyValue> = given.map(|(key, value)| text(key, value.clone())).collect();
    attributes.extend(own.iter().map(|(key, value)| text(key, value.clone())));
    Resource { attributes, ..Resource::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn spans_are_collected_until_there_are_enough_or_it_is_late_or_over() {
        let (queue, mut spans) = mpsc::channel(QUEUE);
        let stopping = CancellationToken::new();
        for _ in 0..BATCH + 3 {
            queue.try_send(Span::default()).unwrap();
        }
        let began = Instant::now();
        assert_eq!(collect(&mut spans, SPAN_DELAY, &stopping).await.len(), BATCH);
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(collect(&mut spans, SPAN_DELAY, &stopping).await.len(), 3);
        assert_eq!(began.elapsed().as_secs(), SPAN_DELAY.as_secs());
        queue.try_send(Span::default()).unwrap();
        stopping.cancel();
        assert_eq!(collect(&mut spans, SPAN_DELAY, &stopping).await.len(), 1);
        assert_eq!(collect(&mut spans, SPAN_DELAY, &stopping).await.len(), 0);
        assert_eq!(began.elapsed().as_secs(), SPAN_DELAY.as_secs());
    }
}
