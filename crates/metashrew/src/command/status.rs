//! `metashrew status`: asks a running `metashrew start` how it is.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Output;
use crate::cli::{ServerUrl, Status};
use crate::client::Client;
use crate::{console, printable};

/// How long the server may take: it answers this at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

pub(super) fn run(args: &Status) -> Result<()> {
    let (ready, stats) =
        ask(&args.url).with_context(|| format!("the server at `{}` does not answer", args.url))?;
    let text = if args.json {
        let json = json!({ "ready": ready, "stats": stats }).to_string();
        format!("{}\n", printable::json(&json))
    } else {
        lines(&ready, &stats)
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

/// A line for each thing that is known.
fn lines(ready: &Value, stats: &Value) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}: {}", printable::line(&value));
        }
    };
    let at = |path: &str| stats.pointer(path).filter(|value| !value.is_null());
    let plain = |path: &str| at(path).map(shown);
    line("state", plain("/indexing/state"));
    line("ready", ready_line(ready));
    line("block", plain("/tip/height"));
    line("block hash", plain("/tip/block_hash"));
    line("history root", plain("/tip/history_root"));
    for guest in at("/guests")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        line("guest", guest_line(guest));
    }
    line("node's tip", plain("/indexing/node_tip"));
    line("error", plain("/indexing/error"));
    line("hint", plain("/indexing/hint"));
    line("failed block", plain("/indexing/failed_block/height"));
    let number = |path: &str| at(path).and_then(Value::as_f64);
    let current = at("/indexing/current_block").map(|block| {
        let (height, hash) = (&block["height"], shown(&block["block_hash"]));
        let seconds = block["seconds"].as_f64().unwrap_or_default();
        format!("{height} ({hash}), for {seconds:.1} s")
    });
    line("block at work", current);
    line(
        "write at work",
        at("/indexing/current_write").map(write_line),
    );
    let speed = number("/indexing/blocks_per_second").map(|blocks| {
        let bytes = number("/indexing/bytes_per_second").unwrap_or_default();
        format!("{blocks:.1} blocks/s, {:.1} MB/s", bytes / 1e6)
    });
    line("speed", speed);
    let left = number("/indexing/eta_seconds")
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    line("left", left.map(console::duration));
    let cached = number("/read_cache/hits").zip(number("/read_cache/misses"));
    let cached = cached.filter(|(hits, misses)| hits + misses > 0.0);
    line(
        "reads cached",
        cached.map(|(hits, misses)| format!("{:.0}%", 100.0 * hits / (hits + misses))),
    );
    let megabytes = |path: &str| number(path).map(|bytes| format!("{:.0} MB", bytes / 1e6));
    line("memory", megabytes("/process/resident_bytes"));
    line("storage", at("/storage").and_then(storage_line));
    line("database", megabytes("/database/bytes"));
    line("free on its disk", megabytes("/database/free_bytes"));
    let reorg = at("/indexing/last_reorg").map(|reorg| {
        let (depth, height) = (&reorg["depth"], &reorg["height"]);
        format!("{depth} blocks above {height}")
    });
    line("last reorganisation", reorg);
    let sources = at("/indexing/sources").and_then(Value::as_object);
    let sources = sources.map(|sources| {
        let counts = sources
            .iter()
            .map(|(name, count)| format!("{name} {count}"));
        counts.collect::<Vec<_>>().join(", ")
    });
    line("blocks from", sources.filter(|counts| !counts.is_empty()));
    text
}

/// The commit or rollback that is under way.
fn write_line(write: &Value) -> String {
    let (kind, first, last) = (shown(&write["kind"]), &write["first"], &write["last"]);
    let seconds = write["seconds"].as_f64().unwrap_or_default();
    format!("{kind} of blocks {first} to {last}, for {seconds:.1} s")
}

/// How the database was opened.
fn storage_line(storage: &Value) -> Option<String> {
    let megabytes = |name: &str| Some(storage[name].as_f64()? / 1e6);
    Some(format!(
        "{:.0} MB of cache in the engine, {:.0} MB for values, {}, {} open files, {} workers",
        megabytes("engine_cache_bytes")?,
        megabytes("read_cache_bytes")?,
        storage["durability"].as_str()?,
        storage["max_open_files"],
        storage["workers"]
    ))
}

fn guest_line(guest: &Value) -> Option<String> {
    let sha256 = guest["sha256"].as_str()?;
    let said = [&guest["name"], &guest["version"]];
    let words = said.into_iter().filter_map(Value::as_str);
    let words: Vec<_> = words.chain([sha256]).collect();
    Some(format!("{}, from block {}", words.join(" "), guest["from"]))
}

fn ready_line(ready: &Value) -> Option<String> {
    match (ready["ready"].as_bool()?, ready["reason"].as_str()) {
        (true, _) => Some("yes".to_owned()),
        (false, Some(reason)) => Some(format!("no: {}", reason.replace('_', " "))),
        (false, None) => Some("no".to_owned()),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
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
        assert_eq!(
            lines(&ready, &stats),
            "state: waiting_for_node\nready: no: nothing indexed\nguest: 0x11, from block 0\n\
             guest: blocks 0.1.0 0x22, from block 7\nerror: down\n\
             block at work: 7 (0x07), for 12.3 s\n\
             speed: 0.0 blocks/s, 0.0 MB/s\nreads cached: 75%\nmemory: 42 MB\ndatabase: 7 MB\nlast reorganisation: 2 blocks above 9\n\
             blocks from: rest 1, rpc 3\n"
        );
    }
}
