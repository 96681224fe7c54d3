//! What the flags of `metashrew bench` mean to the libraries: the same as those of `start`.

use metashrew_runtime::{RuntimeOptions, ViewOptions};
use metashrew_store::StoreOptions;
use metashrew_sync::IndexOptions;

use crate::cli::Bench;
use crate::descriptors::Descriptors;
use crate::memory::Asked;
use crate::settings;
use crate::size::Size;

impl Bench {
    /// What the flags ask for of the memory: there are no views and no server.
    pub(crate) fn asked_memory(&self) -> Asked {
        Asked {
            cache: self.storage.cache.size,
            views: Some(Size(0)),
            requests: Some(Size(0)),
            scouts: self.scouting.asked_memory(),
        }
    }

    pub(super) fn runtime_options(&self) -> RuntimeOptions {
        RuntimeOptions {
            cache: settings::guest_cache(self.guest_cache.as_deref()),
            views: ViewOptions {
                enabled: false,
                ..ViewOptions::default()
            },
            scouts: self.scouting.scouts.options(self.memory.scouts),
            ..RuntimeOptions::default()
        }
    }

    pub(super) fn store_options(&self, limit: Option<u64>) -> StoreOptions {
        let files = self.storage.max_open_files.map(std::num::NonZeroUsize::get);
        let descriptors = Descriptors::share(limit, files, None, self.memory.total);
        self.storage.options(&descriptors, self.memory.cache)
    }

    /// From `--from`, or the first block there is, to `last`.
    pub(super) fn index_options(&self, last: u32) -> IndexOptions {
        IndexOptions {
            // A fork goes on after its last block.
            start_height: self.from.filter(|_| self.db.is_none()),
            exit_at: Some(last),
            max_fetched_bytes: settings::bytes(self.memory.fetched),
            max_uncommitted_bytes: settings::bytes(self.memory.uncommitted),
            scouts: self.scouting.scouts.count(),
            ..IndexOptions::default()
        }
    }
}
