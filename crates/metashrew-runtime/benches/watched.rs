//! What it costs to watch a block: its events told, its reads recorded, backtraces of every call of
//! the host as a trace has them, and profiles; and to run it on what was recorded. Time of the
//! processor, medians of runs that alternate.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints"
)]

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use cpu_time::ThreadTime;
use metashrew_runtime::{
    Bundle, Event, Frames, MetashrewRuntime, Observer, ProfileOptions, ProfiledCall, ReadCounts,
    Recorder, Refusal,
};
use metashrew_store::{BlockHash, BlockRef, HistoryRoot, Store};

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 11;
const HEIGHT: u32 = 840_243;

/// Counts what it is told, and takes a backtrace at each call if that is wanted.
struct Counter {
    events: u64,
    frames: usize,
    backtraces: bool,
}

impl Observer for Counter {
    fn called(&mut self, _function: &'static str, frames: &Frames<'_>) {
        if self.backtraces {
            self.frames += frames.frames().len();
        }
    }

    fn event(&mut self, _event: Event<'_>) -> Result<(), Refusal> {
        self.events += 1;
        Ok(())
    }
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read(root.join(path)).expect("it is in the repository");
    let block = Bytes::from(read("examples/block-840243.bin"));
    let runtime = MetashrewRuntime::new(&read("guests/wasm/addresses.wasm"), Store::in_memory());
    let runtime = runtime.expect("the guest loads");
    let bundle = bundle(&runtime, &block);
    let ways: [(&str, &dyn Fn()); 7] = [
        ("plain", &|| plain(&runtime, &block)),
        ("told of each event", &|| observed(&runtime, &block, false)),
        ("its reads recorded", &|| recorded(&runtime, &block)),
        ("run on what was recorded", &|| {
            let (_, writes) = bundle.run(&runtime, ReadCounts::default());
            writes.expect("it runs as it did");
        }),
        ("told of each event, and a backtrace at each call", &|| {
            observed(&runtime, &block, true);
        }),
        ("profile, every ms", &|| profiled(&runtime, &block, 1000)),
        ("profile, every 0.1 ms", &|| profiled(&runtime, &block, 100)),
    ];
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..RUNS {
        for (times, (_, run)) in times.iter_mut().zip(&ways) {
            let since = ThreadTime::now();
            run();
            times.push(since.elapsed());
        }
    }
    let medians = times.iter_mut().map(|times| {
        times.sort();
        times[RUNS / 2]
    });
    let medians: Vec<_> = medians.collect();
    println!("| block 840243 with `addresses` | ms of processor | of plain |\n|---|---:|---:|");
    for ((name, _), time) in ways.iter().zip(&medians) {
        let ratio = time.as_secs_f64() / medians[0].as_secs_f64();
        println!("| {name} | {:.1} | {ratio:.2} |", time.as_secs_f64() * 1e3);
    }
}

fn plain(runtime: &MetashrewRuntime, block: &Bytes) {
    let state = runtime.store().snapshot().latest();
    let writes = runtime.process_block_on(state, HEIGHT, block.clone());
    writes.expect("it indexes");
}

fn observed(runtime: &MetashrewRuntime, block: &Bytes, backtraces: bool) {
    let counter = Counter {
        events: 0,
        frames: 0,
        backtraces,
    };
    let state = runtime.store().snapshot().latest();
    let (counter, writes) = runtime.observe_block(state, HEIGHT, block.clone(), counter);
    writes.expect("it indexes");
    assert!(counter.events > 0 && (counter.frames > 0) == backtraces);
}

fn recorded(runtime: &MetashrewRuntime, block: &Bytes) {
    let state = runtime.store().snapshot().latest();
    let recorder = Recorder::default();
    let (_, writes) = runtime.observe_block(state, HEIGHT, block.clone(), recorder);
    writes.expect("it indexes");
}

fn bundle(runtime: &MetashrewRuntime, bytes: &Bytes) -> Bundle {
    let hash = |number| BlockHash::from_bytes([number; 32]);
    let block = BlockRef::new(HEIGHT, hash(1), hash(0));
    let state = runtime.store().snapshot().latest();
    let made = Bundle::make(runtime, state, HistoryRoot::EMPTY, block, bytes.clone());
    made.expect("it can be packed").0
}

fn profiled(runtime: &MetashrewRuntime, block: &Bytes, interval: u64) {
    let call = ProfiledCall::Block {
        state: runtime.store().snapshot().latest(),
        height: HEIGHT,
        block: block.clone(),
    };
    let options = ProfileOptions {
        interval: Duration::from_micros(interval),
        ..ProfileOptions::default()
    };
    let profile = runtime.profile(&call, &options, std::io::sink());
    profile.expect("it is profiled");
}
