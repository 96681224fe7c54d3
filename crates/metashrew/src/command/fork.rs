//! `metashrew fork`: a second database that goes on from an earlier block.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use metashrew_runtime::{PreparedGuest, RuntimeOptions};
use metashrew_store::{Files, ForkOptions, ForkStep, Forked, GuestId, Store, Transferred};

use super::{Output, database};
use crate::cli::Fork;
use crate::console;

pub(super) fn run(args: &Fork) -> Result<()> {
    // What is no guest is told before anything is made.
    let guest = args.indexer.as_deref().map(guest).transpose()?;
    let options = ForkOptions {
        at: args.at,
        guest,
        way: None,
        store: database::options(args.database.cache.size)?,
    };
    let started = Instant::now();
    let forked = Store::fork(&args.database.db, &args.to, &options, tell).with_context(|| {
        let (from, to) = (args.database.db.display(), args.to.display());
        format!("`{from}` cannot be forked to `{to}`")
    })?;
    let took = console::duration(started.elapsed());
    tracing::info!(took, "the fork is made");
    std::io::stdout()
        .write_all(text(&forked).as_bytes())
        .map_err(|error| Output(error).into())
}

/// Who the guest in the file `path` is. Fails if it cannot index.
fn guest(path: &Path) -> Result<GuestId> {
    let wasm = database::read_guest(path)?;
    let is_none = || format!("`{}` is no guest", path.display());
    let guest = PreparedGuest::new(&wasm, RuntimeOptions::default()).with_context(is_none)?;
    guest.check_start().with_context(is_none)?;
    Ok(guest.id())
}

fn tell(step: ForkStep) {
    let step = match step {
        ForkStep::Take => "taking the files",
        ForkStep::Cut => "dropping the blocks above the last one to keep",
        ForkStep::Finish => "noting what the fork is",
        ForkStep::Name => "giving it its name",
    };
    tracing::debug!("{step}");
}

fn text(forked: &Forked) -> String {
    let tip = &forked.tip;
    let mut text = String::new();
    for (means, files) in means(&forked.tables) {
        if files.count > 0 {
            let Files { count, bytes } = files;
            writeln!(text, "{means}: {count} tables, {bytes} bytes")
                .expect("a String takes every line");
        }
    }
    match forked.rewritten {
        None => writeln!(text, "copied: the log, {} bytes", forked.log_bytes),
        Some(versions) => writeln!(text, "rewritten: {versions} versions"),
    }
    .expect("a String takes every line");
    write!(
        text,
        "dropped: {} blocks\ntip: {} {}\nhistory root: 0x{}\n",
        forked.original_tip - tip.height,
        tip.height,
        tip.hash,
        tip.history_root
    )
    .expect("a String takes every line");
    text
}

fn means(tables: &Transferred) -> [(&'static str, Files); 3] {
    [
        ("linked", tables.linked),
        ("shared", tables.cloned),
        ("copied", tables.copied),
    ]
}
