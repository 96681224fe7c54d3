//! Consumers of all kinds that come, go, and resume at random, while blocks come and go at random.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metashrew_runtime::MetashrewRuntime;
use metashrew_server::{InProcess, InProcessEvent, InProcessSubscription};
use metashrew_store::Store;
use metashrew_testing::guests;
use metashrew_testing::rng::Rng;
use parking_lot::Mutex;
use serde_json::Value;

use super::consumers::Consumer;
use super::model::Model;
use super::{options, runtime};

/// How many changes of the chain there are.
const CHANGES: u32 = 300;

/// The keys that blocks write.
const KEYS: [&[u8]; 8] = [b"a", b"ab", b"abc", b"b", b"ba", b"c", b"c/1", b"c/2"];

fn block(rng: &mut Rng) -> Vec<(&'static [u8], Vec<u8>)> {
    let mut writes = Vec::new();
    for key in KEYS {
        if rng.chance(150) {
            // Few values, so that some are written again as they are.
            let value = match rng.below(4) {
                0 => Vec::new(),
                number => vec![u8::try_from(number).unwrap()],
            };
            writes.push((key, value));
        }
    }
    writes
}

/// Grows the chain, and takes blocks off and others, or the same, on.
fn change(model: &Mutex<Model>, rng: &mut Rng) {
    let length = model.lock().chain.len();
    let depth = match rng.below(10) {
        _ if length == 0 => 0,
        0 => 1 + rng.index(length.min(50)),
        1 | 2 => 1 + rng.index(length.min(3)),
        _ => 0,
    };
    let undone = if depth > 0 {
        model.lock().rollback(depth)
    } else {
        Vec::new()
    };
    if rng.chance(200) {
        // The same blocks come back, or some of them.
        let again = rng.index(undone.len() + 1);
        for cursor in undone.into_iter().take(again) {
            let mut model = model.lock();
            model.chain.push(cursor.clone());
            model.commit_made(&cursor);
        }
    }
    for _ in 0..rng.below(4) + u64::from(depth > 0) * rng.below(depth as u64 + 1) {
        let writes = block(rng);
        let writes: Vec<_> = writes
            .iter()
            .map(|(key, value)| (*key, &value[..]))
            .collect();
        // The model knows it before anybody can be told of it.
        let mut model = model.lock();
        let cursor = model.make(&writes);
        model.commit_made(&cursor);
    }
}

/// The next event; none if it takes longer than a consumer waits this time.
async fn next(subscription: &mut InProcessSubscription, rng: &mut Rng) -> Option<InProcessEvent> {
    let patience = Duration::from_micros(rng.below(3000));
    tokio::time::timeout(patience, subscription.next())
        .await
        .ok()
}

async fn consume(
    mut consumer: Consumer,
    runtime: MetashrewRuntime,
    shared: InProcess,
    model: Arc<Mutex<Model>>,
    is_over: Arc<AtomicBool>,
    mut rng: Rng,
) {
    loop {
        // Now and then the server is another one over the same database.
        let server = if rng.chance(200) {
            InProcess::new(runtime.clone(), &options())
        } else {
            shared.clone()
        };
        let params = consumer.params(rng.chance(500)).to_string();
        let mut subscription = server.subscribe(&params).await.unwrap();
        let mut events = rng.below(40);
        loop {
            let last = is_over.load(Ordering::SeqCst);
            if let Some(event) = next(&mut subscription, &mut rng).await {
                assert!(!event.end);
                let event: Value = serde_json::from_slice(&event.data).unwrap();
                consumer.take(&event, &model.lock());
                events = events.saturating_sub(1);
            } else if rng.chance(100) {
                events = 0;
            }
            if last && consumer.cursor.as_deref() == Some(&model.lock().tip()) {
                return;
            }
            if !last && events == 0 {
                break;
            }
        }
        if rng.chance(50) {
            consumer.begin_anew();
        }
    }
}

fn run(wasm: &[u8], seed: u64) {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let store = Store::in_memory();
    let runtime = runtime(wasm, store.clone());
    let model = Arc::new(Mutex::new(Model::new(store)));
    let server = InProcess::new(runtime.clone(), &options());
    let is_over = Arc::new(AtomicBool::new(false));
    let mut rng = Rng::new(seed);
    let consumers = (0..4).flat_map(|_| {
        [
            Consumer::heads(),
            Consumer::writes(b""),
            Consumer::writes(b"ab"),
            Consumer::writes(b"c"),
            Consumer::view(b"a"),
            Consumer::view(b"abc"),
            Consumer::view(b"c/1"),
        ]
    });
    let tasks: Vec<_> = consumers
        .map(|consumer| {
            let (runtime, server) = (runtime.clone(), server.clone());
            let (model, is_over) = (Arc::clone(&model), Arc::clone(&is_over));
            let rng = Rng::new(rng.next_u64());
            tokio.spawn(consume(consumer, runtime, server, model, is_over, rng))
        })
        .collect();
    // The last change leaves a block.
    for _ in 0..CHANGES {
        change(&model, &mut rng);
        if rng.chance(300) {
            std::thread::sleep(Duration::from_micros(rng.below(2000)));
        }
    }
    model.lock().commit(&[(b"a", b"end")]);
    is_over.store(true, Ordering::SeqCst);
    for task in tasks {
        tokio
            .block_on(task)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn consumers_replays_equal_the_database_at_every_block() {
    for seed in 0..3 {
        run(&guests::chained(), seed);
    }
}

#[test]
fn so_they_do_where_views_run_only_when_their_reads_are_touched() {
    for seed in 10..13 {
        run(&guests::height_independent(), seed);
    }
}
