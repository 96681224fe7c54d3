//! The facts in the text format of Prometheus.

use std::fmt;

use metashrew_runtime::LatencyHistogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, prometheus_text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::facts::{self, Fact, Kind, Metric, Number, Value};
use crate::telemetry::Readings;

pub(crate) use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

/// All metrics, as `/metrics` answers them.
pub(crate) fn render(readings: Readings) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(readings)));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).expect("a text takes all that is written to it");
    text
}

/// Metrics are made when they are asked for: counting costs calls nothing.
struct Scrape(Readings);

impl fmt::Debug for Scrape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        info(&mut encoder, &self.0.guest_sha256)?;
        for Fact { metric, value, .. } in facts::of(&self.0) {
            if let Some(metric) = metric
                && is_known(&value)
            {
                write(metric.kind, begin(&mut encoder, &metric)?, &value)?;
            }
        }
        Ok(())
    }
}

/// `metashrew_info`: always 1; what there is to say is in its labels.
fn info(encoder: &mut DescriptorEncoder<'_>, guest: &[u8; 32]) -> fmt::Result {
    let help = "The version of the server and SHA-256 of the guest's module";
    let guest = hex::encode_prefixed(guest);
    encoder
        .encode_descriptor("metashrew", help, None, MetricType::Info)?
        .encode_info(&[("version", env!("CARGO_PKG_VERSION")), ("guest", &guest)])
}

/// A metric that is not known, or has no word, is left out.
fn is_known(value: &Value) -> bool {
    match value {
        Value::Unknown | Value::Json(_) => false,
        Value::Family(samples) => !samples.is_empty(),
        Value::Latencies(views) => !views.is_empty(),
        Value::Number(_) | Value::Flag(_) | Value::Latency(_) => true,
    }
}

fn begin<'s>(
    encoder: &'s mut DescriptorEncoder<'_>,
    metric: &Metric,
) -> Result<MetricEncoder<'s>, fmt::Error> {
    let (unit, kind) = match metric.kind {
        Kind::Counter => (None, MetricType::Counter),
        Kind::Gauge => (None, MetricType::Gauge),
        Kind::Bytes => (Some(&Unit::Bytes), MetricType::Gauge),
        Kind::Histogram => (Some(&Unit::Seconds), MetricType::Histogram),
    };
    encoder.encode_descriptor(metric.name, metric.help, unit, kind)
}

fn write(kind: Kind, mut encoder: MetricEncoder<'_>, value: &Value) -> fmt::Result {
    match value {
        Value::Unknown | Value::Json(_) => Ok(()),
        Value::Number(value) => number(kind, *value, encoder),
        Value::Flag(flag) => number(kind, u32::from(*flag).into(), encoder),
        Value::Family(samples) => samples.iter().try_for_each(|sample| {
            let labels: Vec<_> = sample
                .labels
                .iter()
                .map(|(label, word)| (*label, word.as_ref()))
                .collect();
            number(
                kind,
                sample.value,
                encoder.encode_family(&labels.as_slice())?,
            )
        }),
        Value::Latency(latency) => histogram(encoder, latency, 1),
        Value::Latencies(views) => views.iter().try_for_each(|(view, latency)| {
            histogram(
                encoder.encode_family(&[("view", view.as_str())])?,
                latency,
                WIDE,
            )
        }),
    }
}

fn number(kind: Kind, value: Number, encoder: MetricEncoder<'_>) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Number::Whole(value)) => ConstCounter::new(value).encode(encoder),
        (Kind::Counter, Number::Real(value)) => ConstCounter::new(value).encode(encoder),
        (_, Number::Whole(value)) => ConstGauge::new(value).encode(encoder),
        (_, Number::Real(value)) => ConstGauge::new(value).encode(encoder),
    }
}

/// So many buckets are one where there are many histograms: each is then sixteen times as wide
/// as the one before.
const WIDE: usize = 4;

/// Each bucket holds what no smaller one does.
fn histogram(
    mut encoder: MetricEncoder<'_>,
    latency: &LatencyHistogram,
    together: usize,
) -> fmt::Result {
    let fine: Vec<_> = latency.buckets().collect();
    let buckets: Vec<_> = fine
        .chunks(together)
        .map(|buckets| {
            let bound = buckets.last().and_then(|(bound, _)| *bound);
            let count = buckets.iter().map(|(_, count)| count).sum();
            (
                bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64()),
                count,
            )
        })
        .collect();
    let sum = latency.sum.as_secs_f64();
    encoder.encode_histogram::<NoLabelSet>(sum, latency.count(), &buckets, None)
}
