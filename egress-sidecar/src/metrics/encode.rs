//! What was counted, in OTLP's words.

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point::Value,
    },
    resource::v1::Resource,
};
use prost::Message as _;

use super::{BOUNDS, Count, Metrics};
use crate::config::MetricsConfig;

/// As OpenSandbox's sidecar calls itself.
const SCOPE: &str = "opensandbox/egress";
const SERVICE: &str = concat!("opensandbox-egress-", env!("CARGO_PKG_VERSION"));
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Attribute of every value.
const SANDBOX: &str = "sandbox_id";
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;
const SECONDS: &str = "s";

/// A metric that only grows: a value for each of its counts, with the attribute that tells them apart.
struct Growing {
    name: &'static str,
    description: &'static str,
    counts: &'static [(Count, Option<(&'static str, &'static str)>)],
}

const GROWING: [Growing; 6] = [
    Growing {
        name: "egress.dns.cache.hits_total",
        description: "Allowed questions answered from memory",
        counts: &[(Count::CacheHit, None)],
    },
    Growing {
        name: "egress.dns.cache.misses_total",
        description: "Allowed questions that were not in memory",
        counts: &[(Count::CacheMiss, None)],
    },
    Growing {
        name: "egress.dns.query.failed_total",
        description: "Questions asked outside in vain, by reason; refusals of the policy are none",
        counts: &[
            (Count::UpstreamError, Some(("reason", "upstream_error"))),
            (Count::ErrorCode, Some(("reason", "rcode"))),
        ],
    },
    Growing {
        name: "egress.policy.denied_total",
        description: "Questions the policy refuses",
        counts: &[(Count::Denied, None)],
    },
    Growing {
        name: "egress.nftables.updates.count",
        description: "Policies and addresses of names put into nftables",
        counts: &[(Count::Update, None)],
    },
    Growing {
        name: "egress.nftables.updates.failed_total",
        description: "Policies and addresses of names that nftables did not take, by operation",
        counts: &[
            (Count::ApplyFailed, Some(("operation", "static_apply"))),
            (Count::AddFailed, Some(("operation", "dynamic_add"))),
        ],
    },
];

/// What the sidecar's process takes of the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process {
    pub(super) memory: Option<usize>,
    pub(super) cpu: Duration,
}

/// Whose values these are.
#[derive(Debug)]
pub(super) struct Origin {
    resource: Resource,
    attributes: Vec<KeyValue>,
}

impl Origin {
    /// `instance` tells this run from all others.
    pub(super) fn new(config: &MetricsConfig, sandbox_id: &str, instance: &str) -> Self {
        let service = config.service_name.as_deref().unwrap_or(SERVICE);
        let own =
            [("service.name", service), ("service.version", VERSION), ("service.instance.id", instance)];
        let given = config.resource.iter().map(|(key, value)| (&**key, &**value));
        let given = given.filter(|(key, _)| own.iter().all(|(known, _)| known != key));
        let resource =
            Resource { attributes: given.chain(own).map(attribute).collect(), ..Resource::default() };
        let sandbox = (!sandbox_id.is_empty()).then_some((SANDBOX, sandbox_id));
        let extra = config.attributes.iter().map(|(key, value)| (&**key, &**value));
        Self { resource, attributes: sandbox.into_iter().chain(extra).map(attribute).collect() }
    }

    /// All values of this moment, as a request to the collector.
    pub(super) fn encode(&self, metrics: &Metrics, process: Process) -> Vec<u8> {
        let times = [metrics.since, SystemTime::now()].map(nanos);
        let moment = Moment { attributes: &self.attributes, since: times[0], now: times[1] };
        let scope = InstrumentationScope {
            name: SCOPE.to_owned(),
            version: VERSION.to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_metrics = ScopeMetrics {
            scope: Some(scope),
            metrics: moment.all(metrics, process),
            ..ScopeMetrics::default()
        };
        let resource_metrics = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        };
        ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }.encode_to_vec()
    }
}

