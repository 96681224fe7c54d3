//! How a metric is written: each kind with its name, help and unit.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use metashrew_runtime::LatencyHistogram;

/// Writes families of metrics, each with its description.
pub(super) struct Families<'a>(pub(super) DescriptorEncoder<'a>);

impl Families<'_> {
    fn begin<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        unit: Option<&'s Unit>,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, unit, kind)
    }

    /// `metashrew_info`: always 1; what there is to say is in its labels.
    pub(super) fn info(&mut self, guest: &[u8; 32]) -> fmt::Result {
        let help = "The version of the server and SHA-256 of the guest's module";
        let guest = hex::encode_prefixed(guest);
        self.begin("metashrew", help, None, MetricType::Info)?
            .encode_info(&[("version", env!("CARGO_PKG_VERSION")), ("guest", &guest)])
    }

    /// `_total` is appended to the name.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder = self.begin(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(encoder)
    }

    /// Left out if there are no values.
    pub(super) fn counters<'v>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, u64)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut encoder = self.begin(name, help, None, MetricType::Counter)?;
        for (word, value) in values {
            ConstCounter::new(value).encode(encoder.encode_family(&[(label, word)])?)?;
        }
        Ok(())
    }

    /// A time. `_total` is appended to the name.
    pub(super) fn time(&mut self, name: &str, help: &str, value: Duration) -> fmt::Result {
        let encoder = self.begin(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value.as_secs_f64()).encode(encoder)
    }

    /// Times, by a label. `_total` is appended to the name.
    pub(super) fn seconds<'v>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, Duration)>,
    ) -> fmt::Result {
        let mut encoder = self.begin(name, help, None, MetricType::Counter)?;
        for (word, value) in values {
            let counter = ConstCounter::new(value.as_secs_f64());
            counter.encode(encoder.encode_family(&[(label, word)])?)?;
        }
        Ok(())
    }

    /// By several labels; left out if there are no values.
    pub(super) fn counters_by<'v, const LABELS: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'v str, &'v str); LABELS], u64)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut encoder = self.begin(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            ConstCounter::new(value).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// `_seconds` is appended to the name. For each view, in wide buckets: there are many
    /// views.
    pub(super) fn histograms<'v>(
        &mut self,
        name: &str,
        help: &str,
        views: impl IntoIterator<Item = (&'v str, &'v LatencyHistogram)>,
    ) -> fmt::Result {
        let mut views = views.into_iter().peekable();
        if views.peek().is_none() {
            return Ok(());
        }
        let mut encoder = self.begin(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (view, latency) in views {
            let buckets = wide(latency);
            let sum = latency.sum.as_secs_f64();
            encoder
                .encode_family(&[("view", view)])?
                .encode_histogram::<NoLabelSet>(sum, latency.count(), &buckets, None)?;
        }
        Ok(())
    }

    pub(super) fn gauge<N>(&mut self, name: &str, help: &str, value: N) -> fmt::Result
    where
        ConstGauge<N>: EncodeMetric,
    {
        let encoder = self.begin(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }

    /// Left out while there is no value.
    pub(super) fn some_gauge<N>(&mut self, name: &str, help: &str, value: Option<N>) -> fmt::Result
    where
        ConstGauge<N>: EncodeMetric,
    {
        value.map_or(Ok(()), |value| self.gauge(name, help, value))
    }

    pub(super) fn gauges<'v, N>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, N)>,
    ) -> fmt::Result
    where
        ConstGauge<N>: EncodeMetric,
    {
        let mut encoder = self.begin(name, help, None, MetricType::Gauge)?;
        for (word, value) in values {
            ConstGauge::new(value).encode(encoder.encode_family(&[(label, word)])?)?;
        }
        Ok(())
    }

    /// `_bytes` is appended to the name.
    pub(super) fn bytes<N>(&mut self, name: &str, help: &str, value: N) -> fmt::Result
    where
        ConstGauge<N>: EncodeMetric,
    {
        let encoder = self.begin(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }

    /// `_seconds` is appended to the name. Each bucket holds what no smaller one does.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        buckets: impl Iterator<Item = (Option<Duration>, u64)>,
        sum: Duration,
    ) -> fmt::Result {
        let buckets: Vec<_> = buckets
            .map(|(bound, count)| {
                (
                    bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64()),
                    count,
                )
            })
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        self.begin(name, help, Some(&Unit::Seconds), MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(sum.as_secs_f64(), count, &buckets, None)
    }
}

/// One bucket for every four, each then sixteen times as wide as the one before.
fn wide(latency: &LatencyHistogram) -> Vec<(f64, u64)> {
    const TOGETHER: usize = 4;
    let fine: Vec<_> = latency.buckets().collect();
    fine.chunks(TOGETHER)
        .map(|buckets| {
            let bound = buckets.last().and_then(|(bound, _)| *bound);
            let count = buckets.iter().map(|(_, count)| count).sum();
            (
                bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64()),
                count,
            )
        })
        .collect()
}
