//! `metashrew verify`: whether the database holds what its roots say.

use std::io::Write;

use anyhow::{Context, Result};

use super::{Output, database};
use crate::cli::Verify;
use crate::console::Console;

pub(super) fn run(args: &Verify, console: &Console) -> Result<()> {
    let db = &args.database.db;
    let store = if args.accept_lost_commits {
        database::open_accepting_lost_commits(db)?
    } else {
        database::open_to_read(db)?
    };
    let bar = console.show_bar(0, "{wide_bar} {pos}/{len} blocks, {eta} left");
    let verified = store.verify(|height, tip| {
        let first = store.snapshot().first().unwrap_or(0);
        bar.set_length(u64::from(tip.saturating_sub(first)) + 1);
        bar.set_position(u64::from(height.saturating_sub(first)) + 1);
    });
    console.hide_bar();
    let report = verified.with_context(|| format!("`{}` is not as it should be", db.display()))?;
    let text = match report.tip {
        Some(tip) => format!(
            "ok: {} blocks, {} keys, {} versions\ntip: {} {}\nhistory root: 0x{}\n",
            report.blocks, report.keys, report.versions, tip.height, tip.hash, tip.history_root
        ),
        None => "ok: no block is indexed\n".to_owned(),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Output(error).into())
}
