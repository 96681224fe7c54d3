//! Ranges and many keys at once, in blocks and in views, against a model: over committed
//! blocks, uncommitted ones and previews, at every height, after rollbacks.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use metashrew_abi::many;
use metashrew_abi::range::Request;
use metashrew_store::{BlockId, MemoryBackend, State, Store, WriteSet};
use metashrew_testing::delayed::Delayed;
use metashrew_testing::ranging::{self, Values, ranging};
use proptest::prelude::*;

use crate::Bench;

#[derive(Debug, Clone)]
enum Step {
    /// Blocks, each run on those before while none of them is committed.
    Blocks(Vec<Block>),
    /// Keep this share (of 255) of the chain.
    Rollback(u8),
}

/// A block's bytes, of which the guest uses the header.
type Block = Vec<u8>;

fn any_block() -> impl Strategy<Value = Block> {
    let byte = prop_oneof![Just(0_u8), Just(1), Just(2), Just(0x2a), Just(0xff)];
    let limits = (0_u8..4, any::<u8>(), any::<u8>(), 0_u8..2);
    let keys = proptest::collection::vec(byte, 84);
    (keys, limits).prop_map(|(mut block, (flags, count, low, high))| {
        block[52..56].copy_from_slice(&[flags, count, low, high]);
        block
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::vec(any_block(), 1..4).prop_map(Step::Blocks),
        1 => any::<u8>().prop_map(Step::Rollback),
    ]
}

/// What a view asks for.
#[derive(Debug, Clone)]
struct Ask {
    descending: bool,
    keys_only: bool,
    max_count: u32,
    max_bytes: u32,
    start: Vec<u8>,
    end: Vec<u8>,
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let key = || {
        let byte = prop_oneof![Just(0_u8), Just(1), Just(2), Just(0xff)];
        let key = proptest::collection::vec(byte, 0..4).prop_map(|it| [b"k", &it[..]].concat());
        prop_oneof![6 => key, 1 => Just(Vec::new()), 1 => Just(b"many".to_vec()), 1 => Just(vec![b'k'; 40_000])]
    };
    let max_count = prop_oneof![Just(u32::MAX), 0_u32..6];
    let max_bytes = prop_oneof![Just(u32::MAX), 0_u32..300];
    (
        any::<bool>(),
        any::<bool>(),
        max_count,
        max_bytes,
        key(),
        key(),
    )
        .prop_map(
            |(descending, keys_only, max_count, max_bytes, start, end)| Ask {
                descending,
                keys_only,
                max_count,
                max_bytes,
                start,
                end,
            },
        )
}

impl Ask {
    fn request(&self) -> Request<'_> {
        Request {
            descending: self.descending,
            keys_only: self.keys_only,
            max_count: self.max_count,
            max_bytes: self.max_bytes,
            start: &self.start,
            end: &self.end,
        }
    }

    fn keys(&self) -> [&[u8]; 4] {
        [&self.start, &self.end, &self.start, b"never written"]
    }
}

/// A chain, and after each of its blocks the state by the model.
struct Run {
    bench: Bench,
    states: Vec<Values>,
    branch: u8,
}

impl Run {
    fn new(store: Store) -> Self {
        let bench = Bench::over(&ranging(), store, |_| {});
        let (states, branch) = (Vec::new(), 1);
        Self {
            bench,
            states,
            branch,
        }
    }

    fn height(&self) -> u32 {
        u32::try_from(self.states.len()).unwrap()
    }

