//! The server, its process, and the database.

use metashrew_store::{EngineHealth, StoreOptions};

use super::{Fact, Value, by, facts, json, named};
use crate::guests::StateGuest;
use crate::telemetry::Readings;

pub(super) fn identity(readings: &Readings) -> Vec<Fact> {
    let mut facts = facts! {
        "version" = json(env!("CARGO_PKG_VERSION"));
        "guest_sha256" = json(hex::encode_prefixed(readings.guest_sha256));
    };
    // Left out where nobody knows.
    if !readings.guests.is_empty() {
        facts.extend(facts! { "guests" = json(StateGuest::all(readings.guests.clone())); });
    }
    facts.extend(facts! {
        "uptime_seconds" = readings.uptime;
        "" [Gauge "process_start_time_seconds"
            "When the server was started, in seconds since 1970"] = readings.started_at;
    });
    facts
}

pub(super) fn storage(readings: &Readings) -> Vec<Fact> {
    let cache = &readings.read_cache;
    let mut facts = facts! {
        "read_cache" [Counter "metashrew_store_reads"
            "Reads of values, answered from the read cache (hit) or by the engine (miss)"]
            = named("cache", [("hit", "hits", cache.hits), ("miss", "misses", cache.misses)]);
        "read_cache.entries" = cache.entries;
        "read_cache.bytes" [Bytes "metashrew_store_read_cache" "Memory of the read cache"] = cache.bytes;
        "read_cache.limit_bytes" [Bytes "metashrew_store_read_cache_limit"
            "Memory that the read cache may have"] = cache.capacity_bytes;
    };
    facts.extend(options(readings.storage.as_ref()));
    facts.extend(engine(readings.engine.as_ref()));
    facts.extend(facts! {
        "database.bytes" [Bytes "metashrew_database"
            "What the database takes on disk"] = readings.database_bytes;
        "database.free_bytes" [Bytes "metashrew_database_free"
            "What is free on the disk where the database is"] = readings.free_bytes;
    });
    facts
}

/// How the database was opened.
fn options(options: Option<&StoreOptions>) -> Vec<Fact> {
    let Some(options) = options else {
        return facts! { "storage" = Value::Unknown; };
    };
    facts! {
        "storage.engine_cache_bytes" = options.cache_bytes;
        "storage.read_cache_bytes" = options.read_cache_bytes;
        "storage.durability" = json(options.durability.as_str());
        "storage.max_open_files" = options.max_open_files;
        "storage.workers" = options.workers;
    }
}

/// How the storage engine is doing.
fn engine(health: Option<&EngineHealth>) -> Vec<Fact> {
    let Some(health) = health else {
        return facts! { "engine" = Value::Unknown; };
    };
    facts! {
        "engine.resident_hits" [Counter "metashrew_engine_resident_hits"
            "Reads that recent writes in memory answered"] = health.resident_hits;
        "engine" [Counter "metashrew_engine_block_reads"
            "Blocks of tables read, from the cache of blocks (hit) or from files (miss)"] = named("cache", [
                ("hit", "block_cache_hits", health.cache_hits),
                ("miss", "block_cache_misses", health.cache_misses),
            ]);
        "engine.resident_bytes" [Bytes "metashrew_engine_resident"
            "Memory of recent writes"] = health.resident_bytes;
        "engine.dirty_bytes" [Bytes "metashrew_engine_dirty"
            "Memory of recent writes that are in no table yet"] = health.dirty_bytes;
        "engine.log_bytes" [Bytes "metashrew_engine_log"
            "The log, which is read again after a kill"] = health.log_bytes;
        "engine.table_bytes" [Bytes "metashrew_engine_tables" "The tables on disk"] = health.table_bytes;
        "engine.table_memory_bytes" [Bytes "metashrew_engine_table_memory"
            "Memory of open tables, beside the cache of blocks"] = health.table_memory_bytes;
        "engine.batches_not_durable" [Gauge "metashrew_engine_batches_not_durable"
            "Batches that are visible and that a power cut would take"] = health.batches_not_durable;
        "engine.new_runs" [Gauge "metashrew_engine_new_runs"
            "Runs of tables that no compaction has merged yet, of the key space that has most"] = health.new_runs;
        "engine.compaction_debt_bytes" [Bytes "metashrew_engine_compaction_debt"
            "Tables that compaction has still to move to where they belong"] = health.compaction_debt_bytes;
        "engine.pinned_bytes" [Bytes "metashrew_engine_pinned"
            "Tables that were merged, and memory of recent writes, that only views of earlier blocks keep"] = health.pinned_bytes;
        "engine.oldest_view_seconds" [Gauge "metashrew_engine_oldest_view_seconds"
            "How long the oldest view that is held has not shown the last batch any more"] = health.oldest_view;
        "engine.stalls" [Counter "metashrew_engine_stalls"
            "Commits that had to wait for tables to be written"] = health.stalls;
        "engine.stalled_seconds" [Counter "metashrew_engine_stalled_seconds"
            "How long commits waited for tables to be written"] = health.stalled;
        "engine.logged_bytes" [Counter "metashrew_engine_logged_bytes"
            "Bytes that commits took in the log"] = health.logged_bytes;
        "engine.syncs" [Counter "metashrew_engine_syncs"
            "How often commits were made durable"] = health.syncs;
        "engine.sync_seconds" [Counter "metashrew_engine_sync_seconds"
            "How long making commits durable took"] = health.sync_time;
        "engine.flushes" [Counter "metashrew_engine_flushes"
            "How often recent writes were written out as tables"] = health.flushes;
        "engine.compactions" [Counter "metashrew_engine_compactions"
            "How often tables were merged or moved"] = health.compactions;
        "engine.written_bytes" [Counter "metashrew_engine_written_bytes"
            "Bytes that flushes and compactions wrote"] = health.written_bytes;
        "engine.failures" [Counter "metashrew_engine_failures"
            "Flushes and compactions that failed and are tried again"] = health.failures;
    }
}

