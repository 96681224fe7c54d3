//! How the engine runs on this machine. Nothing of it is kept on disk, so it reaches
//! every database at its next opening.

use std::path::Path;
use std::sync::Arc;

use lsm_tree::compaction::filter::Factory;
use lsm_tree::config::{CompressionPolicy, FilterPolicy, HashRatioPolicy, PinningPolicy};
use lsm_tree::{Cache, Config, DescriptorTable, SequenceNumberCounter};

use super::Space;
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
    /// Recent writes, in tables already or not.
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
}

/// What all trees of an engine share.
pub(super) struct SharedByTrees {
    cache: Arc<Cache>,
    files: Arc<DescriptorTable>,
    filter: Option<Arc<dyn Factory>>,
}

impl SharedByTrees {
    pub(super) fn new(limits: &Limits, filter: Option<Arc<dyn Factory>>) -> Self {
        Self {
            cache: Arc::new(Cache::with_capacity_bytes(limits.blocks)),
            files: Arc::new(DescriptorTable::new(limits.files)),
            filter,
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
        // Keys and values of indexes are hashes, most of them.
        .data_block_compression_policy(CompressionPolicy::disabled());
        match space {
            // Filters and indexes stay in memory: a read that misses asks every level,
            // and guests ask for absent keys all the time. Of the large tables of the
            // lower levels, whose filters and indexes are partitioned, only the top
            // part does.
            Space::KeyToNewest => config
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
    fn memory_is_shared_out_within_what_was_given() {
        for bytes in [4 << 20, 10 << 20, 64 << 20, 128 << 20, 1 << 30, 6 << 30] {
            let limits = Limits::of(&StoreOptions {
                cache_bytes: bytes,
                ..StoreOptions::default()
            });
            assert!(limits.blocks + limits.resident <= bytes, "{limits:?}");
            assert!(limits.max_dirty <= limits.resident, "{limits:?}");
            assert!(limits.flush_at < limits.max_dirty, "{limits:?}");
        }
    }
}