    /// Runs a block on `state`, and asserts that it writes what the model says.
    fn process(&mut self, state: State, block: &Block) -> (u32, Arc<WriteSet>) {
        let height = self.height();
        let runtime = &self.bench.runtime;
        let bytes = Bytes::from(block.clone());
        let writes = runtime.process_block_on(state, height, bytes).unwrap();
        let mut values = self.states.last().cloned().unwrap_or_default();
        let expect = ranging::written(&values, height, block);
        let written: Values = writes
            .sorted()
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect();
        assert_eq!(written, expect, "block {height}");
        values.extend(expect);
        self.states.push(values);
        (height, Arc::new(writes))
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Blocks(blocks) => {
                let mut state = self.bench.store.snapshot().latest();
                let mut uncommitted = Vec::new();
                for block in &blocks {
                    let (height, writes) = self.process(state.clone(), block);
                    state = state.with_block(height, Arc::clone(&writes));
                    uncommitted.push((height, writes));
                }
                for (height, writes) in uncommitted {
                    self.bench.commit(height, self.branch, &writes);
                }
            }
            Step::Rollback(share) => {
                let keep = self.states.len() * usize::from(share) / 255;
                self.states.truncate(keep);
                self.branch += 1;
                let tip = self.height().checked_sub(1);
                self.bench.store.rollback(tip).unwrap();
            }
        }
    }

    /// Asserts that views at every height answer as the model does.
    fn check(&self, ask: &Ask) {
        for (height, values) in (0..).zip(&self.states) {
            let at = BlockId::Height(height);
            let answer = self.bench.view("range", &ask.request().encode(), &at);
            let expect = ranging::range(values, &ask.request());
            assert_eq!(answer, expect, "{ask:?} at {height}");
            let answer = self.bench.view("many", &many::encode(ask.keys()), &at);
            let expect = ranging::many(values, ask.keys());
            assert_eq!(answer, expect, "{ask:?} at {height}");
            let answer = self.bench.view("points", &many::encode(ask.keys()), &at);
            assert_eq!(answer, expect, "{ask:?} at {height}");
        }
    }

    /// Asserts the same for a preview on the block at `height`.
    fn check_preview(&self, ask: &Ask, block: &Block, height: u32) {
        let mut values = self.states[height as usize].clone();
        values.extend(ranging::written(&values, height + 1, block));
        let (runtime, at) = (&self.bench.runtime, BlockId::Height(height));
        let request = ask.request().encode();
        let answer = runtime.preview_sync(block, "range", &request, &at).unwrap();
        let expect = ranging::range(&values, &ask.request());
        assert_eq!(answer.bytes, expect, "{ask:?} on {height}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn blocks_and_views_read_what_a_model_reads(
        steps in proptest::collection::vec(any_step(), 1..8),
        asks in proptest::collection::vec(any_ask(), 1..12),
        previewed in any_block(),
        is_slow: bool,
    ) {
        let memory = MemoryBackend::default();
        let store = if is_slow {
            // None of its reads is ready when it is asked for.
            Store::with_backend_and_cache(Arc::new(Delayed::by_turns(memory, 1)), 4 << 10)
        } else {
            Store::with_backend_and_cache(Arc::new(memory), 0)
        };
        let mut run = Run::new(store.unwrap());
        for step in steps {
            run.step(step);
        }
        for ask in &asks {
            run.check(ask);
        }
        for height in 0..run.height() {
            run.check_preview(&asks[0], &previewed, height);
        }
    }
}

#[test]
fn the_reads_of_a_block_are_counted() {
    let mut run = Run::new(Store::in_memory());
    // Up to four pairs of all there are, with values; then two keys and what was seen before.
    let mut block = vec![0; 84];
    block[36..68].fill(1);
    block[52..56].copy_from_slice(&[0, 4, 0xff, 0xff]);
    block[56..59].fill(0);
    let mut counts = BTreeMap::new();
    for (height, key) in (0..4).zip([1_u8, 2, 3, 4]) {
        block[36] = key;
        let before = run.bench.runtime.block_reads().count;
        run.step(Step::Blocks(vec![block.clone()]));
        counts.insert(height, run.bench.runtime.block_reads().count - before);
    }
    // The first block finds nothing at its one key and at what the block before saw. The second
    // one's range has three pairs, of which the keys that it reads at once are two: these are not
    // read again. The others' ranges have four, and they read their own key and what was seen.
    assert_eq!(
        counts,
        BTreeMap::from([(0, 2), (1, 3 + 1), (2, 4 + 2), (3, 4 + 2)])
    );
}
