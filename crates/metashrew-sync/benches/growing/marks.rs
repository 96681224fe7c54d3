//! Leads the run: from mark to mark the chain is indexed, stopped, opened, taken back a
//! little, killed and opened again.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Child;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::process::{self, Sample};
use crate::{baseline, feed, report};

/// Where figures are taken: so many keys written since the first block. A key counts
/// as often as it is written.
pub(crate) const MARKS: [u64; 5] = [1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000];

/// Blocks after a mark until the process is killed.
const KILLED_AFTER: u64 = 25;

/// The figures of a mark are those of the last three tenths of the way to it.
pub(crate) fn window_of(mark: u64) -> u64 {
    mark / 10 * 7
}

/// Where the index stands.
#[derive(Default, Clone, Copy)]
struct Position {
    height: u64,
    keys: u64,
}

struct Run<'a> {
    arguments: Arguments,
    database: &'a Path,
    position: Position,
}

/// Measures all marks, and prints what was found.
pub(crate) fn run(arguments: &Arguments) {
    let last: u64 = arguments.number("keys", 1_000_000);
    let mut marks: Vec<_> = MARKS.into_iter().filter(|mark| *mark < last).collect();
    marks.push(last);
    let floors = baseline::measure(arguments);
    let default = std::env::temp_dir();
    let place = arguments.get("dir").map_or(default.as_path(), Path::new);
    let directory = tempfile::tempdir_in(place).expect("a directory");
    let socket = directory.path().join("socket");
    feed::start(&socket, arguments.blocks());
    let database = directory.path().join("db");
    let words = arguments
        .clone()
        .with("socket", socket.display())
        .with("db", database.display())
        .with("cache_bytes", cache_bytes(arguments, &floors, last));
    let mut run = Run {
        arguments: words,
        database: &database,
        position: Position::default(),
    };
    let mut rows = Vec::new();
    for mark in marks {
        let mut row = run.to(mark);
        row["logical_bytes"] = json!(logical_bytes(&floors, mark));
        let floor = floors.iter().find(|floor| floor["mark"] == mark);
        row["floor"] = floor.cloned().unwrap_or_default();
        row["guest"] = json!(arguments.guest_name());
        row["cache"] = json!(arguments.get("cache").unwrap_or("default"));
        if mark == last && arguments.get("verify").is_some() {
            row["verify"] = run.ask("verify");
        }
        println!("{row}");
        rows.push(row);
    }
    report::print(&rows);
    if let Some(kept) = arguments.get("keep") {
        std::fs::rename(&database, kept).expect("it can be moved");
    }
}

/// What the caches are held at.
fn cache_bytes(arguments: &Arguments, floors: &[Value], last: u64) -> u64 {
    match arguments.get("cache") {
        None | Some("default") => process::memory() / 4,
        Some("twentieth") => {
            let logical = logical_bytes(floors, last).expect("needs the floor of a mark");
            logical / 20
        }
        Some(_) => arguments.number("cache", 0),
    }
}

/// Bytes of all keys and values written up to a mark: counted at the floor, or, where that
/// was not taken so far, extrapolated from its last mark.
fn logical_bytes(floors: &[Value], mark: u64) -> Option<u64> {
    let counted = floors.iter().find(|floor| floor["mark"] == mark);
    let floor = counted.or(floors.last())?;
    let (bytes, keys) = (floor["bytes"].as_u64()?, floor["keys"].as_u64()?);
    u64::try_from(u128::from(bytes) * u128::from(mark) / u128::from(keys.max(1))).ok()
}

