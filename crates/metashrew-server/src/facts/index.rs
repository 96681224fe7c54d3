//! How far the index is, and how indexing goes.

use super::{Fact, Value, by, facts, json, named};
use crate::health::FailedBlock;
use crate::indexing::{CurrentBlock, CurrentWrite, IndexingState, IndexingTotals};
use crate::telemetry::Readings;
use crate::wire;

pub(super) fn position(readings: &Readings) -> Vec<Fact> {
    let mut facts = match &readings.tip {
        None => facts! { "tip" = Value::Unknown; },
        Some(tip) => facts! {
            "tip.height" [Gauge "metashrew_indexed_height" "Height of the last committed block"] = tip.height;
            "tip.block_hash" = json(wire::block_hash(&tip.hash));
            "tip.history_root" = json(wire::history_root(&tip.history_root));
        },
    };
    facts.extend(facts! {
        "first_height" [Gauge "metashrew_first_height" "Lowest height held"] = readings.first;
        "" [Gauge "metashrew_ready" "Whether /ready says yes (1) or not (0)"] = Value::Flag(readings.ready);
    });
    facts
}

pub(super) fn indexing(readings: &Readings) -> Vec<Fact> {
    let report = &readings.indexing;
    let mut facts = facts! {
        "indexing.state" = json(report.state.as_str());
        "" [Gauge "metashrew_indexing_state" "What the indexer does: 1 for the state it is in"]
            = by("state", IndexingState::ALL.map(|state| (state.as_str(), u32::from(state == report.state))));
        "indexing.node_tip" [Gauge "metashrew_node_height"
            "Height of the last block of the node's chain"] = report.node_tip;
        "indexing.behind" [Gauge "metashrew_blocks_behind"
            "Blocks from the last committed one to the node's last"] = readings.behind;
        "indexing.blocks_per_second" [Gauge "metashrew_indexing_blocks_per_second"
            "Blocks committed per second of late"] = report.blocks_per_second;
        "indexing.bytes_per_second" [Gauge "metashrew_indexing_bytes_per_second"
            "Bytes of blocks committed per second of late"] = report.bytes_per_second;
        "indexing.eta_seconds" [Gauge "metashrew_indexing_eta_seconds"
            "Time until the index is at the node's tip"] = report.eta;
        "indexing.error" = json(&report.error);
        "indexing.hint" = json(&report.hint);
        "indexing.failed_block" = json(FailedBlock::of(report));
    };
    facts.extend(current_block(report.current_block.as_ref()));
    facts.extend(current_write(report.current_write.as_ref()));
    facts.extend(match report.last_reorg {
        None => facts! { "indexing.last_reorg" = Value::Unknown; },
        Some(reorg) => facts! {
            "indexing.last_reorg.height" = reorg.height;
            "indexing.last_reorg.depth" [Gauge "metashrew_last_reorg_depth"
                "Blocks undone by the last reorganisation since the start"] = reorg.depth;
        },
    });
    facts.extend(totals(report.totals.as_ref()));
    facts.extend(facts! {
        "indexing.sources" [Counter "metashrew_source_blocks" "Blocks fetched"]
            = by("source", report.sources.clone());
    });
    facts
}

/// What is kept of what guests log.
pub(super) fn guest_logs(readings: &Readings) -> Vec<Fact> {
    let logs = &readings.guest_logs;
    facts! {
        "guest_logs.lines" [Counter "metashrew_guest_log_lines"
            "Lines that the guest logged while blocks were indexed"] = logs.logged;
        "guest_logs.dropped" [Counter "metashrew_guest_log_dropped_lines"
            "Of these, lines that are not kept, or no longer"] = logs.dropped;
        "guest_logs.bytes" [Bytes "metashrew_guest_log_memory"
            "Memory of the lines that are kept"] = logs.bytes;
        "guest_logs.limit_bytes" [Bytes "metashrew_guest_log_memory_limit"
            "Memory that they may take"] = logs.limit;
    }
}

fn current_block(block: Option<&CurrentBlock>) -> Vec<Fact> {
    let Some(block) = block else {
        return facts! { "indexing.current_block" = Value::Unknown; };
    };
    facts! {
        "indexing.current_block.height" [Gauge "metashrew_current_block_height"
            "Height of the block that the guest is processing"] = block.height;
        "indexing.current_block.block_hash" = json(wire::block_hash(&block.block_hash));
        "indexing.current_block.seconds" [Gauge "metashrew_current_block_seconds"
            "For how long the guest has been processing it"] = block.elapsed;
    }
}

fn current_write(write: Option<&CurrentWrite>) -> Vec<Fact> {
    let Some(write) = write else {
        return facts! { "indexing.current_write" = Value::Unknown; };
    };
    facts! {
        "indexing.current_write.kind" = json(write.kind);
        "indexing.current_write.first" = write.first;
        "indexing.current_write.last" = write.last;
        "indexing.current_write.seconds" [Gauge "metashrew_current_write_seconds"
            "For how long the commit or rollback that is under way has been"] = write.elapsed;
    }
}

/// What was done since the start.
fn totals(totals: Option<&IndexingTotals>) -> Vec<Fact> {
    let Some(totals) = totals else {
        return facts! { "indexing.totals" = Value::Unknown; };
    };
    let scouts = &totals.scouts;
    facts! {
        "indexing.totals.blocks" [Counter "metashrew_indexed_blocks" "Blocks committed"] = totals.blocks;
        "indexing.totals" [Counter "metashrew_indexing_seconds"
            "Time that blocks took: in the guest, in its reads, and in commits"] = named("part", [
                ("guest", "guest_seconds", totals.guest),
                ("reads", "reads_seconds", totals.reads),
                ("commit", "commit_seconds", totals.commit),
            ]);
        "indexing.totals.reorgs" [Counter "metashrew_reorgs" "Reorganisations followed"] = totals.reorgs;
        "indexing.totals.undone_blocks" [Counter "metashrew_reorg_undone_blocks"
            "Blocks undone by reorganisations"] = totals.undone_blocks;
        "indexing.totals.node_failures" [Counter "metashrew_node_failures"
            "Questions that the node did not answer as it should"] = by("kind", totals.node_failures.clone());
        "indexing.totals.machine_failures" [Counter "metashrew_machine_failures"
            "Failures of the machine that indexing waited out: of writes, for want of room or descriptors"]
            = totals.machine_failures;
        "indexing.totals.block_reads" [Counter "metashrew_block_reads"
            "Values that the guest read while it ran over blocks"] = totals.block_reads;
        "indexing.totals.scouts.count" [Gauge "metashrew_scouts"
            "Scouts that read ahead for blocks whose turn is still to come"] = scouts.count;
        "indexing.totals.scouts.runs" [Counter "metashrew_scout_runs"
            "Runs of scouts over blocks"] = by("end", scouts.runs.clone());
        "indexing.totals.scouts.reads" [Counter "metashrew_scout_reads"
            "Values that scouts read"] = scouts.reads;
        "indexing.totals.scouts.memory_bytes" [Bytes "metashrew_scout_memory"
            "WebAssembly memory of scouts"] = scouts.memory;
    }
}
