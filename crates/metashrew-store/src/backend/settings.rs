//! How the engine runs on this machine. Nothing of it is kept on disk, so it reaches
//! every database at its next opening.

use std::path::Path;
use std::sync::Arc;

use lsm_tree::compaction::filter::Factory;
use lsm_tree::config::{
    CompressionPolicy, FilterPolicy, HashRatioPolicy, PartitioningPolicy, PinningPolicy,
};
use lsm_tree::{Cache, Config, DescriptorTable, SequenceNumberCounter};

use super::Space;
use super::tables::{LEVEL_BASE_BYTES, LEVEL_RATIO};
use crate::open::StoreOptions;

/// Slots of the hash index in each data block of newest versions, by entry.
const HASHES_PER_ENTRY: f32 = 1.33;
/// Tables much smaller than 64 MiB would be many; a flush of more than 256 MiB takes
/// long, and so does reading as much of the log after a kill. With less than 4 MiB in all,
/// recent writes take more than their share.
const FLUSH_BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(256 << 20);

/// How the memory is shared out, in bytes, and how many files may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Blocks of tables.
    pub(super) blocks: u64,
    /// Recent writes, in tables already or not, and what open tables take.
    pub(super) resident: u64,
    /// Writes that are not in tables are written out from here on.
    pub(super) flush_at: u64,
    /// Beyond it a commit waits until some were written out.
    pub(super) max_dirty: u64,
    /// Tables whose files stay open.
    pub(super) files: usize,
}

impl Limits {
    /// Of an engine that is opened so.
    pub(super) fn of(options: &StoreOptions) -> Self {
        let bytes = options.cache_bytes;
        let flush_at = (bytes / 4).clamp(*FLUSH_BYTES.start(), *FLUSH_BYTES.end());
        Self {
            blocks: bytes / 2,
            resident: bytes / 2,
            flush_at,
            max_dirty: 2 * flush_at,
            files: options.max_open_files,
        }
    }

    /// What is left for recent writes beside tables that take `table_memory`: half at least,
    /// which is what is not in tables yet.
    pub(super) fn for_recent_writes(&self, table_memory: u64) -> u64 {
        self.resident - table_memory.min(self.resident / 2)
    }
}

/// The filters and indexes of newest versions are of all their bytes one in so many, as
/// measured in memory: 3.6 bytes a key of 82.
const FILTERS_AND_INDEXES_PART: u64 = 23;
const LEVELS: u32 = 7;

/// In how many levels tables keep their filters and indexes in memory in one piece: in those
/// of new tables, which have a bound, and in as many as leave recent writes the half that
/// may be unflushed, each full twice. When a level is added on top, what is below stays
/// as it was written until it is merged.
fn levels_in_one_piece(limits: &Limits) -> u32 {
    let mut bytes = 0_u64;
    let fits = |level: &u32| {
        bytes += LEVEL_BASE_BYTES * LEVEL_RATIO.pow(*level);
        2 * bytes / FILTERS_AND_INDEXES_PART <= limits.resident / 2
    };
    1 + u32::try_from((0..LEVELS - 1).take_while(fits).count()).unwrap_or_default()
}

fn partitioning(limits: &Limits) -> PartitioningPolicy {
    let whole = levels_in_one_piece(limits);
    PartitioningPolicy::new((0..LEVELS).map(|level| level >= whole).collect::<Vec<_>>())
}

/// What all trees of an engine share.
pub(super) struct SharedByTrees {
    cache: Arc<Cache>,
    files: Arc<DescriptorTable>,
    filter: Option<Arc<dyn Factory>>,
    /// In which levels filters and indexes of newest versions are in parts.
    partitioning: PartitioningPolicy,
}

impl SharedByTrees {
    pub(super) fn new(limits: &Limits, filter: Option<Arc<dyn Factory>>) -> Self {
        Self {
            cache: Arc::new(Cache::with_capacity_bytes(limits.blocks)),
            files: Arc::new(DescriptorTable::new(limits.files)),
            filter,
            partitioning: partitioning(limits),
        }
    }

    /// How the tree of `space` in `directory` is opened.
    pub(super) fn config(&self, space: Space, directory: &Path) -> Config {
        let config = Config::new(
            directory,
            SequenceNumberCounter::default(),
            SequenceNumberCounter::default(),
        )
        .use_cache(Arc::clone(&self.cache))
        .use_descriptor_table(Some(Arc::clone(&self.files)))
        .with_compaction_filter_factory(self.filter.clone())
        // Filters and indexes grow with the state, so they are cached in parts like all
        // blocks are. Only their top parts stay in memory.
        .filter_block_partitioning_policy(PartitioningPolicy::all(true))
        .index_block_partitioning_policy(PartitioningPolicy::all(true))
        // Keys and values of indexes are hashes, most of them.
        .data_block_compression_policy(CompressionPolicy::disabled());
        match space {
            // A read asks for a filter at every level, and guests ask for absent keys all the
            // time: one that is in one piece and stays in memory costs least. So they are in
            // the upper levels, as far as these fit. Lower down only tables of earlier
            // versions, or of larger caches, are in one piece: to load all of a filter for
            // one read would cost far more than the memory.
            Space::KeyToNewest => config
                .filter_block_partitioning_policy(self.partitioning.clone())
                .index_block_partitioning_policy(self.partitioning.clone())
                .filter_block_pinning_policy(PinningPolicy::all(true))
                .index_block_pinning_policy(PinningPolicy::all(true))
                .data_block_hash_ratio_policy(HashRatioPolicy::all(HASHES_PER_ENTRY)),
            Space::HashToHeight => config,
            // These are walked or read where the key is known to be there: a filter
            // would cost memory and never be asked.
            Space::KeyHeightToOlder | Space::HeightToKeys | Space::HeightToBlock | Space::Meta => {
                config.filter_policy(FilterPolicy::disabled())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_cache_there_is_still_room_for_a_batch() {
        let limits = Limits::of(&StoreOptions {
            cache_bytes: 0,
            ..StoreOptions::default()
        });
        assert!(limits.flush_at > 0 && limits.max_dirty > 0, "{limits:?}");
    }

    #[test]
    fn larger_caches_hold_the_filters_of_more_levels_in_one_piece() {
        for (bytes, levels) in [
            (0, 1),
            (89 << 20, 1),
            (90 << 20, 2),
            (979 << 20, 2),
            (980 << 20, 3),
            (10 << 30, 4),
            (u64::MAX, 7),
        ] {
            let limits = Limits::of(&StoreOptions {
                cache_bytes: bytes,
                ..StoreOptions::default()
            });
            assert_eq!(levels_in_one_piece(&limits), levels, "{bytes}");
        }
    }

    #[test]
    fn memory_is_shared_out_within_what_was_given() {
        for bytes in [4 << 20, 10 << 20, 64 << 20, 128 << 20, 1 << 30, 6 << 30] {
            let limits = Limits::of(&StoreOptions {
                cache_bytes: bytes,
                ..StoreOptions::default()
            });
            assert!(limits.blocks + limits.resident <= bytes, "{limits:?}");
            assert!(limits.max_dirty <= limits.resident, "{limits:?}");
            assert!(limits.flush_at < limits.max_dirty, "{limits:?}");
            // Open tables are part of it, up to a quarter.
            for tables in [0, 1 << 20, bytes / 4] {
                let all = limits.blocks + limits.for_recent_writes(tables) + tables;
                assert!(all <= bytes || tables > bytes / 4, "{limits:?}, {tables}");
            }
            assert!(
                limits.flush_at <= limits.for_recent_writes(u64::MAX),
                "{limits:?}"
            );
        }
    }
}
