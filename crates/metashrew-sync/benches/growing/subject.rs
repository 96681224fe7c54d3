//! The process that indexes, as `metashrew start` does, and the one that opens.
//!
//! Both tell by lines of JSON on standard output; after each but `progress` the one
//! that indexes waits for a line on standard input.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use metashrew_runtime::MetashrewRuntime;
use metashrew_store::{Store, StoreOptions};
use metashrew_sync::{IndexOptions, Indexer, Progress, ProgressReport, Stop};
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::process::{self, Sample};
use crate::remote::Remote;

/// How the thread is called that watches.
pub(crate) const SAMPLER: &str = "sample";

/// How the thread is called that commits.
const COMMITTER: &str = "commit";

/// How often the watching thread looks: the times of blocks and commits that are
/// shorter come out as those of several.
const EVERY: Duration = Duration::from_millis(2);

/// Says something to the bench, and waits until it has been heard.
fn tell(line: &Value) {
    println!("{line}");
    std::io::stdout().flush().expect("the bench listens");
    let mut answer = String::new();
    let heard = std::io::stdin().lock().read_line(&mut answer);
    heard.expect("the bench answers");
}

fn options(arguments: &Arguments) -> StoreOptions {
    let mut options = StoreOptions::default();
    if let Some(bytes) = arguments.get("cache_bytes") {
        let bytes: u64 = bytes.parse().expect("a number of bytes");
        // In the proportion of the defaults.
        options.cache_bytes = bytes / 3 * 2;
        options.read_cache_bytes = bytes / 3;
    }
    options
}

fn database(arguments: &Arguments) -> PathBuf {
    arguments.get("db").expect("a database").into()
}

/// Opens the database, and says how long that took.
pub(crate) fn open(arguments: &Arguments) {
    let begun = Instant::now();
    let store = Store::open(&database(arguments), options(arguments)).expect("it opens");
    let tip = store.snapshot().tip().map(|tip| tip.height);
    let opening = milliseconds(begun.elapsed());
    // Of all threads, from the start of the process on.
    let cpu = milliseconds(Sample::of(std::process::id()).cpu);
    println!(
        "{}",
        json!({"opening_ms": opening, "opening_cpu_ms": cpu, "height": tip})
    );
}

/// Takes the last blocks back, and says how long that took.
pub(crate) fn rollback(arguments: &Arguments) {
    let store = Store::open(&database(arguments), options(arguments)).expect("it opens");
    let tip = store.snapshot().tip().expect("it has blocks").height;
    let keep = tip - arguments.number("depth", 10);
    let (cpu, begun) = (process::own_thread(), Instant::now());
    store.rollback(Some(keep)).expect("it rolls back");
    let taken = milliseconds(begun.elapsed());
    let own = milliseconds(process::own_thread().saturating_sub(cpu));
    println!(
        "{}",
        json!({"rollback_ms": taken, "rollback_cpu_ms": own, "height": keep})
    );
}

/// Verifies the database, and says how long that took.
pub(crate) fn verify(arguments: &Arguments) {
    let store = Store::open(&database(arguments), options(arguments)).expect("it opens");
    let begun = Instant::now();
    let report = store.verify(|_, _| {}).expect("it is whole");
    let per_second = report.versions as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({"versions": report.versions, "versions_per_s": per_second})
    );
}

