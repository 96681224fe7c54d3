//! The SDK's reads and writes in the engine, against the model that they are tested with
//! natively: in blocks that stand on committed and uncommitted ones, with memory kept and
//! dropped, in views at every height and in previews.

use std::sync::Arc;

use bytes::Bytes;
use metashrew_runtime::BlockRunner;
use metashrew_store::{BlockId, BlockRef, State, WriteSet};
use proptest::prelude::*;

use crate::{Bench, guest, hash};

#[path = "../../../metashrew-core/tests/script/any.rs"]
pub(crate) mod any;
#[path = "../../../metashrew-core/tests/script/model.rs"]
mod model;
#[path = "../../../metashrew-core/tests/script/ops.rs"]
#[allow(dead_code, reason = "the guest reads scripts, tests write them")]
pub(crate) mod ops;

use model::{Map, Model};
use ops::Op;

/// What happens to a chain.
#[derive(Debug, Clone)]
enum Event {
    /// A block, which is committed with those before it that are not, or not yet.
    Block(Vec<Op>, bool),
    /// A view so many blocks below the last committed one.
    View(u32, Vec<Op>),
    /// A view of a block on top of the last committed one.
    Preview(Vec<Op>, Vec<Op>),
    /// What is not committed and what is in memory goes.
    Restart,
    /// So many blocks are undone.
    Rollback(u32),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => (any::script(), any::<bool>()).prop_map(|(script, commit)| Event::Block(script, commit)),
        4 => (0..4_u32, any::script()).prop_map(|(back, script)| Event::View(back, script)),
        1 => (any::script(), any::script()).prop_map(|(block, view)| Event::Preview(block, view)),
        1 => Just(Event::Restart),
        1 => (1..4_u32).prop_map(Event::Rollback),
    ]
}

/// What the guest has to answer to a block's script, and the state after it.
fn after(state: &Map, height: u32, script: &[Op]) -> (Vec<u8>, Map) {
    let (model, answers) = Model::run(state, script);
    let mut state = state.clone();
    state.extend(model.flushed);
    state.insert(answers_key(height), answers.clone());
    (answers, state)
}

fn answers_key(height: u32) -> Vec<u8> {
    [&b"t"[..], &height.to_be_bytes()].concat()
}

/// A chain that the guest indexes, and what its states have to be.
struct Run<'a> {
    bench: &'a Bench,
    runner: BlockRunner,
    /// By height; the last ones are not committed.
    states: Vec<Map>,
    waiting: Vec<(BlockRef, Arc<WriteSet>)>,
    branch: u8,
}

impl<'a> Run<'a> {
    /// With an empty state.
    fn new(bench: &'a Bench) -> Self {
        bench.store.rollback(None).unwrap();
        Self {
            bench,
            runner: bench.runtime.block_runner(),
            states: Vec::new(),
            waiting: Vec::new(),
            branch: 0,
        }
    }

    fn newest(&self) -> State {
        let state = self.bench.store.snapshot().latest();
        self.waiting.iter().fold(state, |state, (block, writes)| {
            state.with_block(block.height, Arc::clone(writes))
        })
    }

    /// How many blocks are committed.
    fn committed(&self) -> u32 {
        u32::try_from(self.states.len() - self.waiting.len()).unwrap()
    }

    fn block(&mut self, script: &[Op]) -> Result<(), TestCaseError> {
        let height = u32::try_from(self.states.len()).unwrap();
        let base = self.states.last().cloned().unwrap_or_default();
        let (answers, state) = after(&base, height, script);
        let tip = self.bench.store.snapshot().tip().map(|tip| tip.hash);
        let parent = self.waiting.last().map(|(block, _)| block.hash).or(tip);
        let parent = parent.unwrap_or(hash(0, 0));
        let block = BlockRef::new(height, hash(height, self.branch), parent);
        let bytes = Bytes::from(ops::encode(script));
        let writes = self.runner.process(self.newest(), &block, bytes).unwrap();
        self.waiting.push((block, Arc::new(writes)));
        let found = self.newest();
        let value = |key: &[u8]| {
            let found = found.get(key).unwrap();
            found.map(|found| found.value.to_vec()).unwrap_or_default()
        };
        prop_assert_eq!(value(&answers_key(height)), answers);
        for (key, expect) in &state {
            prop_assert_eq!(&value(key), expect, "{:?}", key);
        }
        self.states.push(state);
        Ok(())
    }

    fn commit(&mut self) {
        for (block, writes) in self.waiting.drain(..) {
            self.bench.store.commit(&block, &writes).unwrap();
        }
    }

    fn view(&self, back: u32, script: &[Op]) -> Result<(), TestCaseError> {
        let Some(tip) = self.committed().checked_sub(1) else {
            return Ok(());
        };
        let height = tip.saturating_sub(back);
        let (_, expect) = Model::run(&self.states[height as usize], script);
        let at = BlockId::Height(height);
        // The second finds nothing that the first one left.
        for _ in 0..2 {
            let answer = self.bench.view("run_view", &ops::encode(script), &at);
            prop_assert_eq!(&answer, &expect);
        }
        Ok(())
    }

    fn preview(&self, block: &[Op], view: &[Op]) -> Result<(), TestCaseError> {
        let height = self.committed();
        let Some(tip) = height.checked_sub(1) else {
            return Ok(());
        };
        let (_, state) = after(&self.states[tip as usize], height, block);
        let (_, expect) = Model::run(&state, view);
        let (block, view) = (ops::encode(block), ops::encode(view));
        let runtime = &self.bench.runtime;
        let answer = runtime.preview_sync(&block, "run_view", &view, &BlockId::Latest);
        prop_assert_eq!(answer.unwrap().bytes.to_vec(), expect);
        Ok(())
    }

    /// So many blocks of the committed ones stay, and nothing else.
    fn keep(&mut self, blocks: u32) {
        self.waiting.clear();
        self.states.truncate(blocks as usize);
        self.branch += 1;
    }

    fn event(&mut self, event: Event) -> Result<(), TestCaseError> {
        match event {
            Event::Block(script, commit) => {
                self.block(&script)?;
                if commit {
                    self.commit();
                }
            }
            Event::View(back, script) => self.view(back, &script)?,
            Event::Preview(block, view) => self.preview(&block, &view)?,
            Event::Restart => {
                self.runner = self.bench.runtime.block_runner();
                self.keep(self.committed());
            }
            Event::Rollback(count) => {
                let blocks = self.committed().saturating_sub(count);
                self.bench.store.rollback(blocks.checked_sub(1)).unwrap();
                self.keep(blocks);
            }
        }
        Ok(())
    }
}

fn check(name: &str) {
    // Compiled once.
    let bench = Bench::new(&guest(name));
    let events = prop::collection::vec(event(), 1..12);
    proptest!(ProptestConfig::with_cases(100), |(events in events)| {
        let mut run = Run::new(&bench);
        for event in events {
            run.event(event)?;
        }
    });
}

#[test]
fn the_sdk_in_the_engine_answers_what_maps_do() {
    check("script");
}

#[test]
fn exports_written_by_hand_answer_the_same() {
    check("script_by_hand");
}
