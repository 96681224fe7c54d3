//! Reads one by one, many at once and in order, among writes, against maps: natively, over the
//! host in memory.
#![allow(clippy::unwrap_used, reason = "a test")]

mod script;

use metashrew_core::test_utils;
use proptest::prelude::*;
use script::model::{Map, Model};
use script::ops::{self, Op};
use script::{any, run};
use std::cell::RefCell;
use std::convert::Infallible;

/// A call of the guest.
#[derive(Debug, Clone)]
enum Call {
    /// The next block.
    Block(Vec<Op>),
    /// A view so many blocks back.
    View(u32, Vec<Op>),
    /// The memory goes.
    Restart,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => any::script().prop_map(Call::Block),
        4 => (0..4_u32, any::script()).prop_map(|(back, script)| Call::View(back, script)),
        1 => Just(Call::Restart),
    ]
}

/// Runs a script in a block or a view, by the SDK's own exports or one written by hand.
fn answers(height: u32, script: &[Op], by_hand: bool, view: bool) -> Vec<u8> {
    let input = ops::encode(script);
    let decoded = || ops::decode(&input);
    let kept = RefCell::new(Vec::new());
    let keep = || *kept.borrow_mut() = run::run(decoded());
    let by_hand_export = || {
        metashrew_core::input();
        keep();
        metashrew_core::flush();
        metashrew_support::compat::export_bytes(Vec::new())
    };
    match (view, by_hand) {
        (false, false) => test_utils::index_block(height, &input, |_, _| {
            keep();
            Ok::<_, Infallible>(())
        }),
        (false, true) => test_utils::index_export(height, &input, || {
            by_hand_export();
        }),
        (true, false) => drop(test_utils::view(height, &input, |_, _| {
            keep();
            Ok::<_, Infallible>(Vec::new())
        })),
        (true, true) => drop(test_utils::view_export(height, &input, by_hand_export)),
    }
    kept.take()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_read_answers_what_maps_do(
        calls in prop::collection::vec((call(), any::<bool>()), 1..10),
    ) {
        test_utils::reset();
        let mut states = vec![Map::new()];
        for (call, by_hand) in calls {
            let tip = u32::try_from(states.len()).unwrap() - 1;
            match call {
                Call::Block(script) => {
                    let mut state = states.last().unwrap().clone();
                    let (model, expect) = Model::run(&state, &script);
                    prop_assert_eq!(answers(tip + 1, &script, by_hand, false), expect, "{:?}", script);
                    prop_assert_eq!(test_utils::written(tip + 1), model.flushed.clone());
                    state.extend(model.flushed);
                    states.push(state);
                }
                Call::View(back, script) => {
                    let height = tip.saturating_sub(back);
                    let (_, expect) = Model::run(&states[height as usize], &script);
                    prop_assert_eq!(answers(height, &script, by_hand, true), expect, "{:?}", script);
                }
                Call::Restart => metashrew_core::test_utils::restart(),
            }
        }
        metashrew_core::set_cache_memory_limit(1 << 30);
    }

    #[test]
    fn scripts_survive_as_bytes(script in any::script()) {
        prop_assert_eq!(ops::decode(&ops::encode(&script)).collect::<Vec<_>>(), script);
    }
}