pub(super) fn transport(readings: &Readings) -> Vec<Fact> {
    let http = &readings.http;
    facts! {
        "connections.open" [Gauge "metashrew_connections" "Connections open"] = http.connections.0;
        "connections.limit" [Gauge "metashrew_connections_limit"
            "Connections that may be open"] = http.connections.1;
        "connections.closed" [Counter "metashrew_connections_closed"
            "Connections closed by the server"] = by("reason", http.closed.clone());
        "connections.accept_failures" [Counter "metashrew_accept_failures"
            "Times that no connection could be accepted"] = http.accept_failures;
        "request_memory.bytes" [Bytes "metashrew_request_memory"
            "Memory that requests and their answers hold"] = http.memory.0;
        "request_memory.limit_bytes" [Bytes "metashrew_request_memory_limit"
            "Memory that requests and their answers may hold"] = http.memory.1;
        "push.open" [Gauge "metashrew_push_connections"
            "Connections that are WebSockets or event streams"] = by("way", http.pushing.0.clone());
        "push.limit" [Gauge "metashrew_push_connections_limit"
            "Connections that may be WebSockets or event streams"] = http.pushing.1;
        "push.bytes" [Counter "metashrew_push_bytes"
            "Bytes of events written to subscribers"] = by("way", http.pushed.clone());
        "requests" [Counter "metashrew_requests"
            "JSON-RPC requests received, those in batches included"] = by("method", readings.requests.clone());
        "refused" [Counter "metashrew_requests_refused"
            "HTTP requests refused before anything was called"] = by("reason", http.refused.clone());
        "subscriptions.open" [Gauge "metashrew_subscriptions" "Subscriptions there are"]
            = by("kind", http.subscriptions.open.clone());
        "subscriptions.limit" [Gauge "metashrew_subscriptions_limit"
            "Subscriptions there may be"] = http.subscriptions.limit;
        "subscriptions.bytes" [Bytes "metashrew_subscription_memory"
            "What subscriptions keep: prefixes, inputs of views, and what views read"] = http.subscriptions.bytes;
        "subscriptions.limit_bytes" [Bytes "metashrew_subscription_memory_limit"
            "What subscriptions may keep"] = http.subscriptions.limit_bytes;
        "subscriptions.events" [Counter "metashrew_subscription_events"
            "Events told to subscriptions"] = by("kind", http.subscriptions.events.clone());
        "subscriptions.views_run" [Counter "metashrew_subscription_views"
            "Views run for subscriptions"] = http.subscriptions.views_run;
        "subscriptions.refused" [Counter "metashrew_subscriptions_refused"
            "Subscriptions refused for want of room"] = by("reason", http.subscriptions.refused.clone());
    }
}

pub(super) fn process(readings: &Readings) -> Vec<Fact> {
    facts! {
        "process.resident_bytes" [Bytes "process_resident_memory"
            "Physical memory that the process has"] = readings.resident;
    }
}
