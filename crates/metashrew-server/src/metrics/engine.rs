//! How the storage engine is doing.

use std::fmt;

use metashrew_store::EngineHealth;

use super::families::Families;

pub(super) fn encode(families: &mut Families<'_>, health: &EngineHealth) -> fmt::Result {
    reads(families, health)?;
    sizes(families, health)?;
    work(families, health)
}

fn reads(families: &mut Families<'_>, health: &EngineHealth) -> fmt::Result {
    families.counter(
        "metashrew_engine_resident_hits",
        "Reads that recent writes in memory answered",
        health.resident_hits,
    )?;
    families.counters(
        "metashrew_engine_block_reads",
        "Blocks of tables read, from the cache of blocks (hit) or from files (miss)",
        "cache",
        [("hit", health.cache_hits), ("miss", health.cache_misses)],
    )?;
    families.gauge(
        "metashrew_engine_new_runs",
        "Runs of tables that no compaction has merged yet, of the key space that has most",
        health.new_runs,
    )
}

fn sizes(families: &mut Families<'_>, health: &EngineHealth) -> fmt::Result {
    for (name, help, bytes) in [
        (
            "metashrew_engine_resident",
            "Memory of recent writes",
            health.resident_bytes,
        ),
        (
            "metashrew_engine_dirty",
            "Memory of recent writes that are in no table yet",
            health.dirty_bytes,
        ),
        (
            "metashrew_engine_log",
            "The log, which is read again after a kill",
            health.log_bytes,
        ),
        (
            "metashrew_engine_tables",
            "The tables on disk",
            health.table_bytes,
        ),
        (
            "metashrew_engine_compaction_debt",
            "Tables that compaction has still to move to where they belong",
            health.compaction_debt_bytes,
        ),
    ] {
        families.bytes(name, help, bytes)?;
    }
    families.gauge(
        "metashrew_engine_batches_not_durable",
        "Batches that are visible and that a power cut would take",
        health.batches_not_durable,
    )
}

fn work(families: &mut Families<'_>, health: &EngineHealth) -> fmt::Result {
    for (name, help, count) in [
        (
            "metashrew_engine_stalls",
            "Commits that had to wait for tables to be written",
            health.stalls,
        ),
        (
            "metashrew_engine_flushes",
            "How often recent writes were written out as tables",
            health.flushes,
        ),
        (
            "metashrew_engine_compactions",
            "How often tables were merged or moved",
            health.compactions,
        ),
        (
            "metashrew_engine_written_bytes",
            "Bytes that flushes and compactions wrote",
            health.written_bytes,
        ),
        (
            "metashrew_engine_failures",
            "Flushes and compactions that failed and are tried again",
            health.failures,
        ),
    ] {
        families.counter(name, help, count)?;
    }
    families.time(
        "metashrew_engine_stalled_seconds",
        "How long commits waited for tables to be written",
        health.stalled,
    )
}
