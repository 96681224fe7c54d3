//! Indexes a chain from a source into a database on disk, as the command does.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use metashrew_runtime::MetashrewRuntime;
use metashrew_store::{Height, Store, StoreOptions};
use metashrew_sync::{IndexEnd, IndexOptions, Indexer, Node, Progress, Stop};

use crate::{Guest, RUNS};

/// How often it is looked whether the first block has come.
const LOOK_EVERY: Duration = Duration::from_micros(100);

/// What one run took, from when the first block was there.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    elapsed: Duration,
    /// Until the first block was there.
    start: Duration,
    waiting: Duration,
    executing: Duration,
    committing: Duration,
    blocks: u64,
    bytes: u64,
    keys: u64,
}

impl Run {
    fn waiting_share(&self) -> f64 {
        self.waiting.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

pub(crate) fn heading() {
    println!(
        "| guest | source | keys a block | blocks/s | MB/s | waits for blocks (of each run) | executes | commits, beside it | first block after |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
}

pub(crate) fn row(source: &str, guest: &Guest, run: impl Fn() -> Run) {
    let mut runs: Vec<_> = (0..RUNS).map(|_| run()).collect();
    runs.sort_unstable_by_key(|run| run.elapsed);
    let median = runs[RUNS / 2];
    let mut shares: Vec<_> = runs.iter().map(Run::waiting_share).collect();
    shares.sort_unstable_by(f64::total_cmp);
    let shares: Vec<_> = shares
        .iter()
        .map(|share| format!("{:.1}%", share * 1e2))
        .collect();
    let seconds = median.elapsed.as_secs_f64();
    let share = |time: Duration| 100.0 * time.as_secs_f64() / seconds;
    println!(
        "| {} | {source} | {} | {:.0} | {:.0} | {} | {:.0}% | {:.0}% | {:.0} ms |",
        guest.name,
        median.keys / median.blocks,
        median.blocks as f64 / seconds,
        median.bytes as f64 / seconds / 1e6,
        shares.join(" "),
        share(median.executing),
        share(median.committing),
        median.start.as_secs_f64() * 1e3,
    );
}

/// Indexes the guest's blocks from a height on, into a database that has those before.
pub(crate) fn run<N: Node + 'static>(guest: &Guest, first: Height, node: &Arc<N>) -> Run {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("db"), StoreOptions::default())
        .expect("a new database opens");
    let runtime = MetashrewRuntime::new(&guest.wasm, store).expect("the guest loads");
    let indexer = |exit_at| {
        let options = IndexOptions {
            exit_at: Some(exit_at),
            ..IndexOptions::default()
        };
        let node: Arc<dyn Node> = Arc::<N>::clone(node);
        Indexer::new(runtime.clone(), node, options)
    };
    // The guest's code and the first coins, too, are there as in the middle of a sync.
    run_to_the_end(&indexer(first - 1));
    let indexer = indexer(first + guest.blocks - 1);
    let progress = indexer.progress();
    let begun = Instant::now();
    let watcher = thread::spawn(move || (wait_for_first_block(&progress), begun.elapsed()));
    run_to_the_end(&indexer);
    let elapsed = begun.elapsed();
    let (waited_first, start) = watcher.join().expect("it only looks");
    let report = indexer.progress().report();
    Run {
        elapsed: elapsed.saturating_sub(start),
        start,
        waiting: report.waiting.saturating_sub(waited_first),
        executing: report.executing,
        committing: report.committing,
        blocks: report.blocks,
        bytes: report.bytes,
        keys: report.keys,
    }
}

fn run_to_the_end(indexer: &Indexer) {
    let end = indexer.run(&Stop::new()).expect("every block is indexed");
    assert_eq!(end, IndexEnd::Exit);
}

/// Answers the time waited by then.
fn wait_for_first_block(progress: &Progress) -> Duration {
    loop {
        let report = progress.report();
        if report.running.is_some() || !report.executing.is_zero() {
            return report.waiting;
        }
        thread::sleep(LOOK_EVERY);
    }
}
