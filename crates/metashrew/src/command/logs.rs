//! `metashrew logs`: asks a running `metashrew start` what the guest logged at a block.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;

use super::Output;
use crate::cli::Logs;
use crate::client::Client;
use crate::printable;

/// How long the server may take: it has it all in memory.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer, in bytes: a mebibyte of text, of which each byte may take six in JSON, and
/// what is around each line.
const MAX_ANSWER: u64 = 16 << 20;

/// What `metashrew_logs` answers.
#[derive(Deserialize)]
struct Answer {
    height: Option<u32>,
    block_hash: Option<String>,
    state: Option<String>,
    known: bool,
    logged: u64,
    lines: Vec<Line>,
    next: Option<u64>,
}

#[derive(Deserialize)]
struct Line {
    number: u64,
    text: String,
    #[serde(default)]
    cut: bool,
}

pub(super) fn run(args: &Logs) -> Result<()> {
    let client = Client::new(&args.server.url, PATIENCE, MAX_ANSWER)?;
    let mut block = args.block.map(|block| block.to_string());
    let mut from = args.last.map_or(0, |lines| -i64::from(lines));
    let (mut printed, mut logged) = (None, None);
    let mut out = io::BufWriter::new(io::stdout().lock());
    loop {
        let answer = ask(&client, args, block.as_deref(), from)?;
        let Some(hash) = &answer.block_hash else {
            bail!(
                "the guest has not run over any block since the server was started, or nothing of what it logs is kept (--guest-log-memory 0)"
            );
        };
        // A block that does not end may log faster than it is asked.
        let until = *logged.get_or_insert(answer.logged);
        if printed.is_none() {
            tell(&answer, hash)?;
        }
        for line in &answer.lines {
            let gap = printed.filter(|next| *next < line.number);
            print(&mut out, args.json, gap, line).map_err(Output)?;
            printed = Some(line.number + 1);
        }
        // The block that ran last may be another one by now.
        block = Some(hash.clone());
        match answer.next.filter(|next| *next < until) {
            Some(next) => from = i64::try_from(next).unwrap_or(i64::MAX),
            None => return out.flush().map_err(|error| Output(error).into()),
        }
    }
}

fn ask(client: &Client<'_>, args: &Logs, block: Option<&str>, from: i64) -> Result<Answer> {
    let url = &args.server.url;
    let answer = client.call("metashrew_logs", &json!([block, from, 10_000]));
    match answer.with_context(|| format!("the server at `{url}` does not answer"))? {
        Ok(answer) => Ok(answer),
        Err(error) => bail!("it cannot tell what was logged: {}", error.message),
    }
}

/// Says which block it is, and how it went.
fn tell(answer: &Answer, hash: &str) -> Result<()> {
    let (height, logged) = (answer.height, answer.logged);
    if !answer.known {
        bail!(
            "what the guest logged at block {hash} is not kept: it ran before the server was started, or its lines went for those of later blocks (--guest-log-memory)"
        );
    }
    let state = answer.state.as_deref().unwrap_or("unknown");
    tracing::info!(
        height,
        hash,
        state,
        logged,
        "what the guest logged at a block"
    );
    Ok(())
}

fn print(out: &mut impl Write, json: bool, gap: Option<u64>, line: &Line) -> io::Result<()> {
    let Line { number, text, cut } = line;
    if json {
        let line = json!({ "number": number, "text": text, "cut": cut }).to_string();
        return writeln!(out, "{}", printable::json(&line));
    }
    if let Some(next) = gap {
        writeln!(out, "… {} lines that are not kept", number - next)?;
    }
    let end = if *cut { "…" } else { "" };
    writeln!(out, "{number}: {}{end}", printable::line(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(json: bool, gap: Option<u64>, text: &str, cut: bool) -> String {
        let line = Line {
            number: 7,
            text: text.to_owned(),
            cut,
        };
        let mut out = Vec::new();
        print(&mut out, json, gap, &line).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_numbered_and_harmless() {
        assert_eq!(
            printed(false, None, "a\n\x1b[2Jb", false),
            "7: a\\n\\u{1b}[2Jb\n"
        );
        assert_eq!(
            printed(false, Some(3), "long", true),
            "… 4 lines that are not kept\n7: long…\n"
        );
        assert_eq!(
            printed(true, Some(3), "\u{9b}", false),
            "{\"cut\":false,\"number\":7,\"text\":\"\\u009b\"}\n"
        );
    }
}
