//! The readings in the text format of Prometheus. `docs/metrics.md` lists the names.

mod engine;
mod families;

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text};
use prometheus_client::registry::Registry;

use metashrew_runtime::ViewCount;

use crate::indexing::{IndexingState, Scouts};
use crate::telemetry::Readings;
use families::Families;

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
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        calls(&mut families, &self.0)?;
        per_view(&mut families, &self.0.per_view)?;
        instances(&mut families, &self.0)?;
        read_cache(&mut families, &self.0)?;
        if let Some(health) = &self.0.engine {
            engine::encode(&mut families, health)?;
        }
        index(&mut families, &self.0)?;
        work(&mut families, &self.0)?;
        disk(&mut families, &self.0)?;
        families.info(&self.0.guest_sha256)?;
        process(&mut families, &self.0)
    }
}

fn calls(families: &mut Families<'_>, readings: &Readings) -> fmt::Result {
    let views = &readings.views;
    families.counters(
        "metashrew_requests",
        "JSON-RPC requests received, those in batches included",
        "method",
        readings.requests.iter().copied(),
    )?;
    families.counter(
        "metashrew_view_answers",
        "View calls answered, previews included",
        views.calls.answered,
    )?;
    families.counter(
        "metashrew_view_previews",
        "Previews answered",
        views.calls.previews,
    )?;
    families.counters(
        "metashrew_view_errors",
        "View calls that failed",
        "kind",
        views.errors.by_kind(),
    )?;
    families.histogram(
        "metashrew_view_duration",
        "How long answered view calls took, the wait for an instance included",
        views.latency.buckets(),
        views.latency.sum,
    )?;
    families.counter(
        "metashrew_view_reuses",
        "View calls that ran on an instance that had answered before",
        views.calls.reused,
    )?;
    families.counter(
        "metashrew_view_retries",
        "View calls that failed on an instance that had answered before, and were tried again on a new one",
        views.calls.retried,
    )?;
    families.gauge(
        "metashrew_view_calls_waiting",
        "View calls that wait for an instance",
        views.waiting,
    )?;
    families.gauge(
        "metashrew_view_queue_limit",
        "View calls that may wait for an instance",
        views.queue,
    )
}

fn per_view(families: &mut Families<'_>, counts: &[ViewCount]) -> fmt::Result {
    let results = counts.iter().flat_map(|count| {
        let view = count.view.as_str();
        [
            ([("view", view), ("result", "answered")], count.answered),
            ([("view", view), ("result", "failed")], count.failed),
        ]
    });
    families.counters_by(
        "metashrew_view_calls",
        "Calls of each view, answered or failed",
        results,
    )?;
    families.histograms(
        "metashrew_view_call_duration",
        "How long answered calls of each view took, the wait for an instance included",
        counts
            .iter()
            .map(|count| (count.view.as_str(), &count.latency)),
    )
}

fn instances(families: &mut Families<'_>, readings: &Readings) -> fmt::Result {
    let views = &readings.views;
    families.gauge(
        "metashrew_view_stateful",
        "Whether instances persist between view calls (1) or not (0)",
        i64::from(views.enabled),
    )?;
    families.gauges(
        "metashrew_view_instances",
        "Instances of the guest for views",
        "state",
        [("idle", views.idle), ("busy", views.busy)],
    )?;
    families.gauge(
        "metashrew_view_instances_limit",
        "Instances that may be busy at a time",
        views.instances,
    )?;
    families.counter(
        "metashrew_view_instances_created",
        "Instances made",
        views.calls.created,
    )?;
    families.counters(
        "metashrew_view_instances_dropped",
        "Instances dropped",
        "reason",
        views.dropped.by_reason(),
    )?;
    families.gauge(
        "metashrew_view_sessions",
        "Sessions of views",
        views.sessions,
    )?;
    families.bytes(
        "metashrew_view_memory",
        "WebAssembly memory of instances for views",
        views.memory,
    )?;
    families.bytes(
        "metashrew_view_memory_limit",
        "WebAssembly memory that instances for views may have together",
        views.memory_limit,
    )
}

fn read_cache(families: &mut Families<'_>, readings: &Readings) -> fmt::Result {
    let cache = &readings.read_cache;
    families.counters(
        "metashrew_store_reads",
        "Reads of values, answered from the read cache (hit) or by the engine (miss)",
        "cache",
        [("hit", cache.hits), ("miss", cache.misses)],
    )?;
    families.bytes(
        "metashrew_store_read_cache",
        "Memory of the read cache",
        cache.bytes,
    )?;
    families.bytes(
        "metashrew_store_read_cache_limit",
        "Memory that the read cache may have",
        cache.capacity_bytes,
    )
}

