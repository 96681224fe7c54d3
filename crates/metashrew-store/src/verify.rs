//! Recomputing every history root from the stored versions, in bounded memory.
//!
//! Every space is read once, in its own order: first the records and the lists of
//! keys, then the versions in the order of their keys. A root needs the versions of one
//! block, so they are laid down in a nameless temporary file, parted by ranges of heights
//! that fit in memory: within a part they keep the order of their keys. The view of the
//! engine is let go before the parts are read back and folded into roots.

mod blocks;
mod chain;
mod fold;
mod last_blocks;
#[cfg(test)]
mod naive;
mod parts;
mod temporary;
#[cfg(test)]
mod tests;
mod undone;
mod versions;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::{Space, View};
use crate::block::{BlockRecord, Height};
use crate::error::{ReadError, VerifyError};
use crate::keys::{StoredBlock, corrupt};
use crate::store::Store;
use fold::Fold;
use parts::Plan;
use temporary::Temporary;

pub(crate) use last_blocks::{missing, tip_disagrees, verify_block};
pub(crate) use versions::Older;

/// The least memory that a verification takes, whatever it is told.
const MIN_MEMORY: u64 = 16 << 20;

/// How a verification goes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyOptions {
    /// The memory for what is sorted, in bytes, over all threads. Default: 256 MiB, at
    /// least 16 MiB.
    ///
    /// Besides that a verification holds the longest value of a block once a thread, 5
    /// bytes a block, and what the engine holds.
    pub memory_bytes: u64,
    /// Where the temporary file lies. Default: the database's directory, or the system's
    /// temporary directory if nothing can be written there.
    ///
    /// It takes as much as all keys and values ever written, and 14 bytes each. It has no
    /// name, so it goes with the process in whatever way that ends.
    pub temporary: Option<PathBuf>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            temporary: None,
        }
    }
}

/// What a verification is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VerifyPhase {
    /// Reading block records and lists of keys.
    Lists,
    /// Reading the versions in the order of their keys.
    Versions,
    /// Recomputing the history roots.
    Roots,
}

/// How far a phase of a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyProgress {
    /// The versions gone through.
    pub done: u64,
    /// All versions.
    pub total: u64,
}

/// What a verification went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyReport {
    /// The last block of the chain.
    pub tip: Option<BlockRecord>,
    /// How many blocks were verified.
    pub blocks: u64,
    /// How many different keys they wrote.
    pub keys: u64,
    /// How many versions of those keys are stored.
    pub versions: u64,
}

impl Store {
    /// Recomputes every history root from the stored versions, and makes sure
    /// that nothing else is stored: [`verify_with`](Self::verify_with) the default options.
    pub fn verify(
        &self,
        progress: impl Fn(VerifyPhase, VerifyProgress) + Sync,
    ) -> Result<VerifyReport, VerifyError> {
        self.verify_with(&VerifyOptions::default(), progress)
    }

    /// Recomputes every history root from the stored versions, and makes sure
    /// that nothing else is stored.
    ///
    /// Reads the whole database once, from a snapshot, on all threads of rayon's pool;
    /// commits go on meanwhile. The snapshot is let go in the last phase, when the database
    /// has been read. `progress` is called by any of the threads, now and then.
    pub fn verify_with(
        &self,
        options: &VerifyOptions,
        progress: impl Fn(VerifyPhase, VerifyProgress) + Sync,
    ) -> Result<VerifyReport, VerifyError> {
        let sizes = Sizes::of(options.memory_bytes, rayon::current_num_threads());
        let directory = self.inner.backend.directory();
        let temporary = Temporary::new(options.temporary.as_deref(), directory);
        self.verify_in(&sizes, &temporary, &progress)
    }

