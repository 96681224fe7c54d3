//! `metashrew keys`: the state at a block, as newline-delimited JSON.

use std::io::{self, BufWriter, Write};

use anyhow::{Context, Result};
use metashrew_store::wait;

use super::{Output, database};
use crate::cli::Keys;

pub(super) fn run(args: &Keys) -> Result<()> {
    let store = database::open_to_read(&args.database.db, args.database.cache.size)?;
    let snapshot = store.snapshot();
    let block = wait(snapshot.resolve(&args.height))
        .with_context(|| format!("there is no state at block `{}`", args.height))?;
    let prefix = args.prefix.clone().unwrap_or_default();
    let limit = usize::try_from(args.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let mut output = BufWriter::new(io::stdout().lock());
    for entry in snapshot.at(block.height).scan_prefix(&prefix.0).take(limit) {
        let (key, version) = entry?;
        writeln!(
            output,
            r#"{{"key":"{}","value":"{}","height":{}}}"#,
            hex::encode_prefixed(&key),
            hex::encode_prefixed(&version.value),
            version.height
        )
        .map_err(Output)?;
    }
    output.flush().map_err(|error| Output(error).into())
}
