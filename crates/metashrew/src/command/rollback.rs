//! `metashrew rollback`: back to an earlier block.

use std::io::Write;

use anyhow::{Context, Result};
use metashrew_store::{BlockId, wait};

use super::{Output, database};
use crate::cli::Rollback;

pub(super) fn run(args: &Rollback) -> Result<()> {
    let store = database::open_existing(&args.database)?;
    let snapshot = store.snapshot();
    let tip = wait(snapshot.resolve(&BlockId::Latest))?;
    // A height above the tip would be done at once, and most likely be a slip.
    wait(snapshot.resolve(&BlockId::Height(args.to)))?;
    let left = store
        .rollback(Some(args.to))
        .with_context(|| format!("rolling back to block {} failed", args.to))?;
    let text = match left {
        Some(left) => format!(
            "dropped {} blocks\ntip: {} {}\nhistory root: 0x{}\n",
            tip.height - left.height,
            left.height,
            left.hash,
            left.history_root
        ),
        None => "no block is left\n".to_owned(),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Output(error).into())
}
