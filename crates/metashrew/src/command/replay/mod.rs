//! `metashrew replay`: one block run again, on a database or on what was packed of one.

mod block;
mod bundle;
mod summary;

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use metashrew_runtime::{
    BlockError, MetashrewRuntime, PreparedGuest, ReadCounts, RuntimeOptions, ViewOptions,
};
use metashrew_store::{HistoryRoot, Store};

use super::{Output, database};
use crate::cli::{Replay, ReplayBundle, TimeLimit};
use summary::{Compared, Summary};

pub(in crate::command) use block::Located;
pub(in crate::command) use bundle::{guest_of, open as open_bundle};

pub(super) fn run(args: &Replay) -> Result<()> {
    match &args.bundle {
        None => on_database(args),
        Some(ReplayBundle::Make(make)) => bundle::make(make),
        Some(ReplayBundle::Run(run)) => bundle::run(run),
    }
}

fn on_database(args: &Replay) -> Result<()> {
    let wasm = database::read_guest(args.block.indexer()?)?;
    let guest = prepare(&wasm, args.block.indexer()?, args.time)?;
    let located = Located::find(&args.block)?;
    let runtime = guest.over(located.store.clone())?;
    let (block, below) = (located.block, &located.below);
    let mut summary = Summary::of(&block, runtime.guest_id());
    let (reads, result) = runtime.observe_block(
        below.state.clone(),
        block.height,
        located.bytes.clone(),
        ReadCounts::default(),
    );
    summary.read(&reads);
    let is_guests = |error: &BlockError| matches!(error, BlockError::Guest(_));
    let writes = result.map_err(summary::failed(&block, is_guests))?;
    let root = below
        .base
        .map_or(HistoryRoot::EMPTY, |base| base.history_root);
    let root = writes.history_root(&block, &root);
    summary.wrote(&writes, &root);
    let Some(stored) = located.stored else {
        summary.line("database", "has no such block yet");
        return print(&summary);
    };
    if stored.history_root == root {
        summary.line("database", "the same");
        return print(&summary);
    }
    let stored = located.store.snapshot().writes_of(block.height)?;
    let compared = Compared {
        what: "stored",
        expected: &stored,
        replayed: &writes,
        below: Some(&below.state),
    };
    let diff = args.diff.then_some(&wasm[..]);
    compared.tell("database", summary, diff)
}

/// The guest in the file `path`, which must be able to index.
fn prepare(wasm: &[u8], path: &Path, time: TimeLimit) -> Result<PreparedGuest> {
    let options = RuntimeOptions {
        block_timeout: time.of_a_block(),
        views: ViewOptions {
            // No view is asked.
            enabled: false,
            instances: std::num::NonZeroUsize::MIN,
            ..ViewOptions::default()
        },
        ..RuntimeOptions::default()
    };
    let no_guest = || format!("`{}` cannot be used as a guest", path.display());
    let guest = PreparedGuest::new(wasm, options).with_context(no_guest)?;
    guest.check_start().with_context(no_guest)?;
    Ok(guest)
}

/// A guest without a database.
fn alone(guest: PreparedGuest) -> Result<MetashrewRuntime> {
    Ok(guest.over(Store::in_memory())?)
}

fn print(summary: &Summary) -> Result<()> {
    let mut output = BufWriter::new(std::io::stdout().lock());
    let written = write!(output, "{summary}").and_then(|()| output.flush());
    written.map_err(|error| Output(error).into())
}