    fn verify_in(
        &self,
        sizes: &Sizes,
        temporary: &Temporary,
        progress: &Progress<'_>,
    ) -> Result<VerifyReport, VerifyError> {
        let published = self.published();
        let view = published.view.as_ref();
        undone::check(view)?;
        let (Some(tip), Some(base)) = (published.tip, published.base) else {
            check_empty(view)?;
            return Ok(VerifyReport {
                tip: None,
                blocks: 0,
                keys: 0,
                versions: 0,
            });
        };
        let chain = chain::read_records(view, base, &tip, temporary)?;
        let meter = |phase| Meter::new(phase, chain.versions, progress);
        let splits = chain::read_lists(view, &chain, &meter(VerifyPhase::Lists))?;
        let plan = Plan::new(chain.heights(), &chain.keys, sizes.versions_a_part);
        let file = temporary.file()?;
        let read = versions::read(
            view,
            &splits,
            &plan,
            &file,
            sizes.part_buffers,
            &meter(VerifyPhase::Versions),
        )?;
        drop(published);
        let folded = Fold {
            chain: &chain,
            sizes,
            temporary,
            meter: &meter(VerifyPhase::Roots),
        }
        .all(&read.parts, &file);
        if let Err(fold::Failure::Mismatch { height, what }) = &folded {
            return Err(self
                .explain(*height)
                .unwrap_or_else(|| corrupt(what).into()));
        }
        folded.map_err(fold::Failure::into_error)?;
        Ok(VerifyReport {
            tip: Some(tip.record),
            blocks: u64::from(tip.record.height - chain.first) + 1,
            keys: read.keys,
            versions: chain.versions,
        })
    }

    /// What exactly is wrong with the block at `height`, if looking at each of its keys
    /// tells: which the search for a wrong block does not.
    fn explain(&self, height: Height) -> Option<VerifyError> {
        let published = self.published();
        let (view, base) = (published.view.as_ref(), published.base?);
        let verified = crate::chain::below(view, &base, height)
            .and_then(|below| verify_block(view, height, &below, u64::MAX));
        Some(verified.err()?.into())
    }
}

/// Makes sure that only the meta space holds anything.
fn check_empty(view: &dyn View) -> Result<(), ReadError> {
    let spaces = Space::ALL.into_iter().filter(|space| *space != Space::Meta);
    crate::open::check_empty(view, &spaces.collect::<Vec<_>>())
}

type Progress<'a> = dyn Fn(VerifyPhase, VerifyProgress) + Sync + 'a;

/// Counts the versions gone through in a phase, on any thread.
struct Meter<'a> {
    phase: VerifyPhase,
    total: u64,
    done: AtomicU64,
    progress: &'a Progress<'a>,
}

impl<'a> Meter<'a> {
    /// Threads count this many versions by themselves before they add them up.
    const STEP: u64 = 1 << 14;

    fn new(phase: VerifyPhase, total: u64, progress: &'a Progress<'a>) -> Self {
        let meter = Self {
            phase,
            total,
            done: AtomicU64::new(0),
            progress,
        };
        meter.add(0);
        meter
    }

    fn add(&self, versions: u64) {
        let done = self.done.fetch_add(versions, Ordering::Relaxed) + versions;
        let total = self.total.max(done);
        (self.progress)(self.phase, VerifyProgress { done, total });
    }
}

/// What the memory for a verification is shared out to.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// The bytes that one thread holds back before it writes them to the temporary file.
    part_buffers: usize,
    /// The bytes of a part that one thread loads at once, with what it needs to sort them.
    load: u64,
    /// How many versions a part is planned for.
    versions_a_part: u64,
}

impl Sizes {
    /// What a version takes in the temporary file is not known before it is there. If it
    /// is more, parts are split again.
    const VERSION_BYTES: u64 = 128;

    fn of(memory_bytes: u64, threads: usize) -> Self {
        let a_thread = memory_bytes.max(MIN_MEMORY) / (threads.max(1) as u64);
        Self {
            part_buffers: usize::try_from(a_thread).unwrap_or(usize::MAX) / 2,
            load: a_thread,
            versions_a_part: a_thread / Self::VERSION_BYTES,
        }
    }
}

/// The record of the tip is told by two spaces.
fn check_tip(last: &StoredBlock, tip: &StoredBlock) -> Result<(), ReadError> {
    if last == tip {
        Ok(())
    } else {
        Err(corrupt(tip_disagrees(tip)))
    }
}
