//! `metashrew status`: asks a running `metashrew start` how it is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Output;
use crate::cli::{ServerUrl, Status};
use crate::client::Client;
use crate::reading::SLOW_BLOCK;
use crate::{console, printable};

/// How long the server may take: it answers this at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

pub(super) fn run(args: &Status) -> Result<()> {
    let url = &args.server.url;
    let (ready, stats) =
        ask(url).with_context(|| format!("the server at `{url}` does not answer"))?;
    let text = if args.json {
        let json = json!({ "ready": ready, "stats": stats }).to_string();
        format!("{}\n", printable::json(&json))
    } else {
        let unreadable = "the server's answer is not what one of this version gives";
        let ready = Ready::deserialize(ready).context(unreadable)?;
        lines(&ready, &Stats::deserialize(stats).context(unreadable)?)
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Output(error).into())
}

/// What `/ready` and `metashrew_stats` say.
fn ask(url: &ServerUrl) -> Result<(Value, Value)> {
    let client = Client::new(url, PATIENCE, MAX_ANSWER)?;
    let ready = client.get("/ready")?;
    match client.call("metashrew_stats", &json!([]))? {
        Ok(stats) => Ok((ready, stats)),
        Err(error) => bail!("it does not know `metashrew_stats`: {}", error.message),
    }
}

/// What `/ready` says, as far as it is printed.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Ready {
    ready: Option<bool>,
    reason: Option<String>,
}

/// What `metashrew_stats` says, as far as it is printed. A server may know less.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Stats {
    tip: Option<Tip>,
    guests: Vec<Guest>,
    indexing: Indexing,
    read_cache: ReadCache,
    process: Process,
    storage: Option<Storage>,
    database: Database,
}

#[derive(Deserialize)]
struct Tip {
    height: u32,
    block_hash: String,
    history_root: String,
}

