//! The SDK's tables, in WebAssembly over a real store: they answer as the standard library's
//! collections do, at every height, with memory kept, dropped and rolled back.

#[path = "../../../metashrew-core/tests/tables/model.rs"]
mod model;
#[path = "../../../metashrew-core/tests/tables/ops.rs"]
mod ops;

use std::sync::Arc;

use metashrew_runtime::MetashrewRuntime;
use metashrew_store::BlockId;
use model::Model;
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::sdk_guests::wasm;
use crate::{Bench, fresh};

fn text(answer: &[u8]) -> &str {
    std::str::from_utf8(answer).unwrap()
}

/// A chain of scripts, each run on what the one before left, and the model after each.
struct Chain {
    bench: Bench,
    /// Answers on a fresh instance each time.
    reference: Arc<MetashrewRuntime>,
    after: Vec<Model>,
}

impl Chain {
    fn new() -> Self {
        let wasm = wasm("tables");
        let bench = Bench::new(&wasm);
        Self {
            reference: fresh(&wasm, &bench.store),
            bench,
            after: Vec::new(),
        }
    }

    fn index(&mut self, branch: u8, script: &[u8]) {
        let height = u32::try_from(self.after.len()).unwrap();
        let writes = self.bench.runtime.process_block(height, script).unwrap();
        self.bench.commit(height, branch, &writes);
        let mut model = self.after.last().cloned().unwrap_or_default();
        let expect = model.run(script);
        let answers = self.bench.view("answers", b"", &BlockId::Height(height));
        assert_eq!(text(&answers), expect, "block {height}");
        self.after.push(model);
    }

    /// Runs a script as a view at every height: on the instances that are kept, and on fresh ones.
    fn ask(&self, script: &[u8]) {
        let after: Vec<_> = (0..).zip(&self.after).collect();
        for (height, model) in after.into_iter().rev() {
            let at = BlockId::Height(height);
            let expect = model.clone().run(script);
            let answer = self.bench.view("script", script, &at);
            assert_eq!(text(&answer), expect, "at {height}");
            let answer = self
                .reference
                .view_sync("script", script, &at)
                .unwrap()
                .bytes;
            assert_eq!(text(&answer), expect, "at {height}, on a fresh instance");
        }
    }

    fn roll_back(&mut self, to: u32) {
        self.bench.store.rollback(Some(to)).unwrap();
        self.after.truncate(usize::try_from(to).unwrap() + 1);
    }
}

/// The same bytes in every run, since making the runtimes costs more than running them.
fn scripts(runner: &mut TestRunner, count: usize) -> Vec<Vec<u8>> {
    let script = vec(any::<u8>(), 0..400);
    let scripts = vec(script, count).new_tree(runner);
    scripts.unwrap().current()
}

#[test]
fn tables_answer_as_the_collections_do() {
    let mut runner = TestRunner::deterministic();
    let mut chain = Chain::new();
    for (branch, kept) in [(1, 0), (2, 3), (3, 1), (4, 4)] {
        for script in scripts(&mut runner, 5) {
            chain.index(branch, &script);
        }
        for script in scripts(&mut runner, 6) {
            chain.ask(&script);
        }
        chain.roll_back(kept);
    }
}

#[test]
fn the_guest_tells_its_tables() {
    let report = metashrew_runtime::inspect(&wasm("tables")).unwrap();
    let tables = report.meta.unwrap().unwrap().storage;
    let told: Vec<_> = tables
        .iter()
        .map(|table| {
            let parts = table
                .key
                .iter()
                .map(|part| format!("{}: {}", part.name, part.ty));
            let parts = parts.collect::<Vec<_>>().join(", ");
            format!("{} {}({parts}) {}", table.kind, table.name, table.value)
        })
        .collect();
    assert_eq!(
        told,
        [
            "map balances(owner: string, token: u8) u64?",
            "counter counts(name: string) i8",
            "list history(who: u8, index: u64) u8",
            "set holders(key0: u8, key1: bytes, key2: i8) ",
            "list log(index: u64) u32",
            "item number() i64",
            "deque queue(position: u64) bytes",
            "counter supply() u8",
            "item text() string",
            "indexed_map tokens(id: u16) (u8, string)",
            "multi_index tokens.owner(owner: u8, id: u16) ",
            "unique_index tokens.symbol(symbol: string) u16",
        ]
    );
    assert_eq!(tables[0].doc, "What an owner has of a token.");
}
