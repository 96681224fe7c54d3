//! `metashrew shadow --follow`: blocks are indexed as they come, by the guest that wrote the database, and
//! each is compared once it is committed, those that take the place of others too.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use metashrew_abi::proto::Storage;
use metashrew_store::{BlockHash, Snapshot};
use metashrew_sync::{IndexOptions, Indexer, ScoutCount, Stop};

use super::source::{self, Other};
use super::{Report, over, write};
use crate::cli::Shadow;
use crate::command::ending::Ending;
use crate::command::running::Running;
use crate::command::{blocks, database};

/// How often it is looked for blocks that are committed.
const TICK: Duration = Duration::from_millis(100);

pub(super) fn run(args: &Shadow, tables: &[Storage]) -> Result<()> {
    if let (Some(from), Some(to)) = (args.from, args.to) {
        ensure!(
            from <= to,
            "--from {from} is above --to {to}: there is nothing to compare"
        );
    }
    let stop = Ending::catch()?.heed("no more blocks are compared", || {})?;
    let store = database::open_existing(&args.database)?;
    let node = blocks::open(&args.blocks, &args.database.db)?;
    let path = args.indexer.as_ref().context("no --indexer is given")?;
    let indexing = source::runtime(path, &store, None)?;
    let other = Other::guest(args, &store, node.clone())?;
    let options = IndexOptions {
        exit_at: args.to,
        follow: args.blocks.node.rpc_url.is_some(),
        // The cores are for the comparisons.
        scouts: ScoutCount::Exactly(0),
        ..IndexOptions::default()
    };
    let horizon = options.reorg_horizon;
    let mut following = Following {
        args,
        other,
        stop: stop.clone(),
        report: Report::new(args, tables),
        heights: None,
        last: VecDeque::new(),
        kept: horizon as usize + 1,
    };
    let running = Running::start(Indexer::new(indexing, node, options), stop.clone())?;
    let mut ended = None;
    let compared = loop {
        // What was committed before the end is in the snapshot after it.
        ended = ended.or_else(|| running.ended(TICK));
        match following.compare(&store.snapshot()) {
            Ok(true) if ended.is_none() => {}
            compared => break compared,
        }
    };
    stop.request();
    while ended.is_none() {
        ended = running.ended(TICK);
    }
    let closed = store.close();
    compared?;
    let finished = following.finish();
    if let Some(Err(error)) = ended {
        return Err(error).context("the blocks cannot be followed");
    }
    closed.context("the database cannot be closed")?;
    finished
}

struct Following<'a> {
    args: &'a Shadow,
    other: Other,
    stop: Stop,
    report: Report<'a>,
    /// The lowest and the highest block that were compared.
    heights: Option<RangeInclusive<u32>>,
    /// The blocks that were compared last.
    last: VecDeque<(u32, BlockHash)>,
    /// So many of them are kept: more than a reorganisation may undo.
    kept: usize,
}

impl Following<'_> {
    /// Compares the blocks of a snapshot that were not compared yet, and says whether to go on.
    fn compare(&mut self, snapshot: &Snapshot) -> Result<bool> {
        let (Some(first), Some(tip)) = (snapshot.first(), snapshot.tip()) else {
            return Ok(!self.stop.is_requested());
        };
        let to = tip.height.min(self.args.to.unwrap_or(u32::MAX));
        let from = self.next(snapshot)?.max(first);
        let mut goes_on = !self.stop.is_requested();
        if from > to || !goes_on {
            return Ok(goes_on);
        }
        let (report, stop, mut last) = (&mut self.report, &self.stop, from);
        let heights = u64::from(from)..=u64::from(to);
        over(heights, self.args, snapshot, &self.other, |outcome| {
            last = outcome.height;
            goes_on = report.add(outcome)? && !stop.is_requested();
            Ok(goes_on)
        })?;
        tracing::debug!("compared: blocks {from} to {last}");
        let (lowest, highest) = self
            .heights
            .take()
            .map_or((from, last), RangeInclusive::into_inner);
        self.heights = Some(lowest.min(from)..=highest.max(last));
        let kept = u32::try_from(self.kept).unwrap_or(u32::MAX);
        for height in from.max(last.saturating_sub(kept))..=last {
            let record = snapshot.block(height)?;
            let record = record.with_context(|| format!("block {height} is not there"))?;
            self.last.push_back((height, record.hash));
            if self.last.len() > self.kept {
                self.last.pop_front();
            }
        }
        Ok(goes_on)
    }

    /// The first block to compare: the one above the last that was compared and is still there.
    fn next(&mut self, snapshot: &Snapshot) -> Result<u32> {
        while let Some((height, hash)) = self.last.back() {
            let record = snapshot.block(*height)?;
            if record.is_some_and(|record| record.hash == *hash) {
                return Ok(height.saturating_add(1));
            }
            self.last.pop_back();
        }
        Ok(self.args.from.unwrap_or_default())
    }

    /// Prints the counts.
    fn finish(&self) -> Result<()> {
        match &self.heights {
            Some(heights) => self.report.finish(heights),
            None => write("compared: no block\n"),
        }
    }
}
