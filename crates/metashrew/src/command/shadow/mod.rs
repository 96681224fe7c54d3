//! `metashrew shadow`: another guest beside the one that wrote a database, over its blocks.

mod compare;
mod follow;
mod source;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use metashrew_abi::proto::Storage;
use metashrew_store::{BlockId, ResolveError, Snapshot, wait};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use self::compare::{Compared, Outcome};
use self::source::Other;
use super::{Differs, Output, database, differs_unread, keys};
use crate::cli::Shadow;
use crate::console::{self, Console};
use crate::printable;

/// So many blocks that follow each other are run by one thread: a guest that keeps its memory
/// from one to the next has it for these.
const BLOCKS_AT_A_TIME: u32 = 16;

pub(super) fn run(args: &Shadow, console: &Console) -> Result<()> {
    let tables = tables(args)?;
    if args.follow {
        return follow::run(args, &tables);
    }
    let store = database::open_to_read(&args.database.db, args.database.cache.size)?;
    let snapshot = store.snapshot();
    let (first, last) = (snapshot.first(), snapshot.tip().map(|tip| tip.height));
    let (Some(first), Some(last)) = (first, last) else {
        return Err(ResolveError::Empty).context("there is nothing to compare");
    };
    let other = Other::open(args, &store)?;
    let last = other.last().map_or(last, |other| other.min(last));
    let heights = args.from.unwrap_or(first)..=args.to.unwrap_or(last);
    for height in [*heights.start(), *heights.end()] {
        wait(snapshot.resolve(&BlockId::Height(height)))
            .with_context(|| format!("block {height} cannot be compared"))?;
    }
    if heights.is_empty() {
        bail!(
            "--from {} is above --to {}: there is nothing to compare",
            heights.start(),
            heights.end()
        );
    }
    let start = other.first_that_may_differ(&snapshot, &heights)?;
    let started = Instant::now();
    let mut report = Report::new(args, &tables);
    let bar = console.show_bar(0, "{wide_bar} {pos} of {len} blocks, {eta} left");
    let end = u64::from(*heights.end());
    bar.set_length((end + 1).saturating_sub(start));
    report.blocks = start - u64::from(*heights.start());
    let told = over(start..=end, args, &snapshot, &other, |outcome| {
        bar.inc(1);
        report.add(outcome)
    });
    console.hide_bar();
    told?;
    let took = started.elapsed();
    let blocks = u32::try_from(bar.position()).unwrap_or(u32::MAX);
    let per_second = f64::from(blocks) / took.as_secs_f64();
    let took = console::duration(took);
    tracing::info!(blocks, took, "compared, {per_second:.1} blocks/s");
    report.finish(&heights)
}

/// The tables that the guest tells of which the flags name. One that tells of none, or is no
/// guest, has its keys shown in hex.
fn tables(args: &Shadow) -> Result<Vec<Storage>> {
    let path = args.indexer.as_ref().or(args.guest.as_ref());
    let wasm = path.map(|path| database::read_guest(path)).transpose()?;
    Ok(wasm.map(|wasm| keys::tables_of(&wasm)).unwrap_or_default())
}

/// Compares each of these blocks, several at a time, and has `each` told of them in order, until
/// it says that these were enough.
fn over(
    heights: RangeInclusive<u64>,
    args: &Shadow,
    snapshot: &Snapshot,
    other: &Other,
    mut each: impl FnMut(Outcome) -> Result<bool>,
) -> Result<()> {
    let cores = available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or(cores, usize::from);
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("metashrew-shadow-{number}"))
        .build()
        .context("the threads cannot be started")?;
    let (mut next, last) = heights.into_inner();
    while next <= last {
        let starts = (next..=last).step_by(BLOCKS_AT_A_TIME as usize);
        let runs: Vec<_> = starts.take(threads).collect();
        next += threads as u64 * u64::from(BLOCKS_AT_A_TIME);
        let outcomes: Vec<_> = pool.install(|| {
            runs.into_par_iter()
                .map(|start| {
                    let end = last.min(start + u64::from(BLOCKS_AT_A_TIME) - 1);
                    let mut run = other.run();
                    (start..=end)
                        .map(|height| {
                            let height = u32::try_from(height)?;
                            run.compare(snapshot, height, args.limit)
                        })
                        .collect::<Vec<Result<Outcome>>>()
                })
                .collect()
        });
        for outcome in outcomes.into_iter().flatten() {
            if !each(outcome?)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What is printed, and how much of it.
struct Report<'a> {
    args: &'a Shadow,
    tables: &'a [Storage],
    blocks: u64,
    differ: u64,
    keys: u64,
    idle: u64,
}

impl<'a> Report<'a> {
    fn new(args: &'a Shadow, tables: &'a [Storage]) -> Self {
        Self {
            args,
            tables,
            blocks: 0,
            differ: 0,
            keys: 0,
            idle: 0,
        }
    }

    /// Prints a block that differs, and says whether to go on.
    fn add(&mut self, outcome: Outcome) -> Result<bool> {
        let Outcome { height, compared } = outcome;
        self.blocks += 1;
        if let Compared::Writes { idle, .. } = compared {
            self.idle += idle;
        }
        let Some(text) = self.text(height, &compared) else {
            return Ok(true);
        };
        self.differ += 1;
        if self.differ <= self.args.limit as u64 {
            write(&text).map_err(differs_unread)?;
        }
        Ok(self.args.all)
    }

    /// What to print of a block; none if it does not differ.
    fn text(&mut self, height: u32, compared: &Compared) -> Option<String> {
        let mut text = String::new();
        match compared {
            Compared::Failed { error } => {
                let error = printable::line(error);
                writeln!(text, "block {height}: the other guest fails: {error}")
            }
            Compared::Writes { differ: 0, .. } => return None,
            Compared::Writes {
                differ,
                keys: changed,
                ..
            } => {
                self.keys += differ;
                writeln!(text, "block {height}: {differ} keys differ").ok();
                for it in changed {
                    let key = keys::named(self.tables, &it.key);
                    writeln!(text, "  {key}: {} -> {}", it.old, it.new).ok();
                }
                match differ - changed.len() as u64 {
                    0 => Ok(()),
                    more => writeln!(text, "  and {more} more"),
                }
            }
        }
        .expect("a String takes every line");
        Some(text)
    }

    /// Prints the counts.
    fn finish(&self, heights: &RangeInclusive<u32>) -> Result<()> {
        let (from, to) = (heights.start(), heights.end());
        let mut text = String::new();
        let of = u64::from(to - from) + 1;
        if self.blocks < of {
            writeln!(text, "compared: {} of blocks {from} to {to}", self.blocks)
        } else {
            writeln!(text, "compared: blocks {from} to {to}")
        }
        .expect("a String takes every line");
        writeln!(
            text,
            "differ: {} blocks, {} keys\nwritten otherwise without effect: {} keys",
            self.differ, self.keys, self.idle
        )
        .expect("a String takes every line");
        let written = write(&text);
        if self.differ == 0 {
            written
        } else {
            written.map_err(differs_unread)?;
            Err(Differs.into())
        }
    }
}

fn write(text: &str) -> Result<()> {
    let written = io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Output(error).into())
}