#[derive(Deserialize)]
struct Guest {
    sha256: String,
    name: Option<String>,
    version: Option<String>,
    from: u32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Indexing {
    state: Option<String>,
    node_tip: Option<u32>,
    error: Option<String>,
    hint: Option<String>,
    failed_block: Option<FailedBlock>,
    current_block: Option<CurrentBlock>,
    current_write: Option<CurrentWrite>,
    blocks_per_second: Option<f64>,
    bytes_per_second: Option<f64>,
    eta_seconds: Option<f64>,
    last_reorg: Option<Reorg>,
    sources: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct FailedBlock {
    height: u32,
}

#[derive(Deserialize)]
struct CurrentBlock {
    height: u32,
    block_hash: String,
    seconds: f64,
}

#[derive(Deserialize)]
struct CurrentWrite {
    kind: String,
    first: u32,
    last: u32,
    seconds: f64,
}

#[derive(Deserialize)]
struct Reorg {
    height: u32,
    depth: u32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadCache {
    hits: u64,
    misses: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Process {
    resident_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Storage {
    engine_cache_bytes: u64,
    read_cache_bytes: u64,
    durability: String,
    max_open_files: u64,
    workers: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Database {
    bytes: Option<u64>,
    free_bytes: Option<u64>,
}

/// A line for each thing that is known.
fn lines(ready: &Ready, stats: &Stats) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}: {}", printable::line(&value));
        }
    };
    let Stats { indexing, tip, .. } = stats;
    line("state", indexing.state.clone());
    line("ready", ready.line());
    if let Some(tip) = tip {
        line("block", Some(tip.height.to_string()));
        line("block hash", Some(tip.block_hash.clone()));
        line("history root", Some(tip.history_root.clone()));
    }
    for guest in &stats.guests {
        line("guest", Some(guest.line()));
    }
    line("node's tip", indexing.node_tip.map(|tip| tip.to_string()));
    line("error", indexing.error.clone());
    line("hint", indexing.hint.clone());
    let failed = indexing.failed_block.as_ref();
    line("failed block", failed.map(|block| block.height.to_string()));
    let logs = failed.map(|block| format!("`metashrew logs {}`", block.height));
    line("guest's log", logs);
    let block = indexing.current_block.as_ref();
    line("block at work", block.map(CurrentBlock::line));
    let write = indexing.current_write.as_ref();
    line("write at work", write.map(CurrentWrite::line));
    line("speed", indexing.speed());
    let left = indexing
        .eta_seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    line("left", left.map(console::duration));
    line("reads cached", stats.read_cache.line());
    line("memory", megabytes(stats.process.resident_bytes));
    line("storage", stats.storage.as_ref().map(Storage::line));
    line("database", megabytes(stats.database.bytes));
    line("free on its disk", megabytes(stats.database.free_bytes));
    let reorg = indexing.last_reorg.as_ref();
    line(
        "last reorganisation",
        reorg.map(|reorg| format!("{} blocks above {}", reorg.depth, reorg.height)),
    );
    let sources = indexing.sources.iter();
    let sources: Vec<_> = sources
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    line(
        "blocks from",
        (!sources.is_empty()).then(|| sources.join(", ")),
    );
    text
}

#[allow(clippy::cast_precision_loss, reason = "it is printed in millions")]
fn in_millions(count: u64) -> f64 {
    count as f64 / 1e6
}

fn megabytes(bytes: Option<u64>) -> Option<String> {
    bytes.map(|bytes| format!("{:.0} MB", in_millions(bytes)))
}

impl Ready {
    fn line(&self) -> Option<String> {
        Some(match (self.ready?, &self.reason) {
            (true, _) => "yes".to_owned(),
            (false, Some(reason)) => format!("no: {}", reason.replace('_', " ")),
            (false, None) => "no".to_owned(),
        })
    }
}

impl Guest {
    fn line(&self) -> String {
        let said = [self.name.as_deref(), self.version.as_deref()];
        let words: Vec<_> = said
            .into_iter()
            .flatten()
            .chain([self.sha256.as_str()])
            .collect();
        format!("{}, from block {}", words.join(" "), self.from)
    }
}

impl CurrentBlock {
    fn is_slow(&self) -> bool {
        self.seconds >= SLOW_BLOCK.as_secs_f64()
    }

    fn line(&self) -> String {
        let (height, hash) = (self.height, &self.block_hash);
        format!("{height} ({hash}), for {:.1} s", self.seconds)
    }
}

impl CurrentWrite {
    fn line(&self) -> String {
        let (kind, first, last) = (&self.kind, self.first, self.last);
        format!(
            "{kind} of blocks {first} to {last}, for {:.1} s",
            self.seconds
        )
    }
}

impl Indexing {
    /// None while the guest is at one block for long: what it was before says nothing then.
    fn speed(&self) -> Option<String> {
        if self
            .current_block
            .as_ref()
            .is_some_and(CurrentBlock::is_slow)
        {
            return None;
        }
        let blocks = self.blocks_per_second?;
        let bytes = self.bytes_per_second.unwrap_or_default();
        Some(format!("{blocks:.1} blocks/s, {:.1} MB/s", bytes / 1e6))
    }
}

impl ReadCache {
    fn line(&self) -> Option<String> {
        let (hits, misses) = (in_millions(self.hits), in_millions(self.misses));
        let all = hits + misses;
        (all > 0.0).then(|| format!("{:.0}%", 100.0 * hits / all))
    }
}

impl Storage {
    /// How the database was opened.
    fn line(&self) -> String {
        format!(
            "{:.0} MB of cache in the engine, {:.0} MB for values, {}, {} open files, {} workers",
            in_millions(self.engine_cache_bytes),
            in_millions(self.read_cache_bytes),
            self.durability,
            self.max_open_files,
            self.workers
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_printed() {
        let ready = json!({ "ready": false, "reason": "nothing_indexed" });
        let stats = json!({
            "tip": null,
            "guests": [
                { "sha256": "0x11", "name": null, "version": null, "from": 0 },
                { "sha256": "0x22", "name": "blocks", "version": "0.1.0", "from": 7 },
            ],
            "indexing": {
                "state": "waiting_for_node", "node_tip": null, "error": "down",
                "current_block": { "height": 7, "block_hash": "0x07", "seconds": 12.34 },
                "blocks_per_second": 0.0, "bytes_per_second": 0.0, "eta_seconds": null,
                "last_reorg": { "height": 9, "depth": 2 }, "sources": { "rest": 1, "rpc": 3 },
            },
            "read_cache": { "hits": 3, "misses": 1 },
            "database": { "bytes": 7_000_000, "free_bytes": null },
            "process": { "resident_bytes": 41_600_000 },
        });
        let ready = Ready::deserialize(ready).unwrap();
        assert_eq!(
            lines(&ready, &Stats::deserialize(stats).unwrap()),
            "state: waiting_for_node\nready: no: nothing indexed\nguest: 0x11, from block 0\n\
             guest: blocks 0.1.0 0x22, from block 7\nerror: down\n\
             block at work: 7 (0x07), for 12.3 s\n\
             reads cached: 75%\nmemory: 42 MB\ndatabase: 7 MB\nlast reorganisation: 2 blocks above 9\n\
             blocks from: rest 1, rpc 3\n"
        );
    }
}
