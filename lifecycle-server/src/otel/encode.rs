//! Spans and numbers in OTLP's words.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{InstrumentationScope, KeyValue, any_value::Value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point::Value as Number,
    },
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prometheus::proto::{LabelPair, Metric as Measured, MetricFamily, MetricType};
use prost::Message as _;

use super::{SCOPE, measures::otlp_name, trace::attribute};

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;
/// Labels whose values are not texts.
const NUMBER_LABEL: &str = "http_status_code";
const FLAG_LABEL: &str = "success";

pub(super) fn spans(resource: &Resource, spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() };
    let resource_spans = ResourceSpans {
        resource: Some(resource.clone()),
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

/// What has been measured from `since` until now.
pub(super) fn metrics(resource: &Resource, since: SystemTime, measured: &[MetricFamily]) -> Vec<u8> {
    let times = Times { since: nanos(since), now: nanos(SystemTime::now()) };
    let metrics = measured.iter().filter_map(|family| times.metric(family)).collect();
    let scope_metrics = ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() };
    let resource_metrics = ResourceMetrics {
        resource: Some(resource.clone()),
        scope_metrics: vec![scope_metrics],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }.encode_to_vec()
}

/// Since 1970; 0 for a clock that was never set.
pub(super) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

struct Times {
    since: u64,
    now: u64,
}

impl Times {
    /// `None` for kinds that nothing here is measured as.
    fn metric(&self, family: &MetricFamily) -> Option<Metric> {
        let points = family.get_metric();
        let data = match family.get_field_type() {
            MetricType::COUNTER => Data::Sum(Sum {
                data_points: self.numbers(points, |measured| measured.get_counter().get_value()),
                aggregation_temporality: CUMULATIVE,
                is_monotonic: true,
            }),
            MetricType::GAUGE => Data::Gauge(Gauge {
                data_points: self.numbers(points, |measured| measured.get_gauge().get_value()),
            }),
            MetricType::HISTOGRAM => Data::Histogram(Histogram {
                data_points: points.iter().map(|measured| self.histogram(measured)).collect(),
                aggregation_temporality: CUMULATIVE,
            }),
            _ => return None,
        };
        let name = otlp_name(family.name());
        Some(Metric {
            unit: if name.ends_with("_seconds") {
                "s"
            } else if name.ends_with(".duration") {
                "ms"
            } else {
                ""
            }
            .to_owned(),
            name: name.to_owned(),
            description: family.help().to_owned(),
            data: Some(data),
            ..Metric::default()
        })
    }

    fn numbers(&self, points: &[Measured], value: impl Fn(&Measured) -> f64) -> Vec<NumberDataPoint> {
        let point = |measured: &Measured| NumberDataPoint {
            attributes: attributes(measured.get_label()),
            start_time_unix_nano: self.since,
            time_unix_nano: self.now,
            value: Some(Number::AsDouble(value(measured))),
            ..NumberDataPoint::default()
        };
        points.iter().map(point).collect()
    }

    fn histogram(&self, measured: &Measured) -> HistogramDataPoint {
        let histogram = measured.get_histogram();
        let (count, mut below) = (histogram.get_sample_count(), 0);
        // There each bucket holds those before it too, and the last one may be left out.
        let finite = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
        let (bounds, mut counts): (Vec<f64>, Vec<u64>) = finite
            .map(|bucket| {
                let within = bucket.cumulative_count().saturating_sub(below);
                below = bucket.cumulative_count();
                (bucket.upper_bound(), within)
            })
            .unzip();
        // A value may have come between the reads of the two.
        let count = count.max(below);
        counts.push(count - below);
        HistogramDataPoint {
            attributes: attributes(measured.get_label()),
            start_time_unix_nano: self.since,
            time_unix_nano: self.now,
            count,
            sum: Some(histogram.get_sample_sum()),
            bucket_counts: counts,
            explicit_bounds: bounds,
            ..HistogramDataPoint::default()
        }
    }
}

fn attributes(labels: &[LabelPair]) -> Vec<KeyValue> {
    let value = |label: &LabelPair| match (label.name(), label.value()) {
        (FLAG_LABEL, value) => Value::BoolValue(value == "true"),
        (NUMBER_LABEL, value) => Value::IntValue(value.parse().unwrap_or_default()),
        (_, value) => Value::StringValue(value.to_owned()),
    };
    labels.iter().map(|label| attribute(otlp_name(label.name()), value(label))).collect()
}

#[cfg(test)]
mod tests {
    use prometheus::{HistogramOpts, HistogramVec, IntGauge, Registry};

    use super::*;

    #[test]
    fn numbers_stay_what_they_are() {
        let registry = Registry::new();
        let gauge = IntGauge::new("sandboxes", "Those that run.").unwrap();
        let waits = HistogramVec::new(
            HistogramOpts::new("wait_seconds", "x").buckets(vec![1.0, 2.0]),
            &["success", "sdk_language"],
        );
        let waits = waits.unwrap();
        registry.register(Box::new(gauge.clone())).unwrap();
        registry.register(Box::new(waits.clone())).unwrap();
        gauge.set(3);
        for wait in [0.5, 0.5, 1.5, 9.0] {
            waits.with_label_values(&["true", "go"]).observe(wait);
        }
        let body = metrics(&Resource::default(), UNIX_EPOCH, &registry.gather());
        let sent = ExportMetricsServiceRequest::decode(&*body).unwrap();
        let [number, histogram] = &sent.resource_metrics[0].scope_metrics[0].metrics[..] else {
            panic!("{sent:?}")
        };
        let Some(Data::Gauge(number)) = &number.data else { panic!("{number:?}") };
        assert_eq!(number.data_points[0].value, Some(Number::AsDouble(3.0)));
        assert_eq!(histogram.unit, "s");
        let Some(Data::Histogram(data)) = &histogram.data else { panic!("{histogram:?}") };
        let point = &data.data_points[0];
        assert_eq!((point.count, point.sum), (4, Some(11.5)));
        assert_eq!((&*point.bucket_counts, &*point.explicit_bounds), (&[2, 1, 1][..], &[1.0, 2.0][..]));
        let expected = [
            attribute("sdk.language", Value::StringValue("go".to_owned())),
            attribute("success", Value::BoolValue(true)),
        ];
        assert_eq!(point.attributes, expected);
    }
}
