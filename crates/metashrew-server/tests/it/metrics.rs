//! `/metrics`, read by the rules of the Prometheus text format.

mod text_format;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metashrew_runtime::{ViewCheck, ViewOptions};
use metashrew_server::{
    CurrentBlock, CurrentWrite, IndexingReport, IndexingState, IndexingTotals, Reorg, Scouts,
    ServerOptions,
};
use metashrew_store::{
    Backend, BackendError, Batch, BatchNumber, BlockHash, EngineHealth, MemoryBackend, Read, Store,
    View,
};
use serde_json::json;

use self::text_format::{Family, parse, value};
use crate::harness::{Served, Setup};
use crate::probes::Told;

fn scrape(served: &Served) -> BTreeMap<String, Family> {
    let (status, head, body) = served.get("/metrics");
    assert_eq!(status, 200);
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(head.contains(kind), "{head}");
    parse(&body)
}

#[test]
fn the_format_and_the_conventions_hold() {
    let served = Served::new();
    served.result("metashrew_view", &json!(["echo", "01"]));
    let families = scrape(&served);
    assert!(families.len() > 20);
    for (name, family) in &families {
        assert!(!family.samples.is_empty(), "{name}");
        let ours = name.starts_with("metashrew_") || name.starts_with("process_");
        assert!(ours, "{name}");
        let total = name.ends_with("_total");
        assert_eq!(family.kind == "counter", total, "{name}");
        if family.kind == "counter" {
            assert!(family.samples.iter().all(|sample| sample.value >= 0.0));
        }
    }
    let histogram = &families["metashrew_view_duration_seconds"];
    assert_eq!(histogram.kind, "histogram");
    let of = |suffix: &str| {
        let samples = histogram.samples.iter();
        let fitting = samples.filter(|sample| sample.name.ends_with(suffix));
        fitting.collect::<Vec<_>>()
    };
    let buckets: Vec<_> = of("_bucket")
        .iter()
        .map(|sample| (sample.labels["le"].parse::<f64>().unwrap(), sample.value))
        .collect();
    assert!(buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1));
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, 1.0)));
    assert!(is(of("_count")[0].value, 1.0));
    assert!(of("_sum")[0].value > 0.0);
}

fn check(
    families: &BTreeMap<String, Family>,
    family: &str,
    label: Option<(&str, &str)>,
    expect: f64,
) {
    let value = value(families, family, label);
    assert!(
        is(value, expect),
        "{family} {label:?}: {value}, not {expect}"
    );
}

fn is(value: f64, expect: f64) -> bool {
    (value - expect).abs() < 1e-9
}

