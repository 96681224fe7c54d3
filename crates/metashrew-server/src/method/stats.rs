//! `metashrew_stats`: what the server has counted, and what it does now.

use std::collections::BTreeMap;

use metashrew_runtime::{ViewCount, ViewStats};
use metashrew_store::{BlockRecord, EngineHealth, StoreOptions};
use serde::Serialize;

use super::Context;
use crate::answer::Answer;
use crate::guests::StateGuest;
use crate::health::FailedBlock;
use crate::telemetry::Readings;
use crate::wire;

pub(super) fn answer(context: &Context) -> Answer {
    Answer::json(&Stats::new(context.telemetry.read()))
}

#[derive(Clone, Serialize)]
struct Stats {
    version: &'static str,
    guest_sha256: String,
    /// The guests that wrote the state; left out where nobody knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    guests: Vec<StateGuest>,
    uptime_seconds: f64,
    tip: Option<Tip>,
    first_height: Option<u32>,
    indexing: Indexing,
    views: Views,
    read_cache: ReadCache,
    storage: Option<Storage>,
    engine: Option<Engine>,
    database: Database,
    connections: Connections,
    requests: BTreeMap<&'static str, u64>,
    process: Process,
}

/// The last committed block.
#[derive(Clone, Serialize)]
struct Tip {
    height: u32,
    block_hash: String,
    history_root: String,
}

#[derive(Clone, Serialize)]
struct Indexing {
    state: &'static str,
    node_tip: Option<u32>,
    behind: Option<u32>,
    blocks_per_second: Option<f64>,
    bytes_per_second: Option<f64>,
    eta_seconds: Option<f64>,
    error: Option<String>,
    hint: Option<String>,
    failed_block: Option<FailedBlock>,
    current_block: Option<CurrentBlock>,
    current_write: Option<CurrentWrite>,
    last_reorg: Option<LastReorg>,
    totals: Option<Totals>,
    sources: BTreeMap<String, u64>,
}

/// The block that the guest is processing.
#[derive(Clone, Serialize)]
struct CurrentBlock {
    height: u32,
    block_hash: String,
    seconds: f64,
}

/// The commit or rollback that is under way.
#[derive(Clone, Serialize)]
struct CurrentWrite {
    kind: &'static str,
    first: u32,
    last: u32,
    seconds: f64,
}

/// What was done since the start.
#[derive(Clone, Serialize)]
struct Totals {
    blocks: u64,
    guest_seconds: f64,
    reads_seconds: f64,
    commit_seconds: f64,
    reorgs: u64,
    undone_blocks: u64,
    node_failures: BTreeMap<&'static str, u64>,
    machine_failures: u64,
    block_reads: u64,
    scouts: Scouts,
}

/// What was read ahead.
#[derive(Clone, Serialize)]
struct Scouts {
    count: usize,
    runs: BTreeMap<&'static str, u64>,
    reads: u64,
    memory_bytes: usize,
}

#[derive(Clone, Serialize)]
struct LastReorg {
    height: u32,
    depth: u32,
}

#[derive(Clone, Serialize)]
struct Views {
    stateful: bool,
    answered: u64,
    previews: u64,
    failed: u64,
    errors: BTreeMap<&'static str, u64>,
    reused: u64,
    retried: u64,
    waiting: usize,
    queue_limit: usize,
    sessions: usize,
    instances: Instances,
    memory: Memory,
    latency: Latency,
    /// Each view's calls.
    by_view: BTreeMap<String, ViewCalls>,
}

#[derive(Clone, Serialize)]
struct ViewCalls {
    answered: u64,
    failed: u64,
    sum_seconds: f64,
}

#[derive(Clone, Serialize)]
struct Instances {
    idle: usize,
    busy: usize,
    limit: usize,
    created: u64,
    dropped: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Serialize)]
struct Memory {
    bytes: usize,
    limit_bytes: usize,
}

#[derive(Clone, Serialize)]
struct Latency {
    count: u64,
    sum_seconds: f64,
    buckets: Vec<Bucket>,
}

/// Calls that took at most `le_seconds` and longer than the bucket before.
#[derive(Clone, Serialize)]
struct Bucket {
    le_seconds: Option<f64>,
    count: u64,
}

/// The store's cache of values.
#[derive(Clone, Serialize)]
struct ReadCache {
    hits: u64,
    misses: u64,
    entries: u64,
    bytes: u64,
    limit_bytes: u64,
}

/// How the database was opened.
#[derive(Clone, Serialize)]
struct Storage {
    engine_cache_bytes: u64,
    read_cache_bytes: u64,
    durability: &'static str,
    max_open_files: usize,
    workers: usize,
}

/// The storage engine.
#[derive(Clone, Serialize)]
struct Engine {
    resident_hits: u64,
    block_cache_hits: u64,
    block_cache_misses: u64,
    resident_bytes: u64,
    dirty_bytes: u64,
    log_bytes: u64,
    table_bytes: u64,
    batches_not_durable: u64,
    new_runs: u64,
    compaction_debt_bytes: u64,
    stalls: u64,
    stalled_seconds: f64,
    flushes: u64,
    compactions: u64,
    written_bytes: u64,
    failures: u64,
}

/// Where the database is on disk; all `null` if it is not.
#[derive(Clone, Serialize)]
struct Database {
    bytes: Option<u64>,
    free_bytes: Option<u64>,
}

#[derive(Clone, Serialize)]
struct Connections {
    open: usize,
    limit: usize,
}

#[derive(Clone, Serialize)]
struct Process {
    resident_bytes: Option<u64>,
}

