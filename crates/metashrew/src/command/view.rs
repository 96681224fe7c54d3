//! `metashrew view`: one answer, from a server or straight from a database.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use metashrew_runtime::{MetashrewRuntime, RuntimeOptions, ViewOptions};
use metashrew_store::BlockId;
use serde_json::{Value, json};

use super::{Output, database};
use crate::cli::{ServerUrl, View, ViewBlock, ViewSource};
use crate::client::{Client, RpcError};
use crate::input;

/// The longest answer read from a server, in bytes of JSON.
const MAX_ANSWER: u64 = 1 << 30;

/// How long a server may take. Its own limit ends a view much earlier.
const PATIENCE: Duration = Duration::from_mins(10);

pub(super) fn run(args: &View) -> Result<()> {
    let input = input::read(&args.input)?;
    let answer = match (
        args.source().context("nobody to ask is named")?,
        args.height,
    ) {
        (ViewSource::Server { url }, _) => ask_server(args, url, &input)?,
        (ViewSource::Database { db, indexer }, ViewBlock::Indexed(block)) => {
            ask_database(args, db, indexer, &input, &block)?
        }
        (ViewSource::Database { .. }, ViewBlock::Pending) => {
            bail!("a database has no pending block");
        }
    };
    let mut output = std::io::stdout().lock();
    let text = input::print(&answer, args.form, output.is_terminal())?;
    writeln!(output, "{text}").map_err(|error| Output(error).into())
}

fn ask_database(
    args: &View,
    db: &Path,
    indexer: &Path,
    input: &[u8],
    block: &BlockId,
) -> Result<Vec<u8>> {
    let wasm = database::read_guest(indexer)?;
    let store = database::open_to_read(db, args.cache.size)?;
    let options = RuntimeOptions {
        views: ViewOptions {
            // One call needs no instance that outlives it.
            enabled: false,
            instances: std::num::NonZeroUsize::MIN,
            ..ViewOptions::default()
        },
        ..RuntimeOptions::default()
    };
    let runtime = MetashrewRuntime::with_options(&wasm, store, options)
        .with_context(|| format!("`{}` is no guest", indexer.display()))?;
    if !args.accept_guest_change {
        runtime.store().check_guest(runtime.guest_id())?;
    }
    let answer = runtime
        .view_sync(&args.name, input, block)
        .with_context(|| failed(args))?;
    Ok(answer.bytes.to_vec())
}

fn ask_server(args: &View, url: &ServerUrl, input: &[u8]) -> Result<Vec<u8>> {
    let client = Client::new(url, PATIENCE, MAX_ANSWER)?;
    let input = hex::encode_prefixed(input);
    let params = json!([args.name, input, args.height.to_string()]);
    let answer = client
        .call::<String>("metashrew_view", &params)
        .with_context(|| format!("the server at `{url}` does not answer"))
        .and_then(|answer| answer.map_err(|error| from_server(&error)))
        .with_context(|| failed(args))?;
    hex::decode(&answer).with_context(|| format!("the server at `{url}` did not answer in hex"))
}

/// What a server says in an error, without the frame it came in.
fn from_server(error: &RpcError) -> anyhow::Error {
    let mut lines = vec![error.message.clone()];
    let frames = error.data.get("backtrace").and_then(Value::as_array);
    for (index, frame) in frames.into_iter().flatten().enumerate() {
        lines.push(format!("  {index}: {}", frame.as_str().unwrap_or("?")));
    }
    anyhow::Error::msg(lines.join("\n"))
}

fn failed(args: &View) -> String {
    format!("the view `{}` at block `{}` failed", args.name, args.height)
}
