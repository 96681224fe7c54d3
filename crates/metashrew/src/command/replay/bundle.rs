//! `metashrew replay make` and `replay run`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use metashrew_runtime::{
    Bundle, BundleError, MAX_BUNDLE_BYTES, MetashrewRuntime, Outcome, ReadCounts, ReplayError,
};
use metashrew_store::HistoryRoot;

use super::summary::{Compared, Summary, failed};
use super::{Located, alone, prepare, print};
use crate::cli::{ReplayMake, ReplayRun};
use crate::command::database;

pub(super) fn make(args: &ReplayMake) -> Result<()> {
    let indexer = args.block.indexer()?;
    let wasm = database::read_guest(indexer)?;
    let guest = prepare(&wasm, indexer, args.time)?;
    let located = Located::find(&args.block)?;
    let runtime = guest.over(located.store.clone())?;
    let root = located
        .below
        .base
        .map_or(HistoryRoot::EMPTY, |base| base.history_root);
    let (state, block) = (located.below.state.clone(), located.block);
    let made = Bundle::make(&runtime, state, root, block, located.bytes.clone());
    let (mut bundle, reads) =
        made.with_context(|| format!("block {} ({}) cannot be packed", block.height, block.hash))?;
    bundle.module = args.with_guest.then(|| Bytes::from(wasm));
    let bytes = bundle.encode().context("the block cannot be packed")?;
    check(&bundle, &Bundle::decode(&bytes)?, &runtime)?;
    std::fs::write(&args.out, &bytes)
        .with_context(|| format!("`{}` cannot be written", args.out.display()))?;
    let mut summary = Summary::of(&bundle.block, &bundle.guest);
    summary.read(&reads);
    match &bundle.outcome {
        Outcome::Wrote(writes) => summary.wrote(writes, &bundle.history_root(writes)),
        Outcome::Failed(fault) => summary.line("failed", first_line(fault)),
    }
    let out = args.out.display();
    summary.line("bundle", format!("{out}, {} bytes", bytes.len()));
    print(&summary)
}

/// Makes sure that what was packed gives what the database gave.
fn check(made: &Bundle, packed: &Bundle, runtime: &MetashrewRuntime) -> Result<()> {
    let (_, result) = packed.run(runtime, ReadCounts::default());
    let is_same = match (&made.outcome, result) {
        (Outcome::Wrote(made), Ok(writes)) => made.sorted().eq(writes.sorted()),
        (Outcome::Failed(made), Err(ReplayError::Guest(fault))) => *made == fault.to_string(),
        _ => false,
    };
    if !is_same {
        bail!(
            "the block came out otherwise when what was packed was run: a bundle of it is of no use"
        );
    }
    Ok(())
}

pub(super) fn run(args: &ReplayRun) -> Result<()> {
    let bundle = open(&args.bundle)?;
    let (wasm, name) = guest_of(&bundle, &args.bundle, args.indexer.as_deref())?;
    let runtime = alone(prepare(&wasm, name, args.time)?)?;
    let mut summary = Summary::of(&bundle.block, runtime.guest_id());
    let (reads, result) = bundle.run(&runtime, ReadCounts::default());
    summary.read(&reads);
    let is_guests = |error: &ReplayError| matches!(error, ReplayError::Guest(_));
    let writes = result.map_err(failed(&bundle.block, is_guests))?;
    summary.wrote(&writes, &bundle.history_root(&writes));
    match &bundle.outcome {
        Outcome::Failed(fault) => {
            let fault = first_line(fault);
            summary.line("packed", format!("the guest failed: {fault}"));
            print(&summary)
        }
        Outcome::Wrote(packed) => {
            let compared = Compared {
                what: "packed",
                expected: packed,
                replayed: &writes,
                below: None,
            };
            compared.tell("packed", summary, args.diff.then_some(&wasm[..]))
        }
    }
}

/// The bundle in the file `path`.
pub(in crate::command) fn open(path: &Path) -> Result<Bundle> {
    let bytes = read(path)?;
    Bundle::decode(&bytes).with_context(|| format!("`{}` cannot be used", path.display()))
}

/// The guest that runs a bundle of the file `path`, and where it is from: the one in the file
/// `indexer`, or the one that is packed.
pub(in crate::command) fn guest_of<'a>(
    bundle: &Bundle,
    path: &'a Path,
    indexer: Option<&'a Path>,
) -> Result<(Vec<u8>, &'a Path)> {
    match (indexer, &bundle.module) {
        (Some(indexer), _) => Ok((database::read_guest(indexer)?, indexer)),
        (None, Some(module)) => Ok((module.to_vec(), path)),
        (None, None) => bail!(
            "`{}` was made without its guest, {}: give that or another with --indexer",
            path.display(),
            bundle.guest
        ),
    }
}

/// The bytes of a file that may be a bundle.
fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = MAX_BUNDLE_BYTES as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.with_context(|| format!("`{}` cannot be read", path.display()))?;
    if bytes.len() as u64 == most {
        return Err(BundleError::TooLong)
            .with_context(|| format!("`{}` cannot be used", path.display()));
    }
    Ok(bytes)
}

/// A fault without its backtrace.
fn first_line(fault: &str) -> &str {
    fault.lines().next().unwrap_or_default()
}