#[test]
fn calls_and_instances_are_those_counted() {
    let served = Setup {
        views: ViewOptions {
            // A check of an answer has memory of its own, after its call.
            check: ViewCheck::Off,
            ..ViewOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    for _ in 0..3 {
        served.result("metashrew_view", &json!(["echo", "01"]));
    }
    served.error("metashrew_view", &json!(["trap"]));
    served.result("metashrew_view", &json!(["echo", "01"]));
    let families = scrape(&served);
    let check = |family: &str, label: Option<(&str, &str)>, expect: f64| {
        check(&families, family, label, expect);
    };
    check("metashrew_view_answers_total", None, 4.0);
    let errors = "metashrew_view_errors_total";
    check(errors, Some(("kind", "guest")), 1.0);
    check(errors, Some(("kind", "timeout")), 0.0);
    let requests = "metashrew_requests_total";
    check(requests, Some(("method", "metashrew_view")), 5.0);
    check("metashrew_view_instances", Some(("state", "busy")), 0.0);
    check("metashrew_view_instances", Some(("state", "idle")), 1.0);
    // The trap was tried again, on a new instance.
    check("metashrew_view_retries_total", None, 1.0);
    let dropped = "metashrew_view_instances_dropped_total";
    check(dropped, Some(("reason", "fault")), 2.0);
    check("metashrew_view_instances_created_total", None, 3.0);
    check("metashrew_view_stateful", None, 1.0);
    check("metashrew_view_calls_waiting", None, 0.0);
    let guest = hex::encode_prefixed(served.runtime.guest_sha256());
    check("metashrew_info", Some(("guest", &guest)), 1.0);
    assert!(value(&families, "process_start_time_seconds", None) > 1.6e9);
    let memory = served.runtime.view_stats().memory;
    assert!(memory > 0);
    #[expect(clippy::cast_precision_loss, reason = "the memory of one small guest")]
    check("metashrew_view_memory_bytes", None, memory as f64);
}

fn following() -> IndexingReport {
    IndexingReport {
        state: IndexingState::Following,
        node_tip: Some(106),
        blocks_per_second: Some(2.5),
        bytes_per_second: Some(1e6),
        eta: Some(Duration::from_millis(1500)),
        last_reorg: Some(Reorg {
            height: 101,
            depth: 3,
        }),
        sources: vec![("rpc".to_owned(), 7)],
        current_block: Some(CurrentBlock {
            height: 105,
            block_hash: BlockHash::from_bytes([3; 32]),
            elapsed: Duration::from_millis(2_500),
        }),
        current_write: Some(CurrentWrite {
            kind: "commit",
            first: 101,
            last: 103,
            elapsed: Duration::from_secs(7),
        }),
        totals: Some(IndexingTotals {
            blocks: 9,
            guest: Duration::from_millis(4_500),
            reads: Duration::from_secs(3),
            commit: Duration::from_secs(2),
            reorgs: 2,
            undone_blocks: 5,
            node_failures: vec![("behind", 6), ("unreachable", 8)],
            machine_failures: 1,
            block_reads: 50,
            scouts: Scouts {
                count: 3,
                runs: vec![("done", 20), ("cancelled", 4)],
                reads: 40,
                memory: 65_536,
            },
        }),
        ..IndexingReport::default()
    }
}

#[test]
fn the_index_is_as_it_is_told() {
    let told = Arc::new(Told::default());
    *told.0.lock().unwrap() = following();
    let served = Setup {
        server: ServerOptions {
            indexing: Some(told),
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let families = scrape(&served);
    assert_documented(&families);
    let check = |family: &str, label: Option<(&str, &str)>, expect: f64| {
        check(&families, family, label, expect);
    };
    check("metashrew_indexed_height", None, 104.0);
    check("metashrew_first_height", None, 100.0);
    check("metashrew_node_height", None, 106.0);
    check("metashrew_blocks_behind", None, 2.0);
    let state = "metashrew_indexing_state";
    check(state, Some(("state", "following")), 1.0);
    check(state, Some(("state", "halted")), 0.0);
    check("metashrew_indexing_blocks_per_second", None, 2.5);
    check("metashrew_indexing_bytes_per_second", None, 1e6);
    check("metashrew_indexing_eta_seconds", None, 1.5);
    check("metashrew_last_reorg_depth", None, 3.0);
    let sources = "metashrew_source_blocks_total";
    check(sources, Some(("source", "rpc")), 7.0);
    check("metashrew_current_block_height", None, 105.0);
    check("metashrew_current_block_seconds", None, 2.5);
    check("metashrew_indexed_blocks_total", None, 9.0);
    for (part, seconds) in [("guest", 4.5), ("reads", 3.0), ("commit", 2.0)] {
        check(
            "metashrew_indexing_seconds_total",
            Some(("part", part)),
            seconds,
        );
    }
    check("metashrew_current_write_seconds", None, 7.0);
    check("metashrew_reorgs_total", None, 2.0);
    check("metashrew_reorg_undone_blocks_total", None, 5.0);
    let failures = "metashrew_node_failures_total";
    check(failures, Some(("kind", "behind")), 6.0);
    check(failures, Some(("kind", "unreachable")), 8.0);
    check("metashrew_machine_failures_total", None, 1.0);
    check("metashrew_block_reads_total", None, 50.0);
    check("metashrew_scouts", None, 3.0);
    let runs = "metashrew_scout_runs_total";
    check(runs, Some(("end", "done")), 20.0);
    check(runs, Some(("end", "cancelled")), 4.0);
    check("metashrew_scout_reads_total", None, 40.0);
    check("metashrew_scout_memory_bytes", None, 65_536.0);
}

/// The alert in `docs/metrics.md` asks this.
#[test]
fn readiness_knows_which_blocks_are_left_out_on_purpose() {
    let told = Arc::new(Told::default());
    let served = Setup {
        server: ServerOptions {
            indexing: Some(told.clone()),
            // As with six confirmations.
            ready_within: 8,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    for (state, node_tip, behind, ready) in [
        (IndexingState::Following, 110, 6.0, 1.0),
        (IndexingState::Following, 113, 9.0, 0.0),
        (IndexingState::WaitingForDisk, 112, 8.0, 1.0),
        (IndexingState::Halted, 104, 0.0, 0.0),
    ] {
        *told.0.lock().unwrap() = IndexingReport {
            state,
            node_tip: Some(node_tip),
            ..IndexingReport::default()
        };
        let families = scrape(&served);
        check(&families, "metashrew_blocks_behind", None, behind);
        check(&families, "metashrew_ready", None, ready);
    }
    let document = include_str!("../../../../docs/metrics.md");
    assert!(document.contains("\nmetashrew_ready == 0 "));
}

#[test]
fn each_view_has_its_count() {
    let served = Served::new();
    for _ in 0..3 {
        served.result("metashrew_view", &json!(["echo", "01"]));
    }
    served.error("metashrew_view", &json!(["trap"]));
    // Names that nobody has make no series.
    for number in 0..100 {
        served.error("metashrew_view", &json!([format!("no_such_{number}")]));
    }
    let families = scrape(&served);
    let calls = |view: &str, result: &str| {
        let samples = families["metashrew_view_calls_total"].samples.iter();
        let mut fitting = samples
            .filter(|sample| sample.labels["view"] == view && sample.labels["result"] == result);
        fitting.next().map(|sample| sample.value)
    };
    assert_eq!(calls("echo", "answered"), Some(3.0));
    assert_eq!(calls("echo", "failed"), Some(0.0));
    assert_eq!(calls("trap", "answered"), Some(0.0));
    assert_eq!(calls("trap", "failed"), Some(1.0));
    assert_eq!(calls("no_such_1", "failed"), None);
    let durations = families["metashrew_view_call_duration_seconds"]
        .samples
        .iter();
    let of_echo: Vec<_> = durations
        .filter(|sample| sample.labels["view"] == "echo" && sample.name.ends_with("_bucket"))
        .map(|sample| sample.value)
        .collect();
    assert!(of_echo.len() < 10 && of_echo.is_sorted(), "{of_echo:?}");
    assert_eq!(of_echo.last(), Some(&3.0));
}

/// An engine in memory that tells how it is.
#[derive(Debug)]
struct Telling(MemoryBackend, EngineHealth);

impl Backend for Telling {
    fn view(&self) -> Arc<dyn View> {
        self.0.view()
    }

    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
        self.0.write(batch)
    }

    fn durable(&self) -> BatchNumber {
        self.0.durable()
    }

    fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
        self.0.sync(batch)
    }

    fn health(&self) -> Option<EngineHealth> {
        Some(self.1)
    }
}

#[test]
fn the_engine_tells_how_it_is() {
    let health = EngineHealth {
        resident_hits: 1,
        cache_hits: 2,
        cache_misses: 3,
        resident_bytes: 4,
        dirty_bytes: 5,
        log_bytes: 6,
        batches_not_durable: 7,
        table_bytes: 8,
        new_runs: 9,
        compaction_debt_bytes: 10,
        stalls: 11,
        stalled: Duration::from_millis(12_500),
        flushes: 13,
        compactions: 14,
        written_bytes: 15,
        failures: 16,
        pinned_bytes: 17,
        oldest_view: Duration::from_millis(18_500),
        logged_bytes: 19,
        syncs: 20,
        sync_time: Duration::from_millis(21_500),
        table_memory_bytes: 22,
    };
    let engine = Telling(MemoryBackend::default(), health);
    let served = Setup {
        store: Store::with_backend(Arc::new(engine)).unwrap(),
        ..Setup::default()
    }
    .serve();
    let families = scrape(&served);
    let stats = served.result("metashrew_stats", &json!([]));
    let (hit, miss) = (Some(("cache", "hit")), Some(("cache", "miss")));
    for (metric, labels, member, value) in [
        ("resident_hits_total", None, "resident_hits", 1.0),
        ("block_reads_total", hit, "block_cache_hits", 2.0),
        ("block_reads_total", miss, "block_cache_misses", 3.0),
        ("resident_bytes", None, "resident_bytes", 4.0),
        ("dirty_bytes", None, "dirty_bytes", 5.0),
        ("log_bytes", None, "log_bytes", 6.0),
        ("batches_not_durable", None, "batches_not_durable", 7.0),
        ("tables_bytes", None, "table_bytes", 8.0),
        ("new_runs", None, "new_runs", 9.0),
        ("compaction_debt_bytes", None, "compaction_debt_bytes", 10.0),
        ("stalls_total", None, "stalls", 11.0),
        ("stalled_seconds_total", None, "stalled_seconds", 12.5),
        ("flushes_total", None, "flushes", 13.0),
        ("compactions_total", None, "compactions", 14.0),
        ("written_bytes_total", None, "written_bytes", 15.0),
        ("failures_total", None, "failures", 16.0),
        ("pinned_bytes", None, "pinned_bytes", 17.0),
        ("oldest_view_seconds", None, "oldest_view_seconds", 18.5),
        ("logged_bytes_total", None, "logged_bytes", 19.0),
        ("syncs_total", None, "syncs", 20.0),
        ("sync_seconds_total", None, "sync_seconds", 21.5),
        ("table_memory_bytes", None, "table_memory_bytes", 22.0),
    ] {
        check(
            &families,
            &format!("metashrew_engine_{metric}"),
            labels,
            value,
        );
        assert_eq!(stats["engine"][member].as_f64(), Some(value), "{member}");
    }
    assert_documented(&families);
}

#[test]
fn what_is_not_known_is_left_out() {
    let served = Setup {
        blocks: 0,
        ..Setup::default()
    }
    .serve();
    let families = scrape(&served);
    for name in [
        "metashrew_indexed_height",
        "metashrew_node_height",
        "metashrew_engine_stalls_total",
    ] {
        assert!(!families.contains_key(name), "{name}");
    }
    let state = Some(("state", "unknown"));
    check(&families, "metashrew_indexing_state", state, 1.0);
}

#[test]
fn every_metric_is_documented() {
    let served = Served::new();
    served.result("metashrew_view", &json!(["echo", "01"]));
    assert_documented(&scrape(&served));
}

fn assert_documented(families: &BTreeMap<String, Family>) {
    let document = include_str!("../../../../docs/metrics.md");
    for name in families.keys() {
        assert!(document.contains(&format!("`{name}`")), "{name}");
    }
}
