//! What there is to say about a running server, each fact once: its path in
//! `metashrew_stats`, its metric, and its value. `metashrew_stats` and `/metrics` walk the same
//! rows; `docs/rpc.md` and `docs/metrics.md` list them.

mod index;
mod server;
mod views;

use std::borrow::Cow;
use std::time::Duration;

use metashrew_runtime::LatencyHistogram;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::telemetry::Readings;

/// One fact.
pub(crate) struct Fact {
    /// Its path in `metashrew_stats`: the names of the members, with dots between. Empty if it
    /// is a metric alone.
    path: &'static str,
    /// None if it is in `metashrew_stats` alone.
    pub(crate) metric: Option<Metric>,
    pub(crate) value: Value,
}

/// How `/metrics` names a fact.
pub(crate) struct Metric {
    pub(crate) kind: Kind,
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
}

/// What is appended to a metric's name: `_total` to a counter's, `_bytes` and `_seconds` to
/// those of bytes and of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Bytes,
    Histogram,
}

/// The value of a fact.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Not known: `null`, and no metric.
    Unknown,
    Number(Number),
    /// `true` or `false`; as a metric 1 or 0.
    Flag(bool),
    /// One for each word.
    Family(Vec<Sample>),
    Latency(Box<LatencyHistogram>),
    /// For each value of the label `view`, in wide buckets: there are many views.
    Latencies(Vec<(String, LatencyHistogram)>),
    /// For `metashrew_stats` alone.
    Json(serde_json::Value),
}

#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Number {
    Whole(u64),
    Real(f64),
}

/// One value of a family.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) labels: Vec<(&'static str, Cow<'static, str>)>,
    /// Its path in `metashrew_stats`, below that of the family.
    members: Vec<Cow<'static, str>>,
    pub(crate) value: Number,
}

/// Rows: `"path" [kind "name" "help"] = value;`, where either of the first two may be missing.
macro_rules! facts {
    ($($path:literal $([$kind:ident $name:literal $help:literal])? = $value:expr;)*) => {
        vec![$($crate::facts::Fact {
            path: $path,
            metric: $crate::facts::facts!(@metric $($kind $name $help)?),
            value: $value.into(),
        }),*]
    };
    (@metric) => { None };
    (@metric $kind:ident $name:literal $help:literal) => {
        Some($crate::facts::Metric {
            kind: $crate::facts::Kind::$kind,
            name: $name,
            help: $help,
        })
    };
}
pub(crate) use facts;

/// All of them.
pub(crate) fn of(readings: &Readings) -> Vec<Fact> {
    let mut facts = server::identity(readings);
    facts.extend(index::position(readings));
    facts.extend(index::indexing(readings));
    facts.extend(index::guest_logs(readings));
    facts.extend(views::facts(readings));
    facts.extend(server::storage(readings));
    facts.extend(server::transport(readings));
    facts.extend(server::process(readings));
    facts
}

/// A family by one label, whose words are the members' names.
fn by<W: Into<Cow<'static, str>>, N: Into<Number>>(
    label: &'static str,
    values: impl IntoIterator<Item = (W, N)>,
) -> Value {
    let samples = values.into_iter().map(|(word, value)| {
        let word = word.into();
        sample(label, word.clone(), word, value.into())
    });
    Value::Family(samples.collect())
}

/// A family by one label: each word, the name of its member, and the value.
fn named<N: Into<Number>>(
    label: &'static str,
    values: impl IntoIterator<Item = (&'static str, &'static str, N)>,
) -> Value {
    let samples = values
        .into_iter()
        .map(|(word, member, value)| sample(label, word.into(), member.into(), value.into()));
    Value::Family(samples.collect())
}

fn sample(
    label: &'static str,
    word: Cow<'static, str>,
    member: Cow<'static, str>,
    value: Number,
) -> Sample {
    Sample {
        labels: vec![(label, word)],
        members: vec![member],
        value,
    }
}

fn json(value: impl Serialize) -> Value {
    // It is made of texts and numbers, each of which can be written.
    Value::Json(serde_json::to_value(value).unwrap_or_default())
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self::Whole(value.into())
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Self::Whole(u64::try_from(value).unwrap_or(u64::MAX))
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<Duration> for Number {
    fn from(value: Duration) -> Self {
        Self::Real(value.as_secs_f64())
    }
}

impl<N: Into<Number>> From<N> for Value {
    fn from(value: N) -> Self {
        Self::Number(value.into())
    }
}

impl<N: Into<Number>> From<Option<N>> for Value {
    fn from(value: Option<N>) -> Self {
        value.map_or(Self::Unknown, |value| Self::Number(value.into()))
    }
}

/// The facts as `metashrew_stats` answers them: objects, whose members are in the order of the
/// rows.
#[derive(Debug, Default)]
pub(crate) struct Stats(Vec<(Cow<'static, str>, Member)>);

#[derive(Debug)]
enum Member {
    Value(Value),
    Object(Stats),
}

impl Stats {
    pub(crate) fn of(readings: &Readings) -> Self {
        let mut stats = Self::default();
        for fact in of(readings) {
            if fact.path.is_empty() {
                continue;
            }
            let path = || fact.path.split('.').map(Cow::Borrowed);
            match fact.value {
                Value::Family(samples) => {
                    let object = path().fold(&mut stats, Self::object);
                    for sample in samples {
                        object.insert(sample.members.into_iter(), Value::Number(sample.value));
                    }
                }
                value => stats.insert(path(), value),
            }
        }
        stats
    }

    fn insert(&mut self, path: impl Iterator<Item = Cow<'static, str>>, value: Value) {
        let mut path = path.peekable();
        let mut object = self;
        while let Some(name) = path.next() {
            if path.peek().is_none() {
                object.0.push((name, Member::Value(value)));
                return;
            }
            object = object.object(name);
        }
    }

    /// The object that is the member `name`, made if it is missing.
    fn object(&mut self, name: Cow<'static, str>) -> &mut Self {
        let known = self
            .0
            .iter()
            .position(|(other, member)| *other == name && matches!(member, Member::Object(_)));
        let index = known.unwrap_or(self.0.len());
        if known.is_none() {
            self.0.push((name, Member::Object(Self::default())));
        }
        match self.0.get_mut(index) {
            Some((_, Member::Object(object))) => object,
            _ => unreachable!("it is an object, found or made above"),
        }
    }
}

impl Serialize for Stats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, member) in &self.0 {
            match member {
                Member::Object(object) => map.serialize_entry(name, object)?,
                Member::Value(value) => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Calls that took at most `le_seconds` and longer than the bucket before.
        #[derive(serde::Serialize)]
        struct Bucket {
            le_seconds: Option<f64>,
            count: u64,
        }
        match self {
            Self::Number(number) => number.serialize(serializer),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Json(value) => value.serialize(serializer),
            Self::Latency(latency) => {
                let buckets = latency.buckets().map(|(bound, count)| Bucket {
                    le_seconds: bound.map(|bound| bound.as_secs_f64()),
                    count,
                });
                let mut map = serializer.serialize_map(Some(3))?;
                map.serialize_entry("count", &latency.count())?;
                map.serialize_entry("sum_seconds", &latency.sum.as_secs_f64())?;
                map.serialize_entry("buckets", &buckets.collect::<Vec<_>>())?;
                map.end()
            }
            // Families are objects of their own; what else there is are metrics alone.
            Self::Unknown | Self::Family(_) | Self::Latencies(_) => serializer.serialize_none(),
        }
    }
}