impl Stats {
    fn new(readings: Readings) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            guest_sha256: hex::encode_prefixed(readings.guest_sha256),
            guests: StateGuest::all(readings.guests.clone()),
            uptime_seconds: readings.uptime.as_secs_f64(),
            tip: readings.tip.as_ref().map(Tip::new),
            first_height: readings.first,
            views: Views::new(&readings.views, &readings.per_view),
            read_cache: ReadCache {
                hits: readings.read_cache.hits,
                misses: readings.read_cache.misses,
                entries: readings.read_cache.entries,
                bytes: readings.read_cache.bytes,
                limit_bytes: readings.read_cache.capacity_bytes,
            },
            storage: readings.storage.as_ref().map(Storage::new),
            engine: readings.engine.as_ref().map(Engine::new),
            database: Database {
                bytes: readings.database_bytes,
                free_bytes: readings.free_bytes,
            },
            connections: Connections {
                open: readings.connections.0,
                limit: readings.connections.1,
            },
            requests: readings.requests.iter().copied().collect(),
            process: Process {
                resident_bytes: readings.resident,
            },
            indexing: Indexing::new(readings),
        }
    }
}

impl Storage {
    fn new(options: &StoreOptions) -> Self {
        Self {
            engine_cache_bytes: options.cache_bytes,
            read_cache_bytes: options.read_cache_bytes,
            durability: options.durability.as_str(),
            max_open_files: options.max_open_files,
            workers: options.workers,
        }
    }
}

impl Engine {
    fn new(health: &EngineHealth) -> Self {
        Self {
            resident_hits: health.resident_hits,
            block_cache_hits: health.cache_hits,
            block_cache_misses: health.cache_misses,
            resident_bytes: health.resident_bytes,
            dirty_bytes: health.dirty_bytes,
            log_bytes: health.log_bytes,
            table_bytes: health.table_bytes,
            batches_not_durable: health.batches_not_durable,
            new_runs: health.new_runs,
            compaction_debt_bytes: health.compaction_debt_bytes,
            stalls: health.stalls,
            stalled_seconds: health.stalled.as_secs_f64(),
            flushes: health.flushes,
            compactions: health.compactions,
            written_bytes: health.written_bytes,
            failures: health.failures,
        }
    }
}

impl Tip {
    fn new(block: &BlockRecord) -> Self {
        Self {
            height: block.height,
            block_hash: wire::block_hash(&block.hash),
            history_root: wire::history_root(&block.history_root),
        }
    }
}

impl Indexing {
    fn new(readings: Readings) -> Self {
        let Readings {
            indexing, behind, ..
        } = readings;
        Self {
            state: indexing.state.as_str(),
            node_tip: indexing.node_tip,
            behind,
            blocks_per_second: indexing.blocks_per_second,
            bytes_per_second: indexing.bytes_per_second,
            eta_seconds: indexing.eta.map(|eta| eta.as_secs_f64()),
            failed_block: FailedBlock::of(&indexing),
            error: indexing.error,
            hint: indexing.hint,
            current_block: indexing.current_block.map(|block| CurrentBlock {
                height: block.height,
                block_hash: wire::block_hash(&block.block_hash),
                seconds: block.elapsed.as_secs_f64(),
            }),
            current_write: indexing.current_write.map(|write| CurrentWrite {
                kind: write.kind,
                first: write.first,
                last: write.last,
                seconds: write.elapsed.as_secs_f64(),
            }),
            totals: indexing.totals.map(|totals| Totals {
                blocks: totals.blocks,
                guest_seconds: totals.guest.as_secs_f64(),
                reads_seconds: totals.reads.as_secs_f64(),
                commit_seconds: totals.commit.as_secs_f64(),
                reorgs: totals.reorgs,
                undone_blocks: totals.undone_blocks,
                node_failures: totals.node_failures.into_iter().collect(),
                machine_failures: totals.machine_failures,
                block_reads: totals.block_reads,
                scouts: Scouts {
                    count: totals.scouts.count,
                    runs: totals.scouts.runs.into_iter().collect(),
                    reads: totals.scouts.reads,
                    memory_bytes: totals.scouts.memory,
                },
            }),
            last_reorg: indexing.last_reorg.map(|reorg| LastReorg {
                height: reorg.height,
                depth: reorg.depth,
            }),
            sources: indexing.sources.into_iter().collect(),
        }
    }
}

impl Views {
    fn new(stats: &ViewStats, per_view: &[ViewCount]) -> Self {
        let buckets = stats.latency.buckets();
        Self {
            stateful: stats.enabled,
            answered: stats.calls.answered,
            previews: stats.calls.previews,
            failed: stats.errors.total(),
            errors: stats.errors.by_kind().into_iter().collect(),
            reused: stats.calls.reused,
            retried: stats.calls.retried,
            waiting: stats.waiting,
            queue_limit: stats.queue,
            sessions: stats.sessions,
            instances: Instances {
                idle: stats.idle,
                busy: stats.busy,
                limit: stats.instances,
                created: stats.calls.created,
                dropped: stats.dropped.by_reason().into_iter().collect(),
            },
            memory: Memory {
                bytes: stats.memory,
                limit_bytes: stats.memory_limit,
            },
            latency: Latency {
                count: stats.latency.count(),
                sum_seconds: stats.latency.sum.as_secs_f64(),
                buckets: buckets
                    .map(|(bound, count)| Bucket {
                        le_seconds: bound.map(|bound| bound.as_secs_f64()),
                        count,
                    })
                    .collect(),
            },
            by_view: per_view.iter().map(ViewCalls::of).collect(),
        }
    }
}

impl ViewCalls {
    fn of(count: &ViewCount) -> (String, Self) {
        let calls = Self {
            answered: count.answered,
            failed: count.failed,
            sum_seconds: count.latency.sum.as_secs_f64(),
        };
        (count.view.clone(), calls)
    }
}
