//! Runs the guest over the blocks of a chain, and keeps its memory from one to the next if it
//! asks for that.

use std::sync::Arc;

use bytes::Bytes;
use metashrew_store::{BlockRef, State, WriteSet};

use crate::context::{Call, Stop};
use crate::error::BlockError;
use crate::fault::Fault;
use crate::instance::Instance;
use crate::limits::Allowance;
use crate::runtime::MetashrewRuntime;

/// What a guest's caches may hold while it indexes, in bytes: half of what may be kept. A guest
/// that keeps no memory across blocks is not told.
pub(crate) const CACHE_LIMIT: usize = MAX_KEPT_MEMORY / 2;

/// Bytes of memory that are kept for the next block at most, on every machine alike: as many as
/// stay mapped for it in any case.
pub(crate) const MAX_KEPT_MEMORY: usize = 512 << 20;

/// Runs the guest over one block after the other.
///
/// A guest that exports `__metashrew_memory_across_blocks` promises that what it writes never
/// depends on what its memory holds. Its instance is kept for the next block, if that block
/// stands on the one it ran last, and the memory is 512 MiB at most. After a fault, a rollback
/// or any other block it is gone, and with the runner. Every other guest runs each block on a
/// fresh instance, as [`MetashrewRuntime::process_block_on`] does for all.
pub struct BlockRunner {
    runtime: MetashrewRuntime,
    kept: Option<Kept>,
    stop: Option<Stop>,
}

/// An instance that has run a block, and which one.
struct Kept {
    instance: Instance,
    block: BlockRef,
    /// The store's generation then: a rollback begins another.
    generation: u64,
}

impl BlockRunner {
    pub(crate) fn new(runtime: MetashrewRuntime) -> Self {
        Self {
            runtime,
            kept: None,
            stop: None,
        }
    }

    /// Ends the block under way with [`HostFault::TimedOut`](crate::HostFault::TimedOut)
    /// once `stop` says so, which must not wait for anything. Without a
    /// [`block_timeout`](crate::RuntimeOptions::block_timeout) blocks cannot be interrupted,
    /// and nobody asks it.
    #[must_use]
    pub fn stopped_by(mut self, stop: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.stop = Some(Arc::new(stop));
        self
    }

    /// Runs the guest over the block `block`, whose bytes are `bytes`, on top of `state`:
    /// the state after its parent, committed or not. Returns what the guest writes; commits
    /// nothing.
    ///
    /// # Errors
    /// As [`MetashrewRuntime::process_block`].
    pub fn process(
        &mut self,
        state: State,
        block: &BlockRef,
        bytes: Bytes,
    ) -> Result<WriteSet, BlockError> {
        let _ticking = self.runtime.ticks_for_block();
        let timeout = self.runtime.block_timeout();
        let generation = state.snapshot().generation();
        let kept = self.kept.take();
        if let Some(kept) = kept.filter(|kept| kept.precedes(block, &state)) {
            let call = self.call(state.clone(), block, bytes.clone());
            let mut instance = kept.instance;
            instance.prepare_block(call, self.runtime.block_deadline());
            match instance.start() {
                Ok(writes) => {
                    self.keep(instance, block, generation);
                    return Ok(writes);
                }
                // It would take as long again.
                Err(fault @ Fault::Timeout(_)) => return Err(fault.into_block_error(timeout)),
                // A host that has just been started would have had a fresh one, whose memory
                // is smaller, too.
                Err(fault) => {
                    tracing::debug!("block failed on kept memory, trying without: {fault}");
                }
            }
        }
        let call = self.call(state, block, bytes);
        let (instance, writes) = run_fresh(&self.runtime, call)?;
        self.keep(instance, block, generation);
        Ok(writes)
    }

    fn call(&self, state: State, block: &BlockRef, bytes: Bytes) -> Call {
        let log = self
            .runtime
            .logs()
            .begin(block, state.snapshot().generation());
        Call::index(state, block.height, bytes)
            .timed(self.runtime.read_time())
            .logged(log)
            .until(self.stop.clone())
    }

    fn keep(&mut self, mut instance: Instance, block: &BlockRef, generation: u64) {
        let asks = self.runtime.guest().memory_across_blocks;
        if asks && instance.memory_bytes() <= MAX_KEPT_MEMORY {
            instance.finish();
            self.kept = Some(Kept {
                instance,
                block: *block,
                generation,
            });
        }
    }
}

/// Runs a block on a fresh instance.
pub(crate) fn run_fresh(
    runtime: &MetashrewRuntime,
    call: Call,
) -> Result<(Instance, WriteSet), BlockError> {
    let _ticking = runtime.ticks_for_block();
    let guest = runtime.guest();
    let (allowance, deadline) = (Allowance::unlimited(), runtime.block_deadline());
    let run = || -> Result<_, Fault> {
        let mut instance = Instance::create(&guest.indexing, call, allowance, deadline)?;
        if guest.memory_across_blocks {
            metashrew_store::wait(instance.set_cache_limit(CACHE_LIMIT))?;
        }
        let writes = instance.start()?;
        Ok((instance, writes))
    };
    run().map_err(|fault| fault.into_block_error(runtime.block_timeout()))
}

impl Kept {
    /// Whether `block` stands on the block it ran last, and `state` is the state after that.
    fn precedes(&self, block: &BlockRef, state: &State) -> bool {
        block.parent == self.block.hash
            && block.height.checked_sub(1) == Some(self.block.height)
            && state.height() == Some(self.block.height)
            && state.snapshot().generation() == self.generation
    }
}
