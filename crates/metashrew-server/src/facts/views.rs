//! What the view engine did and does.

use std::borrow::Cow;

use metashrew_runtime::{CheckCounts, ViewCount, ViewDifference};
use serde::Serialize;

use super::{Fact, Number, Sample, Value, by, facts, json};
use crate::telemetry::Readings;
use crate::wire;

pub(super) fn facts(readings: &Readings) -> Vec<Fact> {
    let views = &readings.views;
    let counts = &readings.per_view;
    facts! {
        "views.stateful" [Gauge "metashrew_view_stateful"
            "Whether instances persist between view calls (1) or not (0)"] = Value::Flag(views.enabled);
        "views.start_failure" = Value::Json(views.start_failure.clone().into());
        "views.answered" [Counter "metashrew_view_answers"
            "View calls answered, previews included"] = views.calls.answered;
        "views.previews" [Counter "metashrew_view_previews"
            "Previews answered"] = views.calls.previews;
        "views.failed" = views.errors.total();
        "views.errors" [Counter "metashrew_view_errors"
            "View calls that failed"] = by("kind", views.errors.by_kind());
        "views.reused" [Counter "metashrew_view_reuses"
            "View calls that ran on an instance that had answered before"] = views.calls.reused;
        "views.retried" [Counter "metashrew_view_retries"
            "View calls that failed on an instance that had answered before, and were tried again on a new one"]
            = views.calls.retried;
        "views.starved" [Counter "metashrew_view_starved"
            "Runs of views that ended for want of memory that others had, to be made again"] = views.calls.starved;
        "views.waiting" [Gauge "metashrew_view_calls_waiting"
            "View calls that wait to run, for memory, or for their session's turn"] = views.waiting;
        "views.queue_limit" [Gauge "metashrew_view_queue_limit"
            "View calls that may wait to run"] = views.queue;
        "views.sessions" [Gauge "metashrew_view_sessions"
            "Sessions of views"] = views.sessions;
        "views.instances" [Gauge "metashrew_view_instances"
            "Instances of the guest for views"] = by("state", [("idle", views.idle), ("busy", views.busy)]);
        "views.instances.limit" [Gauge "metashrew_view_instances_limit"
            "Instances that may be busy at a time"] = views.instances;
        "views.instances.created" [Counter "metashrew_view_instances_created"
            "Instances made"] = views.calls.created;
        "views.instances.dropped" [Counter "metashrew_view_instances_dropped"
            "Instances dropped"] = by("reason", views.dropped.by_kind());
        "views.memory.bytes" [Bytes "metashrew_view_memory"
            "Memory of instances for views, with what is held and reserved for their calls"] = views.memory;
        "views.memory.limit_bytes" [Bytes "metashrew_view_memory_limit"
            "Memory that instances for views may have together"] = views.memory_limit;
        "views.latency" [Histogram "metashrew_view_duration"
            "How long answered view calls took, all waits included"] = Value::Latency(Box::new(views.latency));
        "views.checks" = Value::Family(of_checks(&[], views.checks));
        "views.checks.differences" = json(differences(&readings.view_differences));
        "views.by_view" [Counter "metashrew_view_calls"
            "Calls of each view, answered or failed"] = each_view(counts);
        "views.by_view" = Value::Family(counts.iter().map(time_of).collect());
        "views.by_view" = Value::Family(counts.iter().flat_map(checks_of).collect());
        "" [Counter "metashrew_view_checks"
            "Answers of each view that were to be compared with a fresh instance's, by what came of it"]
            = check_results(counts);
        "" [Counter "metashrew_view_check_seconds"
            "Time that these checks took"] = check_times(counts);
        "" [Histogram "metashrew_view_call_duration"
            "How long answered calls of each view took, all waits included"]
            = Value::Latencies(counts.iter().map(|count| (count.view.clone(), count.latency)).collect());
    }
}

fn each_view(counts: &[ViewCount]) -> Value {
    let samples = counts.iter().flat_map(|count| {
        let sample = |result: &'static str, value| Sample {
            labels: vec![
                ("view", count.view.clone().into()),
                ("result", Cow::Borrowed(result)),
            ],
            members: vec![count.view.clone().into(), Cow::Borrowed(result)],
            value: Number::Whole(value),
        };
        [
            sample("answered", count.answered),
            sample("failed", count.failed),
        ]
    });
    Value::Family(samples.collect())
}

/// The time of a view's answered calls; the metric of its durations has it too.
fn time_of(count: &ViewCount) -> Sample {
    Sample {
        labels: Vec::new(),
        members: vec![count.view.clone().into(), Cow::Borrowed("sum_seconds")],
        value: count.latency.sum.into(),
    }
}

/// What came of checks, below a place.
fn of_checks(below: &[Cow<'static, str>], checks: CheckCounts) -> Vec<Sample> {
    let sample = |name: &'static str, value| Sample {
        labels: Vec::new(),
        members: [below, &[Cow::Borrowed(name)]].concat(),
        value,
    };
    vec![
        sample("run", checks.run.into()),
        sample("skipped", checks.skipped.into()),
        sample("differed", checks.differed.into()),
        sample("waiting", checks.waiting.into()),
        sample("seconds", checks.time.into()),
    ]
}

fn checks_of(count: &ViewCount) -> Vec<Sample> {
    of_checks(
        &[count.view.clone().into(), Cow::Borrowed("checks")],
        count.checks,
    )
}

fn check_results(counts: &[ViewCount]) -> Value {
    let samples = counts.iter().flat_map(|count| {
        let checks = count.checks;
        let results = [
            ("same", checks.run.saturating_sub(checks.differed)),
            ("differed", checks.differed),
            ("skipped", checks.skipped),
        ];
        results.map(|(result, value)| Sample {
            labels: vec![
                ("view", count.view.clone().into()),
                ("result", Cow::Borrowed(result)),
            ],
            members: Vec::new(),
            value: value.into(),
        })
    });
    Value::Family(samples.collect())
}

fn check_times(counts: &[ViewCount]) -> Value {
    let times = counts
        .iter()
        .map(|count| (count.view.clone(), count.checks.time));
    by("view", times)
}

/// A call that a fresh instance answers otherwise.
#[derive(Serialize)]
struct Difference<'a> {
    view: &'a str,
    height: u32,
    block_hash: String,
    pending: bool,
    input_sha256: String,
    error: Option<&'a str>,
    hint: String,
}

fn differences(found: &[ViewDifference]) -> Vec<Difference<'_>> {
    let found = found.iter().map(|found| Difference {
        view: &found.view,
        height: found.block.height,
        block_hash: wire::block_hash(&found.block.hash),
        pending: found.pending.is_some(),
        input_sha256: hex::encode_prefixed(found.input_sha256),
        error: found.error.as_deref(),
        hint: found.hint(),
    });
    found.collect()
}