impl Run<'_> {
    /// Indexes up to a mark, and answers what is to be said of it.
    fn to(&mut self, mark: u64) -> Value {
        let before = self.position;
        let words = self
            .indexing()
            .with("window", window_of(mark))
            .with("to", mark);
        let (mut child, mut listen) = start(&words);
        let generator = std::process::id();
        let (mut begin, mut end, mut row) = (None, None, Value::Null);
        while let Some(line) = listen() {
            match line["at"].as_str() {
                Some("window") => begin = Some((Sample::of(child.id()), Sample::of(generator))),
                Some("end") => end = Some((Sample::of(child.id()), Sample::of(generator))),
                Some("mark") => {
                    let (from, to) = begin.take().zip(end.take()).expect("both were told");
                    row = figures(&line, &from.0, &to.0);
                    row["generator_ms"] = generator_cost(&from.1, &to.1);
                    self.position.height = line["height"].as_u64().expect("it has blocks");
                    self.position.keys = before.keys + line["keys"].as_u64().expect("it has keys");
                    row["open_disk_bytes"] = json!(process::occupied(self.database));
                }
                Some("closed") => row["closing_ms"] = line["closing_ms"].clone(),
                _ => continue,
            }
            answer(&mut child);
        }
        assert!(child.wait().expect("it ends").success(), "indexing failed");
        row["keys"] = json!(self.position.keys);
        row["height"] = json!(self.position.height);
        row["disk_bytes"] = json!(process::occupied(self.database));
        row["load"] = json!(process::load());
        let opened = self.ask("open");
        row["opening_ms"] = opened["opening_ms"].clone();
        row["opening_cpu_ms"] = opened["opening_cpu_ms"].clone();
        self.roll_back(&mut row);
        row["opening_after_kill_ms"] = self.kill_and_open();
        row
    }

    /// Goes on for some blocks, and is killed; answers how long it then takes to open.
    fn kill_and_open(&mut self) -> Value {
        let before = self.position;
        let (mut child, mut listen) = start(&self.indexing().with("killed_after", KILLED_AFTER));
        let mut seen = vec![before];
        while let Some(line) = listen() {
            match line["at"].as_str() {
                Some("progress") => seen.push(Position {
                    height: line["height"].as_u64().expect("it has blocks"),
                    keys: before.keys + line["keys"].as_u64().expect("it has keys"),
                }),
                Some("kill") => child.kill().expect("it can be killed"),
                _ => panic!("only a kill ends it, not {line}"),
            }
        }
        child.wait().expect("it ends");
        let opened = self.ask("open");
        let height = opened["height"].as_u64().expect("it has blocks");
        assert!(height >= before.height, "a commit is gone");
        // The last commit may not have been heard of: its keys are taken as usual ones.
        let last = seen
            .iter()
            .rfind(|seen| seen.height <= height)
            .unwrap_or(&before);
        let unheard = (height - last.height) * last.keys / last.height.max(1);
        self.position = Position {
            height,
            keys: last.keys + unheard,
        };
        opened["opening_ms"].clone()
    }

    fn indexing(&self) -> Arguments {
        let words = self.arguments.clone();
        words.with("role", "index").with("have", self.position.keys)
    }

    /// Takes back ten blocks, which are indexed once more.
    fn roll_back(&mut self, row: &mut Value) {
        let line = self.ask("rollback");
        let height = line["height"].as_u64().expect("it has blocks");
        let undone = self.position.height - height;
        self.position.keys -= undone * self.position.keys / self.position.height;
        self.position.height = height;
        row["rollback_ms"] = line["rollback_ms"].clone();
        row["rollback_cpu_ms"] = line["rollback_cpu_ms"].clone();
    }

    /// Has a process of its own do something with the database.
    fn ask(&self, role: &str) -> Value {
        let (mut child, mut listen) = start(&self.arguments.clone().with("role", role));
        let line = listen().expect("it says how long it took");
        assert!(child.wait().expect("it ends").success(), "it did not close");
        line
    }
}

/// Starts a process of the bench; the function answers its next line, if there is one.
fn start(words: &Arguments) -> (Child, impl FnMut() -> Option<Value> + use<>) {
    let mut child = words.spawn(&words.subject());
    let output = child.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(output).lines();
    let listen = move || {
        let line = lines.next()?.expect("it speaks");
        Some(serde_json::from_str(&line).expect("it says JSON"))
    };
    (child, listen)
}

fn answer(child: &mut Child) {
    let input = child.stdin.as_mut().expect("it is piped");
    input.write_all(b"\n").expect("it waits");
}

fn figures(line: &Value, begin: &Sample, end: &Sample) -> Value {
    let blocks = line["blocks"].as_f64().expect("a number").max(1.0);
    let wall = (end.at - begin.at).as_secs_f64();
    let each = |bytes: u64| bytes as f64 / blocks;
    let threads: serde_json::Map<_, _> = end
        .threads_since(begin)
        .into_iter()
        .map(|(name, time)| (name, json!(time.as_secs_f64() * 1e3 / blocks)))
        .collect();
    let mut row = line.clone();
    row["blocks_per_s"] = json!(blocks / wall);
    row["wall_s"] = json!(wall);
    row["cpu_ms"] = json!((end.cpu.saturating_sub(begin.cpu)).as_secs_f64() * 1e3 / blocks);
    row["threads_ms"] = Value::Object(threads);
    row["written_bytes"] = json!(each(end.written - begin.written));
    row["fetched_bytes"] = json!(each(end.fetched - begin.fetched));
    row["read_bytes"] = json!(each(end.read - begin.read));
    row["resident_bytes"] = json!(end.resident);
    row["peak_resident_bytes"] = json!(end.peak);
    row
}

fn generator_cost(begin: &Sample, end: &Sample) -> Value {
    let mut threads = end.threads_since(begin).into_iter();
    let cost = threads.find(|(name, _)| name == feed::GENERATOR);
    json!(cost.map(|(_, time)| time.as_secs_f64() * 1e3))
}
