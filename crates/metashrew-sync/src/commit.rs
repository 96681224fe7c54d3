//! Commits blocks, and waits where the machine cannot: until there is room on the
//! disk, and until a write that failed succeeds.
//!
//! Only the thread that called [`Indexer::run`] commits. What was processed is kept
//! meanwhile, and tried again as it is.

use std::sync::Arc;
use std::time::Instant;

use metashrew_store::{BlockRef, CommitError, WriteSet};

use crate::error::IndexError;
use crate::execute::Processed;
use crate::indexer::Indexer;
use crate::machine::WaitsFor;
use crate::progress::{Asked, Span, WriteKind};
use crate::stop::Stop;

/// How many bytes are free where the database is, if that can be told.
pub(crate) type FreeSpace = Box<dyn Fn() -> Option<u64> + Send + Sync>;

/// Too little room is left to commit anything.
#[derive(Debug, thiserror::Error)]
#[error("{free} bytes are free where the database is, fewer than the {reserve} to be left free")]
struct DiskLow {
    free: u64,
    reserve: u64,
}

/// What came of blocks that were to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Committed {
    /// All of them are.
    All,
    /// None of them is, and a stop was requested.
    Stopped,
    /// None of them is: the chain in the store is another than they stand on.
    Moved,
}

impl Indexer {
    /// Commits blocks, all at once, however long the machine is unable to.
    pub(crate) fn commit(
        &self,
        blocks: &[Processed],
        stop: &Stop,
    ) -> Result<Committed, IndexError> {
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
            return Ok(Committed::All);
        };
        let (first, last) = (first.block, last.block);
        let batch: Vec<_> = blocks
            .iter()
            .map(|block| (block.block, Arc::clone(&block.writes)))
            .collect();
        let mut failures = 0_u32;
        let since = loop {
            if !self.has_space(stop) {
                return Ok(Committed::Stopped);
            }
            let since = Instant::now();
            let Err(source) = self.try_commit(&batch, first, last, since) else {
                break since;
            };
            // A write that failed may have got through all the same.
            if failures > 0 && is_not_next(&source) {
                self.progress.answered(Asked::Commit);
                if self.is_tip(&last) {
                    break since;
                }
                return Ok(Committed::Moved);
            }
            let error = IndexError::Commit {
                first: first.height,
                last: last.height,
                source,
            };
            let Some(waits_for) = error.waits_for() else {
                return Err(error);
            };
            failures = failures.saturating_add(1);
            let pause = self.options.backoff.pause(failures);
            self.progress
                .machine_failed(Asked::Commit, waits_for, &error, Some(pause));
            if stop.wait(pause) {
                return Ok(Committed::Stopped);
            }
        };
        self.progress.answered(Asked::Commit);
        self.count(blocks, since);
        Ok(Committed::All)
    }

    fn try_commit(
        &self,
        batch: &[(BlockRef, Arc<WriteSet>)],
        first: BlockRef,
        last: BlockRef,
        since: Instant,
    ) -> Result<(), CommitError> {
        let blocks = (first.height, last.height);
        let commit = || self.runtime.store().commit_batch(batch);
        let result = self.progress.write(WriteKind::Commit, blocks, commit);
        self.progress.spend(Span::Committing, since);
        result.map(drop)
    }

    fn is_tip(&self, block: &BlockRef) -> bool {
        let snapshot = self.runtime.store().snapshot();
        let tip = snapshot.tip();
        tip.is_some_and(|tip| (tip.height, tip.hash) == (block.height, block.hash))
    }

    fn count(&self, blocks: &[Processed], since: Instant) {
        self.progress
            .set_height(blocks.last().map(|last| last.block.height));
        for block in blocks {
            self.progress.count_block(block.bytes, block.writes.len());
            if let Some(told) = &self.timings {
                told(block.timing);
            }
            if let Some(noticed) = block.noticed {
                self.progress.visible(noticed);
                let (height, took) = (block.block.height, noticed.elapsed());
                let committing = since.elapsed();
                tracing::debug!(height, ?took, ?committing, "a new block can be seen");
            }
        }
        let height = |block: Option<&Processed>| block.map(|block| block.block.height);
        let (first, last, took) = (
            height(blocks.first()),
            height(blocks.last()),
            since.elapsed(),
        );
        tracing::debug!(first, last, ?took, "blocks are committed");
        self.progress.count_commit();
        self.progress.tell_caught_up(&self.options);
        self.progress.answered(Asked::Connection);
    }

    /// Waits until there is more room than the reserve; false if a stop was
    /// requested before.
    fn has_space(&self, stop: &Stop) -> bool {
        let reserve = self.options.min_free_space;
        let Some(free_space) = self.free_space.as_ref().filter(|_| reserve > 0) else {
            return true;
        };
        let mut failures = 0_u32;
        loop {
            let enough = |free| is_enough(free, reserve, failures > 0);
            // Where nobody knows, the commit itself will tell what is wrong.
            let Some(free) = free_space().filter(|free| !enough(*free)) else {
                self.progress.answered(Asked::Space);
                return true;
            };
            failures = failures.saturating_add(1);
            let pause = self.options.backoff.pause(failures);
            let error = DiskLow { free, reserve };
            self.progress
                .machine_failed(Asked::Space, WaitsFor::Disk, &error, Some(pause));
            if stop.wait(pause) {
                return false;
            }
        }
    }
}

/// Whether so much room is enough. A pause ends a little above the reserve, by a
/// sixteenth of it and 64 MiB at most: what is written at once would else begin the
/// next one.
fn is_enough(free: u64, reserve: u64, pausing: bool) -> bool {
    const MOST: u64 = 64 << 20;
    let margin = if pausing { MOST.min(reserve / 16) } else { 0 };
    free >= reserve.saturating_add(margin)
}

fn is_not_next(error: &CommitError) -> bool {
    matches!(
        error,
        CommitError::NotNext { .. } | CommitError::NotConnected { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_a_little_above_the_reserve() {
        for (free, pausing, enough) in [
            (1_599, false, false),
            (1_600, false, true),
            (1_600, true, false),
            (1_699, true, false),
            (1_700, true, true),
        ] {
            assert_eq!(is_enough(free, 1_600, pausing), enough, "{free}, {pausing}");
        }
    }
}
