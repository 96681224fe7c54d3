//! What all tries of one `metashrew dev` have in common: the project, and how its guests run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use metashrew_runtime::{PreparedGuest, RuntimeOptions, ScoutOptions, ViewOptions};
use metashrew_store::{Durability, StoreOptions};
use metashrew_sync::{CoreSettings, IndexOptions, Progress, ScoutCount};
use parking_lot::Mutex;

use super::logs::Logs;
use super::state::StateDirectory;
use super::tell::Teller;
use crate::command::source::Source;
use crate::memory::Memory;

/// Where the blocks are.
#[derive(Debug, Clone)]
pub(super) enum Blocks {
    Node(Box<CoreSettings>),
    Files(PathBuf),
}

/// How often the node is asked for new blocks: one that is mined shows at once.
const POLL: Duration = Duration::from_millis(100);

/// How long a commit under way may hold up the next try.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Instances that views have: one person calls them.
const INSTANCES: usize = 16;

/// What all tries have in common.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) build_command: Option<String>,
    pub(super) module: PathBuf,
    pub(super) blocks: Blocks,
    pub(super) start_height: Option<u32>,
    pub(super) checkpoint: Option<u32>,
    pub(super) block_timeout: Duration,
    pub(super) memory: Memory,
    pub(super) state: StateDirectory,
    pub(super) logs: Arc<Logs>,
    pub(super) teller: Teller,
    /// What is indexing now.
    pub(super) progress: Mutex<Option<Arc<Progress>>>,
    /// Whether a guest is compiled now.
    pub(super) is_compiling: AtomicBool,
}

impl Setup {
    pub(super) fn index_options(&self, follow: bool) -> IndexOptions {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        IndexOptions {
            start_height: self.start_height,
            // The state at the checkpoint is another guest's.
            accept_guest_change: true,
            // The node is the user's own: its word counts.
            accept_less_work: true,
            follow,
            poll_interval: Some(POLL),
            stop_grace: STOP_GRACE,
            max_fetched_bytes: bytes(self.memory.fetched),
            max_uncommitted_bytes: bytes(self.memory.uncommitted),
            scouts: ScoutCount::Exactly(0),
            ..IndexOptions::default()
        }
    }

    fn runtime_options(&self) -> RuntimeOptions {
        // The guest that is served and the one to come have half of it each.
        let memory = usize::try_from(self.memory.views / 2).unwrap_or(usize::MAX);
        RuntimeOptions {
            views: ViewOptions {
                instances: std::num::NonZeroUsize::new(INSTANCES)
                    .unwrap_or(std::num::NonZeroUsize::MIN),
                memory_budget: memory,
                max_instance_memory: memory,
                ..ViewOptions::default()
            },
            scouts: ScoutOptions {
                instances: 0,
                memory_budget: 0,
                ..ScoutOptions::default()
            },
            block_timeout: Some(self.block_timeout),
            ..RuntimeOptions::default()
        }
    }

    pub(super) fn store_options(&self) -> StoreOptions {
        StoreOptions {
            // It is made anew if it is lost.
            durability: Durability::Buffered,
            ..StoreOptions::default().with_cache(self.memory.cache / 2)
        }
    }

    pub(super) fn prepare(&self, wasm: &[u8]) -> Result<PreparedGuest> {
        let is_none = || format!("`{}` is no guest", self.module.display());
        self.is_compiling.store(true, Ordering::Release);
        let guest = PreparedGuest::new(wasm, self.runtime_options());
        self.is_compiling.store(false, Ordering::Release);
        let guest = guest.with_context(is_none)?;
        guest.check_start().with_context(is_none)?;
        Ok(guest)
    }

    pub(super) fn source(&self) -> Result<Source> {
        match &self.blocks {
            Blocks::Node(settings) => Source::node_at(settings, None),
            Blocks::Files(path) => Source::files(path, self.start_height, None),
        }
    }
}
