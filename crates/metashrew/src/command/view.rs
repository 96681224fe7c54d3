//! `metashrew view`: one answer, from a server or straight from a database.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use jsonrpsee::core::client::ClientT;
use jsonrpsee::http_client::HttpClientBuilder;
use jsonrpsee::rpc_params;
use metashrew_runtime::{MetashrewRuntime, RuntimeOptions, ViewOptions};

use super::{Output, database};
use crate::cli::{View, ViewSource};
use crate::input;

/// The longest answer read from a server, in bytes of JSON.
const MAX_ANSWER: u32 = 1 << 30;

/// How long a server may take. Its own limit ends a view much earlier.
const PATIENCE: Duration = Duration::from_mins(10);

pub(super) fn run(args: &View) -> Result<()> {
    let input = input::read(&args.input)?;
    let answer = match args.source().context("nobody to ask is named")? {
        ViewSource::Server { url } => ask_server(args, url, &input)?,
        ViewSource::Database { db, indexer } => ask_database(args, db, indexer, &input)?,
    };
    let text = input::print(&answer, args.form)?;
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}").map_err(|error| Output(error).into())
}

fn ask_database(args: &View, db: &Path, indexer: &Path, input: &[u8]) -> Result<Vec<u8>> {
    let wasm = database::read_guest(indexer)?;
    let store = database::open_existing(db)?;
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
    let answer = runtime
        .view_sync(&args.name, input, &args.height)
        .with_context(|| failed(args))?;
    Ok(answer.bytes.to_vec())
}

fn ask_server(args: &View, url: &str, input: &[u8]) -> Result<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client = HttpClientBuilder::default()
        .max_request_size(u32::MAX)
        .max_response_size(MAX_ANSWER)
        .request_timeout(PATIENCE)
        .build(url)
        .with_context(|| format!("`{url}` is no server's address"))?;
    let params = rpc_params![
        &args.name,
        hex::encode_prefixed(input),
        args.height.to_string()
    ];
    let answer: String = runtime
        .block_on(client.request("metashrew_view", params))
        .map_err(|error| from_server(error, url))
        .with_context(|| failed(args))?;
    hex::decode(&answer).with_context(|| format!("the server at `{url}` did not answer in hex"))
}

/// What a server says in an error, without the frame it came in.
fn from_server(error: jsonrpsee::core::client::Error, url: &str) -> anyhow::Error {
    match error {
        jsonrpsee::core::client::Error::Call(error) => {
            let mut lines = vec![error.message().to_owned()];
            let data = error
                .data()
                .and_then(|data| serde_json::from_str::<serde_json::Value>(data.get()).ok());
            let frames = data.as_ref().and_then(|data| data["backtrace"].as_array());
            for (index, frame) in frames.into_iter().flatten().enumerate() {
                lines.push(format!("  {index}: {}", frame.as_str().unwrap_or("?")));
            }
            anyhow::Error::msg(lines.join("\n"))
        }
        other => {
            anyhow::Error::new(other).context(format!("the server at `{url}` does not answer"))
        }
    }
}

fn failed(args: &View) -> String {
    format!("the view `{}` at block `{}` failed", args.name, args.height)
}
