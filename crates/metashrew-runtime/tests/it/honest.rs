//! Guests whose answers depend on state and input alone are never named, whatever they
//! remember, and their answers are those of fresh instances: the example guests, asked by
//! several callers while blocks come and go.

use bitcoin::hashes::Hash;
use metashrew_runtime::{CheckCounts, Route, ViewCall, ViewCheck, ViewError};
use metashrew_store::{BlockHash, BlockId, BlockRef, Store};
use metashrew_testing::chain::{Chain, Mined, Shape};
use proptest::prelude::*;
use std::collections::BTreeMap;

use crate::sdk_guests::wasm;
use crate::{Bench, wait_until};

/// A view, and inputs for it.
type Asked = (&'static str, &'static [&'static [u8]]);

/// The guests with the views that are asked, each with inputs, right ones and wrong ones.
const GUESTS: [(&str, &[Asked]); 8] = [
    (
        "addresses",
        &[
            ("balance", &[ADDRESS, SCRIPT, b"{}", b"no JSON"]),
            ("utxos", &[ADDRESS, SCRIPT, b"{\"limit\":1}"]),
            ("history", &[ADDRESS, SCRIPT]),
        ],
    ),
    (
        "blocks",
        &[
            ("block", &[b"{\"height\":2}", b"{\"height\":99}", b"{}"]),
            ("tip", &[b"{}"]),
            (
                "range",
                &[b"{\"from\":1,\"to\":4}", b"{\"from\":3,\"limit\":2}"],
            ),
        ],
    ),
    (
        "ledger",
        &[
            ("get", &[b"tip", b"a/\x07", b"", b"nothing"]),
            ("sum", &[b"", b"\x01\x02", b"\x03"]),
            ("cached", &[b"", b"\x01\x02", b"\x03"]),
            ("stats", &[b""]),
        ],
    ),
    (
        "memo",
        &[("get", &[b"tip", b"a/\x07", b""]), ("sum", &[b"", b"\x01"])],
    ),
    (
        "payments",
        &[
            ("received", &[SCRIPT_ALONE, b"{}", b"no JSON"]),
            ("totals", &[b"", b"{}", b"{\"x\":1}"]),
        ],
    ),
    (
        "fields_as",
        &[("question", &[b"{\"number\":5}", b"{\"text\":1}", b""])],
    ),
    (
        "tally",
        &[
            ("block", &[b"{\"height\":2}", b"{}"]),
            ("totals", &[b"", b"x"]),
        ],
    ),
    (
        "workload",
        &[
            ("trivial", &[b""]),
            ("reads", &[b"\x05\0\0\0", b"\x32\0\0\0"]),
            ("lookup", &[b"entry number 7", b"none"]),
        ],
    ),
];

const ADDRESS: &[u8] = b"{\"address\":\"12cbQLTFMXRnSzktFkuoG3eHoMeFtpTu3S\"}";
const SCRIPT_ALONE: &[u8] = b"{\"script\":\"51\"}";
const SCRIPT: &[u8] = b"{\"script\":\"51\",\"limit\":3}";

#[derive(Debug, Clone)]
enum Step {
    /// A call of one of the views with one of its inputs, about a block so far below the tip,
    /// by so many callers at a time.
    Ask(usize, usize, u32, usize),
    Grow,
    /// Undoes so many blocks, and commits one more on another branch.
    Reorg(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ask = (0..16_usize, 0..8_usize, 0..4_u32, 1..4_usize)
        .prop_map(|(view, input, depth, callers)| Step::Ask(view, input, depth, callers));
    let step = prop_oneof![12 => ask, 1 => Just(Step::Grow), 1 => (0..4_u32).prop_map(Step::Reorg)];
    prop::collection::vec(step, 40..120)
}

/// A guest over a chain that has branches.
struct Branching {
    bench: Bench,
    chain: Chain,
    forks: u64,
}

impl Branching {
    fn new(guest: &str, check: ViewCheck) -> Self {
        let bench = Bench::over(&wasm(guest), Store::in_memory(), |views| {
            views.check = check;
        });
        let mut branching = Self {
            bench,
            chain: Chain::new(3).shape(Shape::Transactions(2)),
            forks: 0,
        };
        for _ in 0..6 {
            branching.grow();
        }
        branching
    }

    fn grow(&mut self) {
        let block: &Mined = &self.chain.mine(1)[0];
        let writes = self.bench.runtime.process_block(block.height, &block.bytes);
        let [hash, parent] =
            [block.hash, block.parent].map(|hash| BlockHash::from_bytes(hash.to_byte_array()));
        let reference = BlockRef::new(block.height, hash, parent);
        self.bench
            .store
            .commit(&reference, &writes.unwrap())
            .unwrap();
    }

    fn reorg(&mut self, depth: u32) {
        let keep = self.tip().saturating_sub(depth).max(2);
        self.bench.store.rollback(Some(keep)).unwrap();
        self.forks += 1;
        self.chain = self.chain.fork(keep, self.forks);
        for _ in 0..=depth {
            self.grow();
        }
    }

    fn tip(&self) -> u32 {
        self.bench.store.snapshot().tip().unwrap().height
    }

    fn ask(&self, view: &str, input: &[u8], height: u32, callers: usize) {
        let call = |route| {
            let call = ViewCall {
                at: BlockId::Height(height).into(),
                route,
                ..ViewCall::new(view, input)
            };
            let answer = self.bench.runtime.call_sync(call);
            answer
                .map(|answer| answer.bytes)
                .map_err(|error| kind(&error))
        };
        let fresh = call(Route::Fresh);
        std::thread::scope(|scope| {
            for _ in 0..callers {
                scope.spawn(|| {
                    let answer = call(Route::Pooled);
                    if view != "stats" {
                        assert_eq!(answer, fresh, "`{view}` at {height}");
                    }
                });
            }
        });
    }
}

/// Where an error comes from: positions in a message may differ.
fn kind(error: &ViewError) -> String {
    let text = error.to_string();
    text.split(':').next().unwrap_or_default().to_owned()
}

/// What was checked of each view.
fn run(guest: usize, check: ViewCheck, steps: &[Step]) -> BTreeMap<String, CheckCounts> {
    let (name, views) = GUESTS[guest];
    let mut branching = Branching::new(name, check);
    for step in steps {
        match *step {
            Step::Grow => branching.grow(),
            Step::Reorg(depth) => branching.reorg(depth),
            Step::Ask(view, input, depth, callers) => {
                let (view, inputs) = views[view % views.len()];
                let height = branching.tip().saturating_sub(depth);
                branching.ask(view, inputs[input % inputs.len()], height, callers);
            }
        }
    }
    let runtime = branching.bench.runtime;
    wait_until(|| runtime.view_stats().checks.waiting == 0);
    let counts = runtime.view_counts().into_iter();
    let counts = counts.map(|count| (count.view, count.checks)).collect();
    assert_eq!(runtime.view_differences(), [], "{counts:?}");
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn guests_that_remember_and_answer_from_state_and_input_are_never_named(
        guest in 0..GUESTS.len(),
        enforces in any::<bool>(),
        steps in steps(),
    ) {
        let check = if enforces { ViewCheck::Enforce } else { ViewCheck::Warn };
        run(guest, check, &steps);
    }
}

#[test]
fn each_of_them_is_checked_but_for_what_it_says_of_its_caches() {
    for (guest, (name, views)) in GUESTS.iter().enumerate() {
        let calls = (0..views.len()).flat_map(|view| (0..8).map(move |input| (view, input)));
        let steps: Vec<_> = calls
            .map(|(view, input)| Step::Ask(view, input, 0, 2))
            .collect();
        let counts = run(guest, ViewCheck::Enforce, &steps);
        for (view, _) in *views {
            let is_checked = counts[*view].run > 0;
            assert_eq!(
                is_checked,
                *view != "stats",
                "`{view}` of {name}: {counts:?}"
            );
        }
    }
}
