//! The other side of a comparison: a guest that is run over the blocks, or a database.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use metashrew_runtime::{
    BlockError, BlockRunner, GuestFault, MetashrewRuntime, RuntimeOptions, ViewOptions,
};
use metashrew_store::{BlockRecord, Snapshot, State, Store, WriteSet};
use metashrew_sync::{Node, fetch_block};

use super::compare::{Compared, Outcome, Side, compare};
use crate::cli::Shadow;
use crate::command::{blocks, database};

/// What the database is compared with.
pub(super) enum Other {
    Guest {
        runtime: MetashrewRuntime,
        node: Arc<dyn Node>,
    },
    Database(Snapshot),
}

impl Other {
    pub(super) fn open(args: &Shadow, store: &Store) -> Result<Self> {
        if let Some(path) = &args.against {
            let other = database::open_to_read(path, args.database.cache.size)?;
            return Ok(Self::Database(other.snapshot()));
        }
        let node = blocks::open(&args.blocks, &args.database.db)?;
        Self::guest(args, store, node)
    }

    /// The guest of `--with`, over blocks that `store` holds.
    pub(super) fn guest(args: &Shadow, store: &Store, node: Arc<dyn Node>) -> Result<Self> {
        let path = args.guest.as_ref().context("no guest is given")?;
        let runtime = runtime(path, store, args.time.of_a_block())?;
        Ok(Self::Guest { runtime, node })
    }

    /// The last block that it has; none if it has every one that is asked for.
    pub(super) fn last(&self) -> Option<u32> {
        match self {
            Self::Guest { .. } => None,
            Self::Database(other) => Some(other.tip().map_or(0, |tip| tip.height)),
        }
    }

    /// The first of these blocks that may differ, or the one above them. A history root stands
    /// for all that was written up to its block.
    pub(super) fn first_that_may_differ(
        &self,
        snapshot: &Snapshot,
        heights: &RangeInclusive<u32>,
    ) -> Result<u64> {
        let (mut low, mut high) = (u64::from(*heights.start()), u64::from(*heights.end()) + 1);
        let Self::Database(other) = self else {
            return Ok(low);
        };
        while low < high {
            let middle = u32::try_from(low.midpoint(high))?;
            let root = |snapshot: &Snapshot| -> Result<_> {
                Ok(snapshot.block(middle)?.map(|record| record.history_root))
            };
            if root(snapshot)? == root(other)? {
                low = u64::from(middle) + 1;
            } else {
                high = u64::from(middle);
            }
        }
        Ok(low)
    }

    /// A run over blocks that follow each other.
    pub(super) fn run(&self) -> Run<'_> {
        Run {
            other: self,
            runner: None,
        }
    }
}

/// The guest in the file `path`, for blocks alone, each of which may take so long.
pub(super) fn runtime(
    path: &Path,
    store: &Store,
    block_timeout: Option<Duration>,
) -> Result<MetashrewRuntime> {
    let wasm = database::read_guest(path)?;
    let options = RuntimeOptions {
        block_timeout,
        views: ViewOptions {
            // No view is called.
            enabled: false,
            instances: NonZeroUsize::MIN,
            ..ViewOptions::default()
        },
        ..RuntimeOptions::default()
    };
    MetashrewRuntime::with_options(&wasm, store.clone(), options)
        .with_context(|| format!("`{}` is no guest", path.display()))
}

/// One thread's run.
pub(super) struct Run<'a> {
    other: &'a Other,
    /// What keeps the guest's memory, if it asks for that.
    runner: Option<BlockRunner>,
}

impl Run<'_> {
    /// Compares the block at `height`, which `snapshot` holds.
    pub(super) fn compare(
        &mut self,
        snapshot: &Snapshot,
        height: u32,
        limit: usize,
    ) -> Result<Outcome> {
        let cannot = || format!("block {height} cannot be compared");
        let record = snapshot.block(height)?.with_context(cannot)?;
        let below = snapshot.below(height).with_context(cannot)?.state;
        let writes = snapshot.writes_of(height).with_context(cannot)?;
        let old = Side {
            writes: &writes,
            below: &below,
        };
        let compared = match self.other {
            Other::Guest { runtime, node } => {
                let ran = self.run_guest(runtime, node.as_ref(), &record, below.clone())?;
                self.of_guest(ran, &old, limit)?
            }
            Other::Database(other) => {
                let theirs = other.block(height)?;
                let theirs = theirs
                    .with_context(|| format!("the other database does not hold block {height}"))?;
                if theirs.hash != record.hash {
                    bail!(
                        "at height {height} the databases hold different blocks: {} and {}",
                        record.hash,
                        theirs.hash
                    );
                }
                let below = other.below(height).with_context(cannot)?.state;
                let writes = other.writes_of(height).with_context(cannot)?;
                let new = Side {
                    writes: &writes,
                    below: &below,
                };
                compare(&old, &new, limit)?
            }
        };
        Ok(Outcome { height, compared })
    }

    /// What the guest writes, or why it fails.
    fn run_guest(
        &mut self,
        runtime: &MetashrewRuntime,
        node: &dyn Node,
        record: &BlockRecord,
        below: State,
    ) -> Result<Result<WriteSet, GuestFault>> {
        let height = record.height;
        let (block, bytes) = fetch_block(node, height, &record.hash)
            .with_context(|| format!("block {height} cannot be had"))?;
        let runner = self.runner.get_or_insert_with(|| runtime.block_runner());
        match runner.process(below, &block, bytes) {
            Ok(writes) => Ok(Ok(writes)),
            Err(BlockError::Guest(fault)) => Ok(Err(fault)),
            Err(error) => Err(error).with_context(|| format!("block {height} cannot be run")),
        }
    }

    /// Compares what the guest wrote. Once it differs its memory may hold what the database
    /// does not, so the next block begins without.
    fn of_guest(
        &mut self,
        ran: Result<WriteSet, GuestFault>,
        old: &Side<'_>,
        limit: usize,
    ) -> Result<Compared> {
        let compared = match ran {
            Ok(writes) => {
                let new = Side {
                    writes: &writes,
                    below: old.below,
                };
                compare(old, &new, limit)?
            }
            Err(fault) => Compared::Failed {
                error: fault.to_string(),
            },
        };
        if !matches!(compared, Compared::Writes { differ: 0, .. }) {
            self.runner = None;
        }
        Ok(compared)
    }
}