/// Since 1970; 0 for a clock that was never set.
fn nanos(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

fn attribute((key, value): (&str, &str)) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn whole(number: u64) -> Value {
    Value::AsInt(i64::try_from(number).unwrap_or(i64::MAX))
}

fn metric(name: &str, unit: &str, description: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: description.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

struct Moment<'a> {
    attributes: &'a [KeyValue],
    since: u64,
    now: u64,
}

impl Moment<'_> {
    fn all(&self, metrics: &Metrics, process: Process) -> Vec<Metric> {
        let gauge = |value| Data::Gauge(Gauge { data_points: vec![self.point(None, value)] });
        let growing = GROWING.iter().map(|growing| {
            let point = |(count, of): &(Count, Option<_>)| self.point(*of, whole(metrics.read(*count)));
            let data = self.sum(growing.counts.iter().map(point).collect());
            metric(growing.name, "", growing.description, data)
        });
        let mut all: Vec<Metric> = growing.collect();
        all.push(metric(
            "egress.dns.query.duration",
            SECONDS,
            "How long it took to ask outside, with or without success",
            self.durations(metrics),
        ));
        all.push(metric(
            "egress.nftables.rules.count",
            "{element}",
            "Rules of the policy in force",
            gauge(whole(metrics.rules.load(Ordering::Relaxed))),
        ));
        all.extend(process.memory.map(|bytes| {
            let description = "Memory this sidecar's process holds";
            metric("egress.process.memory.usage_bytes", "By", description, gauge(whole(bytes as u64)))
        }));
        let cpu = self.point(None, Value::AsDouble(process.cpu.as_secs_f64()));
        let description = "Processor time this sidecar's process has used";
        all.push(metric("egress.process.cpu.time", SECONDS, description, self.sum(vec![cpu])));
        all
    }

    fn sum(&self, data_points: Vec<NumberDataPoint>) -> Data {
        Data::Sum(Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true })
    }

    fn point(&self, of: Option<(&str, &str)>, value: Value) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.attributes.iter().cloned().chain(of.map(attribute)).collect(),
            start_time_unix_nano: self.since,
            time_unix_nano: self.now,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }

    fn durations(&self, metrics: &Metrics) -> Data {
        let groups: Vec<u64> = metrics.times.iter().map(|group| group.load(Ordering::Relaxed)).collect();
        let sum = Duration::from_nanos(metrics.nanos.load(Ordering::Relaxed));
        let point = HistogramDataPoint {
            attributes: self.attributes.to_vec(),
            start_time_unix_nano: self.since,
            time_unix_nano: self.now,
            count: groups.iter().sum(),
            sum: Some(sum.as_secs_f64()),
            bucket_counts: groups,
            explicit_bounds: BOUNDS.to_vec(),
            ..HistogramDataPoint::default()
        };
        Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: CUMULATIVE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const CPU: Duration = Duration::from_millis(1500);

    fn sent(variables: &[(&str, &str)], metrics: &Metrics, memory: Option<usize>) -> ResourceMetrics {
        let config = Config::from_variables(|name| {
            let given = variables.iter().find(|(known, _)| *known == name);
            given
                .map(|(_, value)| *value)
                .or((name == "OTEL_EXPORTER_OTLP_ENDPOINT").then_some("http://c"))
                .map(str::to_owned)
        });
        let config = config.unwrap();
        let origin = Origin::new(config.metrics.as_ref().unwrap(), &config.sandbox_id, "the-run");
        let body = origin.encode(metrics, Process { memory, cpu: CPU });
        let mut request = ExportMetricsServiceRequest::decode(&*body).unwrap();
        request.resource_metrics.remove(0)
    }

    fn texts(attributes: &[KeyValue]) -> Vec<String> {
        let text = |attribute: &KeyValue| match &attribute.value.as_ref().unwrap().value {
            Some(any_value::Value::StringValue(text)) => format!("{}={text}", attribute.key),
            other => panic!("{other:?}"),
        };
        attributes.iter().map(text).collect()
    }

    fn points(metric: &Metric) -> &[NumberDataPoint] {
        match metric.data.as_ref().unwrap() {
            Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == CUMULATIVE);
                &sum.data_points
            }
            Data::Gauge(gauge) => &gauge.data_points,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_value_has_its_name_unit_and_origin() {
        let metrics = Metrics::default();
        metrics.in_force(7);
        metrics.count(Count::ErrorCode);
        metrics.count(Count::Denied);
        metrics.count(Count::Denied);
        metrics.asked(Duration::from_millis(2));
        metrics.asked(Duration::from_secs(700));
        let variables =
            [("OPENSANDBOX_EGRESS_SANDBOX_ID", "one"), ("OPENSANDBOX_EGRESS_METRICS_EXTRA_ATTRS", "team=a")];
        let all = sent(&variables, &metrics, Some(4096));
        assert_eq!(all.scope_metrics[0].scope.as_ref().unwrap().name, SCOPE);
        let all = &all.scope_metrics[0].metrics;
        let named = |name: &str| all.iter().find(|metric| metric.name == name).unwrap();
        for (name, unit, expected) in [
            ("egress.dns.cache.hits_total", "", vec![("", whole(0))]),
            ("egress.policy.denied_total", "", vec![("", whole(2))]),
            (
                "egress.dns.query.failed_total",
                "",
                vec![("reason=upstream_error", whole(0)), ("reason=rcode", whole(1))],
            ),
            ("egress.nftables.updates.count", "", vec![("", whole(1))]),
            ("egress.nftables.rules.count", "{element}", vec![("", whole(7))]),
            ("egress.process.memory.usage_bytes", "By", vec![("", whole(4096))]),
            ("egress.process.cpu.time", "s", vec![("", Value::AsDouble(1.5))]),
        ] {
            let metric = named(name);
            assert_eq!(metric.unit, unit, "{name}");
            let points = points(metric);
            assert_eq!(points.len(), expected.len(), "{name}");
            for (point, (of, value)) in points.iter().zip(expected) {
                let attributes: Vec<&str> =
                    ["sandbox_id=one", "team=a", of].into_iter().filter(|text| !text.is_empty()).collect();
                assert_eq!(
                    (texts(&point.attributes), point.value),
                    (attributes.iter().map(|text| (*text).to_owned()).collect(), Some(value)),
                    "{name}"
                );
                assert!(point.start_time_unix_nano > 0 && point.start_time_unix_nano <= point.time_unix_nano);
            }
        }
        let duration = named("egress.dns.query.duration");
        let Some(Data::Histogram(histogram)) = &duration.data else { panic!("{duration:?}") };
        let point = &histogram.data_points[0];
        assert_eq!((&*duration.unit, point.count, point.sum), ("s", 2, Some(700.002)));
        assert_eq!((point.bucket_counts[1], point.bucket_counts[19]), (1, 1));
        assert_eq!(point.explicit_bounds, BOUNDS);
        // Without a figure there is no value.
        let without = sent(&[], &metrics, None);
        let metrics = &without.scope_metrics[0].metrics;
        assert!(metrics.iter().all(|metric| metric.name != "egress.process.memory.usage_bytes"));
        assert!(points(&metrics[0])[0].attributes.is_empty());
    }

    #[test]
    fn who_reports_can_be_named() {
        let resource = |variables: &[(&str, &str)]| {
            texts(&sent(variables, &Metrics::default(), None).resource.unwrap().attributes)
        };
        let version = format!("service.version={VERSION}");
        let usual = [format!("service.name=opensandbox-egress-{VERSION}"), version];
        assert_eq!(resource(&[])[..2], usual);
        assert_eq!(resource(&[])[2], "service.instance.id=the-run");
        let given = ("OTEL_RESOURCE_ATTRIBUTES", "zone=x%2Cy,service.name=b,service.instance.id=c");
        let named = resource(&[given]);
        assert_eq!((named.len(), &*named[0], &*named[1]), (4, "zone=x,y", "service.name=b"));
        assert_eq!(resource(&[given, ("OTEL_SERVICE_NAME", "a")])[1], "service.name=a");
    }
}