fn index(families: &mut Families<'_>, readings: &Readings) -> fmt::Result {
    let report = &readings.indexing;
    families.some_gauge(
        "metashrew_indexed_height",
        "Height of the last committed block",
        readings.tip.map(|tip| tip.height),
    )?;
    families.some_gauge(
        "metashrew_first_height",
        "Lowest height held",
        readings.first,
    )?;
    families.some_gauge(
        "metashrew_node_height",
        "Height of the last block of the node's chain",
        report.node_tip,
    )?;
    families.some_gauge(
        "metashrew_blocks_behind",
        "Blocks from the last committed one to the node's last",
        readings.behind,
    )?;
    families.gauge(
        "metashrew_ready",
        "Whether /ready says yes (1) or not (0)",
        i64::from(readings.ready),
    )?;
    families.gauges(
        "metashrew_indexing_state",
        "What the indexer does: 1 for the state it is in",
        "state",
        IndexingState::ALL.map(|state| (state.as_str(), i64::from(state == report.state))),
    )?;
    families.some_gauge(
        "metashrew_indexing_blocks_per_second",
        "Blocks committed per second of late",
        report.blocks_per_second,
    )?;
    families.some_gauge(
        "metashrew_indexing_bytes_per_second",
        "Bytes of blocks committed per second of late",
        report.bytes_per_second,
    )?;
    families.some_gauge(
        "metashrew_indexing_eta_seconds",
        "Time until the index is at the node's tip",
        report.eta.map(|eta| eta.as_secs_f64()),
    )?;
    families.some_gauge(
        "metashrew_last_reorg_depth",
        "Blocks undone by the last reorganisation since the start",
        report.last_reorg.map(|reorg| reorg.depth),
    )?;
    families.counters(
        "metashrew_source_blocks",
        "Blocks fetched",
        "source",
        report
            .sources
            .iter()
            .map(|(name, count)| (name.as_str(), *count)),
    )
}

/// What indexing does, and has done.
fn work(families: &mut Families<'_>, readings: &Readings) -> fmt::Result {
    let current = readings.indexing.current_block;
    families.some_gauge(
        "metashrew_current_block_height",
        "Height of the block that the guest is processing",
        current.map(|block| block.height),
    )?;
    families.some_gauge(
        "metashrew_current_block_seconds",
        "For how long the guest has been processing it",
        current.map(|block| block.elapsed.as_secs_f64()),
    )?;
    families.some_gauge(
        "metashrew_current_write_seconds",
        "For how long the commit or rollback that is under way has been",
        (readings.indexing.current_write).map(|write| write.elapsed.as_secs_f64()),
    )?;
    let Some(totals) = &readings.indexing.totals else {
        return Ok(());
    };
    families.counter(
        "metashrew_indexed_blocks",
        "Blocks committed",
        totals.blocks,
    )?;
    families.seconds(
        "metashrew_indexing_seconds",
        "Time that blocks took: in the guest, in its reads, and in commits",
        "part",
        [
            ("guest", totals.guest),
            ("reads", totals.reads),
            ("commit", totals.commit),
        ],
    )?;
    families.counter(
        "metashrew_reorgs",
        "Reorganisations followed",
        totals.reorgs,
    )?;
    families.counter(
        "metashrew_reorg_undone_blocks",
        "Blocks undone by reorganisations",
        totals.undone_blocks,
    )?;
    families.counters(
        "metashrew_node_failures",
        "Questions that the node did not answer as it should",
        "kind",
        totals.node_failures.iter().copied(),
    )?;
    families.counter(
        "metashrew_machine_failures",
        "Failures of the machine that indexing waited out: of writes, for want of room or descriptors",
        totals.machine_failures,
    )?;
    families.counter(
        "metashrew_block_reads",
        "Values that the guest read while it ran over blocks",
        totals.block_reads,
    )?;
    scouts(families, &totals.scouts)
}

fn scouts(families: &mut Families<'_>, scouts: &Scouts) -> fmt::Result {
    families.gauge(
        "metashrew_scouts",
        "Scouts that read ahead for blocks whose turn is still to come",
        scouts.count,
    )?;
    families.counters(
        "metashrew_scout_runs",
        "Runs of scouts over blocks",
        "end",
        scouts.runs.iter().copied(),
    )?;
    families.counter(
        "metashrew_scout_reads",
        "Values that scouts read",
        scouts.reads,
    )?;
    families.bytes(
        "metashrew_scout_memory",
        "WebAssembly memory of scouts",
        scouts.memory,
    )
}

fn disk(families: &mut Families<'_>, readings: &Readings) -> fmt::Result {
    for (name, help, bytes) in [
        (
            "metashrew_database",
            "What the database takes on disk",
            readings.database_bytes,
        ),
        (
            "metashrew_database_free",
            "What is free on the disk where the database is",
            readings.free_bytes,
        ),
    ] {
        if let Some(bytes) = bytes {
            families.bytes(name, help, bytes)?;
        }
    }
    Ok(())
}

fn process(families: &mut Families<'_>, readings: &Readings) -> fmt::Result {
    if let Some(bytes) = readings.resident {
        families.bytes(
            "process_resident_memory",
            "Physical memory that the process has",
            bytes,
        )?;
    }
    let (open, limit) = readings.connections;
    families.gauge("metashrew_connections", "Connections open", open)?;
    families.gauge(
        "metashrew_connections_limit",
        "Connections that may be open",
        limit,
    )?;
    families.gauge(
        "process_start_time_seconds",
        "When the server was started, in seconds since 1970",
        readings.started_at.as_secs_f64(),
    )
}
