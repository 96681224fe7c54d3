//! The example guests build one state, whatever stands committed when a block runs, whatever is
//! in memory, and whichever branches came and went.

use std::sync::Arc;

use bytes::Bytes;
use metashrew_store::{BlockHash, BlockRef, HistoryRoot, WriteSet};
use metashrew_testing::chain::{Chain, Mined, Shape};
use proptest::prelude::*;

use crate::{Bench, guest};

/// What is done before a block runs.
#[derive(Debug, Clone)]
enum Before {
    /// The blocks that wait are committed.
    Commit,
    /// They wait on.
    Wait,
    /// They and the memory go; they are run again.
    Restart,
    /// The chain branches off so many blocks below; the branch has one more.
    Branch(u32),
}

fn before() -> impl Strategy<Value = Before> {
    prop_oneof![
        3 => Just(Before::Commit),
        4 => Just(Before::Wait),
        1 => Just(Before::Restart),
        1 => (1..3_u32).prop_map(Before::Branch),
    ]
}

fn block_ref(mined: &Mined) -> BlockRef {
    let hash = |hash: bitcoin::BlockHash| {
        let bytes: &[u8; 32] = hash.as_ref();
        BlockHash::from_bytes(*bytes)
    };
    BlockRef::new(mined.height, hash(mined.hash), hash(mined.parent))
}

/// The history roots of a chain that a guest indexes as `steps` say.
fn roots(bench: &Bench, mut chain: Chain, steps: &[Before]) -> (Chain, Vec<HistoryRoot>) {
    let mut runner = bench.runtime.block_runner();
    let mut roots = Vec::new();
    // What was executed and is not committed.
    let mut waiting: Vec<(BlockRef, Arc<WriteSet>)> = Vec::new();
    let mut executed = 0;
    for (seed, step) in (1..).zip(steps.iter().chain([&Before::Commit])) {
        match step {
            Before::Wait => (),
            Before::Commit => {
                for (block, writes) in waiting.drain(..) {
                    let record = bench.store.commit(&block, &writes).unwrap();
                    roots.push(record.history_root);
                }
            }
            Before::Restart => {
                executed -= waiting.drain(..).len();
                runner = bench.runtime.block_runner();
            }
            Before::Branch(below) => {
                executed -= waiting.drain(..).len();
                if let Some(tip) = chain.tip().map(|tip| tip.height) {
                    let fork_point = tip.saturating_sub(*below).max(1);
                    chain = chain.fork(fork_point, seed);
                    chain.mine(usize::try_from(tip - fork_point).unwrap());
                    let keep = executed.min(usize::try_from(fork_point).unwrap());
                    if keep < executed {
                        let last = chain.blocks().get(keep - 1).map(|block| block.height);
                        bench.store.rollback(last).unwrap();
                    }
                    roots.truncate(keep);
                    executed = keep;
                }
            }
        }
        chain.mine(1);
        for mined in &chain.blocks()[executed..] {
            let state = bench.store.snapshot().latest();
            let state = waiting.iter().fold(state, |state, (block, writes)| {
                state.with_block(block.height, Arc::clone(writes))
            });
            let block = block_ref(mined);
            let bytes = Bytes::copy_from_slice(&mined.bytes);
            let writes = runner.process(state, &block, bytes).unwrap();
            waiting.push((block, Arc::new(writes)));
            executed += 1;
        }
    }
    for (block, writes) in waiting {
        let record = bench.store.commit(&block, &writes).unwrap();
        roots.push(record.history_root);
    }
    (chain, roots)
}

#[test]
fn no_history_root_depends_on_what_was_committed_or_kept() {
    for name in ["addresses", "blocks", "session", "ledger"] {
        // Compiled once; each case begins with empty states.
        let [bench, plain] = [(); 2].map(|()| Bench::new(&guest(name)));
        let steps = prop::collection::vec(before(), 8..16);
        proptest!(ProptestConfig::with_cases(4), |(seed: u64, steps in steps)| {
            for bench in [&bench, &plain] {
                bench.store.rollback(None).unwrap();
            }
            let chain = Chain::new(seed).shape(Shape::Transactions(40));
            let (chain, kept) = roots(&bench, chain, &steps);
            // The chain that came out of it, each block on a fresh instance and on committed
            // ones.
            let fresh = chain.blocks().iter().map(|mined| {
                let writes = plain.runtime.process_block(mined.height, &mined.bytes);
                let record = plain.store.commit(&block_ref(mined), &writes.unwrap()).unwrap();
                record.history_root
            });
            prop_assert_eq!(kept, fresh.collect::<Vec<_>>(), "{}", name);
        });
    }
}
