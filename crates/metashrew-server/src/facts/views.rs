//! What the view engine did and does.

use std::borrow::Cow;

use metashrew_runtime::ViewCount;

use super::{Fact, Number, Sample, Value, by, facts};
use crate::telemetry::Readings;

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
        "views.by_view" [Counter "metashrew_view_calls"
            "Calls of each view, answered or failed"] = each_view(counts);
        "views.by_view" = Value::Family(counts.iter().map(time_of).collect());
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