/// Indexes from `keys` keys up to `to`, and says what it cost from `window` on.
pub(crate) fn index(arguments: &Arguments) {
    let store = Store::open(&database(arguments), options(arguments)).expect("it opens");
    let runtime = MetashrewRuntime::new(&arguments.guest(), store.clone()).expect("a guest");
    let socket: PathBuf = arguments.get("socket").expect("a socket").into();
    let settings = IndexOptions {
        start_height: Some(1),
        ..IndexOptions::default()
    };
    let indexer = Indexer::new(
        runtime.clone(),
        Arc::new(Remote::connect(&socket)),
        settings,
    );
    let stop = Stop::new();
    let watch = Watch {
        progress: indexer.progress(),
        stop: stop.clone(),
        before: arguments.number("have", 0),
        window: arguments.number("window", u64::MAX),
        to: arguments.number("to", u64::MAX),
        killed_after: arguments.number("killed_after", u64::MAX),
    };
    let watching = thread::Builder::new().name(SAMPLER.to_owned());
    let watching = watching.spawn(move || watch.run()).expect("a thread");
    thread::scope(|scope| {
        let committing = thread::Builder::new().name(COMMITTER.to_owned());
        let run = || indexer.run(&stop).expect("blocks are indexed");
        committing.spawn_scoped(scope, run).expect("a thread");
    });
    let all = indexer.progress().report();
    let (from, to, times) = watching.join().expect("it watches to the end");
    let span =
        |of: fn(&ProgressReport) -> Duration| milliseconds(of(&to).saturating_sub(of(&from)));
    tell(&json!({
        "at": "mark",
        "height": all.height,
        "keys": all.keys,
        "blocks": to.blocks - from.blocks,
        "window_keys": to.keys - from.keys,
        "commits": to.commits - from.commits,
        "executing_ms": span(|report| report.executing),
        "committing_ms": span(|report| report.committing),
        "stalled_ms": span(|report| report.stalled),
        "waiting_ms": span(|report| report.waiting),
        "block_ms": times.blocks.summary(),
        "commit_ms": times.commits.summary(),
    }));
    let begun = Instant::now();
    drop((indexer, runtime, store));
    tell(&json!({"at": "closed", "closing_ms": milliseconds(begun.elapsed())}));
}

/// Follows the indexer.
struct Watch {
    progress: Arc<Progress>,
    stop: Stop,
    /// Keys in the database before.
    before: u64,
    window: u64,
    to: u64,
    /// After so many blocks the process asks to be killed.
    killed_after: u64,
}

#[derive(Default)]
struct Times {
    blocks: Durations,
    commits: Durations,
}

impl Watch {
    /// Answers where the counters were when the window began and ended, and the times
    /// between.
    fn run(&self) -> (ProgressReport, ProgressReport, Times) {
        let mut begin = None;
        let mut times = Times::default();
        let mut last = self.progress.report();
        loop {
            thread::sleep(EVERY);
            let now = self.progress.report();
            let keys = self.before + now.keys;
            if begin.is_none() && keys >= self.window {
                tell(&json!({"at": "window"}));
                begin = Some(self.progress.report());
            }
            if begin.is_some() {
                let count = u64::from(now.executing != last.executing);
                times.blocks.add(now.executing, last.executing, count);
                let count = now.commits - last.commits;
                times.commits.add(now.committing, last.committing, count);
            }
            if now.blocks != last.blocks {
                println!(
                    "{}",
                    json!({"at": "progress", "height": now.height, "keys": now.keys})
                );
            }
            if now.blocks >= self.killed_after {
                tell(&json!({"at": "kill"}));
            }
            if keys >= self.to {
                // Now, before the indexer's threads end.
                tell(&json!({"at": "end"}));
                self.stop.request();
                return (begin.unwrap_or(now), now, times);
            }
            last = now;
        }
    }
}

#[derive(Default)]
struct Durations(Vec<Duration>);

impl Durations {
    fn add(&mut self, now: Duration, before: Duration, count: u64) {
        if let Ok(count @ 1..) = u32::try_from(count) {
            let each = now.saturating_sub(before) / count;
            self.0.extend((0..count).map(|_| each));
        }
    }

    fn summary(&self) -> Value {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |share: usize| {
            let place = (sorted.len() * share / 100).min(sorted.len().saturating_sub(1));
            sorted.get(place).copied().map(milliseconds)
        };
        json!({"p50": at(50), "p99": at(99), "longest": at(100), "count": sorted.len()})
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
